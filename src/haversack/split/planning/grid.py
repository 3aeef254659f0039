"""How one large array is cut into blocks: shapes, starts, ends, and which block holds what."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from haversack.errors import NoBlockError, UnsupportedError, UsageError
from haversack.split.planning.cutting import Numbers, Pairs, Shape, axes_of

if TYPE_CHECKING:
    from haversack.split.planning.blocks import Blocks


class BlockGrid:
    """A regular grid of blocks over an array, as it is.

    :class:`haversack.split.planning.blocks.Blocks` is the one to make and to change.
    """

    _shape_full: Shape
    _shape_block: Shape
    _crop: Pairs
    _padding: Shape
    _padding_ends = False  # the old writer's rule: where padding reaches the end, no block follows

    def _lay_out(self, shape_full: Shape, shape_block: Shape, crop: Pairs, padding: Shape) -> None:
        self._shape_full, self._crop, self._padding = shape_full, crop, padding
        self._shape_block = tuple(
            max(1, min(block, full) if full else block)
            for block, full in zip(shape_block, self.shape_cropped, strict=True)
        )

    @property
    def shape_full(self) -> Shape:
        """Shape of the whole array, before the crop."""
        return self._shape_full

    @property
    def shape_block(self) -> Shape:
        """Shape of one block without its padding; the last ones may be smaller."""
        return self._shape_block

    @property
    def crop(self) -> Pairs:
        """For each axis, how many elements are left out at its start and at its end."""
        return self._crop

    @property
    def padding(self) -> Shape:
        """For each axis, how far a block reaches into the next one."""
        return self._padding

    @property
    def dim_split(self) -> Shape:
        """The axes along which there may be several blocks."""
        return tuple(range(self.n_dims))

    @property
    def shape_cropped(self) -> Shape:
        """Shape of what the blocks cover."""
        return tuple(
            full - before - after
            for full, (before, after) in zip(self._shape_full, self._crop, strict=True)
        )

    @property
    def starts(self) -> Shape:
        """Where the crop begins on each axis."""
        return tuple(before for before, _ in self._crop)

    @property
    def n_dims(self) -> int:
        """Number of axes."""
        return len(self._shape_full)

    @property
    def shape_grid(self) -> Shape:
        """Number of blocks along each axis."""
        covered = self._padding if self._padding_ends else (0,) * self.n_dims
        geometry = zip(self.shape_cropped, self._shape_block, covered, strict=True)
        return tuple(
            max(-(-(length - reach) // block), min(length, 1)) for length, block, reach in geometry
        )

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return math.prod(self.shape_grid)

    @property
    def block_starts(self) -> NDArray[np.int64]:
        """Where each block begins: int64, shape ``(*shape_grid, n_dims)``."""
        axes = np.indices(self.shape_grid).transpose(*range(1, self.n_dims + 1), 0)
        return np.asarray(axes * self._shape_block + self.starts, np.int64)

    @property
    def block_ends(self) -> NDArray[np.int64]:
        """Where each block ends, padding included: int64, shape ``(*shape_grid, n_dims)``."""
        reach = np.add(self._shape_block, self._padding)
        last = np.add(self.starts, self.shape_cropped)
        return np.asarray(np.minimum(self.block_starts + reach, last), np.int64)

    def bounds(self, block: SupportsIndex) -> Pairs:
        """Start and end of one block on each axis, padding included."""
        cell = self._cell(block)
        geometry = zip(
            cell, self._shape_block, self._padding, self.starts, self.shape_cropped, strict=True
        )
        return tuple(
            (start + i * size, start + min(i * size + size + pad, length))
            for i, size, pad, start, length in geometry
        )

    def slices(self, as_tuples: bool = False) -> Iterator[tuple[Shape, Any]]:
        """Go over the blocks: grid position, and where the block lies (slices, or pairs)."""
        for block in range(self.n_blocks):
            bounds = self.bounds(block)
            where = bounds if as_tuples else self.block_to_slices(bounds)
            yield self.linear_to_cartesian(block), where

    def linear_to_cartesian(self, lin_idx: Any) -> tuple[Any, ...]:
        """Get the grid position of a block by its number, or of many by an array of numbers.

        Raises
        ------
        NoBlockError
            There is no such block.
        """
        try:
            cell = np.unravel_index(lin_idx, self.shape_grid)
        except (ValueError, TypeError) as error:
            raise NoBlockError(
                f"no block {lin_idx!r}: they are numbered from 0 to {self.n_blocks - 1}"
            ) from error
        return cell if np.ndim(lin_idx) else tuple(map(int, cell))

    def _cell(self, block: SupportsIndex) -> tuple[int, ...]:
        cell = self.linear_to_cartesian(block)
        if any(not isinstance(place, int) for place in cell):
            raise NoBlockError(f"no block {block!r}: one number is needed, not several")
        return cell

    def cartesian_to_linear(self, ca_idx: Sequence[Any]) -> Any:
        """Get the number of the block at a grid position, or at many: an array for each axis.

        Raises
        ------
        NoBlockError
            There is no such block.
        """
        try:
            number = np.ravel_multi_index(tuple(ca_idx), self.shape_grid)
        except (ValueError, TypeError) as error:
            raise NoBlockError(
                f"no block at {ca_idx!r}: the grid has shape {self.shape_grid}"
            ) from error
        return number if np.ndim(number) else int(number)

    def neighbour_blocks(self, i_block: int, dims: Numbers | None = None) -> NDArray[np.int64]:
        """Numbers of the blocks that touch a block, corners included.

        Parameters
        ----------
        i_block
            Number of the block.
        dims
            Axis or axes along which a neighbour may lie; None takes all.

        Raises
        ------
        NoBlockError, UsageError
            There is no such block, or axis.
        """
        cell = self._cell(i_block)
        moving = axes_of(range(self.n_dims) if dims is None else dims, self.n_dims)
        nearby = [
            range(max(0, i - 1), min(count, i + 2)) if axis in moving else (i,)
            for axis, (i, count) in enumerate(zip(cell, self.shape_grid, strict=True))
        ]
        numbers = np.ravel_multi_index(np.ix_(*nearby), self.shape_grid).ravel()
        return np.asarray(numbers[numbers != i_block], np.int64)

    def blocks_to_take(
        self, start_take: Sequence[int], end_take: Sequence[int]
    ) -> tuple[list[tuple[int, int]], list[int], list[int]]:
        """Find the blocks that a region touches.

        Returns
        -------
        tuple
            For each axis: (first block, last block + 1); where the region starts in the first
            block; where it ends in the last one.

        Raises
        ------
        UsageError
            The start or end is not a number for each axis.
        """
        for given in (start_take, end_take):
            self._check_point(given)
        blocks, first, last = [], [], []
        for start, end, size, offset, count in zip(
            start_take, end_take, self._shape_block, self.starts, self.shape_grid, strict=True
        ):
            low = min(max(0, (start - offset) // size), max(0, count - 1))
            high = min(-(-(end - offset) // size), count)
            blocks.append((low, high))
            first.append(start - offset - low * size)
            last.append(end - offset - (high - 1) * size)
        return blocks, first, last

    @staticmethod
    def block_to_slices(block: Sequence[tuple[int, int]]) -> tuple[slice, ...]:
        """Turn (start, end) pairs into slices."""
        return tuple(slice(start, end) for start, end in block)

    def centres(self) -> NDArray[np.float64]:
        """Middle of each block: float64, shape ``(*shape_grid, n_dims)``."""
        return (self.block_starts + self.block_ends) / 2

    def block_containing_coords(self, coords: Sequence[float] | NDArray[Any]) -> Shape:
        """Grid position of the block that owns a point, which may lie between elements.

        Raises
        ------
        NoBlockError
            The point lies outside of the blocks.
        UsageError
            It is no point.
        """
        self._check_point(coords, of_all_axes=False)
        geometry = [
            *zip(self.starts, self.shape_cropped, self._shape_block, self.shape_grid, strict=True)
        ]
        inside = len(coords) == self.n_dims and all(
            start <= at < start + length
            for at, (start, length, _, _) in zip(coords, geometry, strict=True)
        )
        if not inside:
            raise NoBlockError(f"no block contains {coords!r}: they cover {self._covered()}")
        return tuple(
            min(int((at - start) // size), count - 1)
            for at, (start, _, size, count) in zip(coords, geometry, strict=True)
        )

    def _check_point(self, given: Any, *, of_all_axes: bool = True) -> None:
        try:
            point = np.asarray(given)
        except ValueError:  # lists of several lengths
            point = np.empty((), object)
        if point.ndim != 1 or (point.dtype.kind not in "biuf" and point.size):
            raise UnsupportedError(f"{given!r} is no list of numbers, one for each axis")
        if of_all_axes and len(point) != self.n_dims:
            raise UsageError(f"{given!r} has {len(point)} numbers for {self.n_dims} axes")

    def _covered(self) -> str:
        spans = zip(self.starts, self.shape_cropped, strict=True)
        return f"[{', '.join(f'{start}:{start + length}' for start, length in spans)}]"

    def drop_dim(self, dim_to_drop: int) -> Blocks:
        """Make the same blocks without one axis.

        Raises
        ------
        UsageError
            There is no such axis.
        """
        from haversack.split.planning.blocks import Blocks

        dropped = axes_of(dim_to_drop, self.n_dims)
        kept = [axis for axis in range(self.n_dims) if axis not in dropped]
        return Blocks(
            tuple(self._shape_full[axis] for axis in kept),
            tuple(self._shape_block[axis] for axis in kept),
            padding=tuple(self._padding[axis] for axis in kept),
            crop=tuple(self._crop[axis] for axis in kept),
        )

    def serialize(self) -> dict[str, list[int]]:
        """Give what describes the blocks, ready for JSON."""
        return {
            "shape_full": list(self._shape_full),
            "shape_block": list(self._shape_block),
            "crop_start": list(self.starts),
            "crop_end": [after for _, after in self._crop],
            "padding": list(self._padding),
        }
