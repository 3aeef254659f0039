"""How one large array is cut into blocks: shapes, starts, ends, and which block holds what."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import UsageError

Shape = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
PartialShape = int | Sequence[int | None] | None


class BlockGrid:
    """A regular grid of blocks over an array, as it is; :class:`Blocks` is the one to change."""

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

    def bounds(self, block: int) -> Pairs:
        """Start and end of one block on each axis, padding included."""
        cell = self.linear_to_cartesian(block)
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

    def linear_to_cartesian(self, lin_idx: int) -> Shape:
        """Grid position of the block with this number.

        Raises
        ------
        IndexError
            There is no such block.
        """
        if not 0 <= lin_idx < self.n_blocks:
            raise IndexError(f"no block {lin_idx}: the grid has {self.n_blocks} blocks")
        return tuple(int(i) for i in np.unravel_index(lin_idx, self.shape_grid))

    def cartesian_to_linear(self, ca_idx: Sequence[int]) -> int:
        """Get the number of the block at this grid position.

        Raises
        ------
        IndexError
            There is no such block.
        """
        cell = tuple(operator.index(i) for i in ca_idx)
        inside = len(cell) == self.n_dims and all(
            0 <= i < count for i, count in zip(cell, self.shape_grid, strict=True)
        )
        if not inside:
            raise IndexError(f"no block at {cell}: the grid has shape {self.shape_grid}")
        return int(np.ravel_multi_index(cell, self.shape_grid))

    def neighbour_blocks(
        self, i_block: int, dims: Sequence[int] | None = None
    ) -> NDArray[np.int64]:
        """Numbers of the blocks that touch a block, corners included.

        Parameters
        ----------
        i_block
            Number of the block.
        dims
            Axes along which a neighbour may lie; None takes all.
        """
        cell = self.linear_to_cartesian(i_block)
        moving = set(range(self.n_dims)) if dims is None else {d % self.n_dims for d in dims}
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
        """
        blocks, first, last = [], [], []
        for start, end, size, offset in zip(
            start_take, end_take, self._shape_block, self.starts, strict=True
        ):
            low, high = (start - offset) // size, -(-(end - offset) // size)
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

    def block_containing_coords(self, coords: Sequence[int]) -> Shape:
        """Grid position of the block that owns a point.

        Raises
        ------
        IndexError
            The point lies outside of the blocks.
        """
        placed = tuple(
            (coordinate - start) // size
            for coordinate, start, size in zip(coords, self.starts, self._shape_block, strict=True)
        )
        self.cartesian_to_linear(placed)
        return placed

    def drop_dim(self, dim_to_drop: int) -> Blocks:
        """Make the same blocks without one axis."""
        kept = [axis for axis in range(self.n_dims) if axis != dim_to_drop % self.n_dims]
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


class Blocks(BlockGrid):
    """Cut an array of a given shape into blocks.

    Parameters
    ----------
    shape_full
        Shape of the array.
    shape_block
        Shape of a block; None for an axis, or for all, means its full length. With ``dim_split`` it
        may also be the length along that axis alone.
    dim_split
        The axis to cut; the first one when only ``blocks_number`` is given.
    blocks_number
        Cut the axis ``dim_split`` into this many blocks.
    padding
        How far each block reaches into the next one: one number, or one for each axis.
    crop
        For each axis, how many elements to leave out at its start and at its end.

    Raises
    ------
    UsageError
        The arguments contradict each other.

    Examples
    --------
    >>> blocks = Blocks((6, 8), shape_block=(4, None))
    >>> blocks.n_blocks, blocks[1]
    (2, (slice(4, 6, None), slice(0, 8, None)))
    >>> Blocks((6, 8), blocks_number=3).shape_block
    (2, 8)
    """

    def __init__(
        self,
        shape_full: Sequence[int],
        shape_block: PartialShape = None,
        dim_split: int | None = None,
        blocks_number: int | None = None,
        padding: int | Sequence[int] = 0,
        crop: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        full = tuple(operator.index(length) for length in shape_full)
        if any(length < 0 for length in full):
            raise UsageError(f"shape_full has a negative length: {full}")
        margins = _crop(crop, full)
        cropped = tuple(n - sum(pair) for n, pair in zip(full, margins, strict=True))
        block = _block_shape(cropped, shape_block, dim_split, blocks_number)
        self.dim_split = dim_split
        self._lay_out(full, block, margins, _padding(padding, len(full)))

    def __getitem__(self, item: int) -> tuple[slice, ...]:
        return self.block_to_slices(self.bounds(operator.index(item)))

    @property
    def shape_full(self) -> Shape:
        return self._shape_full

    @shape_full.setter
    def shape_full(self, value: Sequence[int]) -> None:
        Blocks.__init__(self, value, self._shape_block, padding=self._padding, crop=self._crop)

    @property
    def shape_block(self) -> Shape:
        return self._shape_block

    @shape_block.setter
    def shape_block(self, value: PartialShape) -> None:
        Blocks.__init__(self, self._shape_full, value, padding=self._padding, crop=self._crop)

    @property
    def crop(self) -> Pairs:
        return self._crop

    @crop.setter
    def crop(self, value: Sequence[tuple[int, int]] | None) -> None:
        Blocks.__init__(
            self, self._shape_full, self._shape_block, padding=self._padding, crop=value
        )

    @property
    def padding(self) -> Shape:
        return self._padding

    @padding.setter
    def padding(self, value: int | Sequence[int]) -> None:
        Blocks.__init__(self, self._shape_full, self._shape_block, padding=value, crop=self._crop)

    def __repr__(self) -> str:
        return f"Blocks({self._shape_full}, {self._shape_block}: {self.n_blocks} blocks)"


def _crop(crop: Sequence[tuple[int, int]] | None, full: Shape) -> Pairs:
    if crop is None:
        return ((0, 0),) * len(full)
    pairs = tuple((operator.index(before), operator.index(after)) for before, after in crop)
    fits = len(pairs) == len(full) and all(
        before >= 0 and after >= 0 and before + after <= length
        for (before, after), length in zip(pairs, full, strict=True)
    )
    if not fits:
        raise UsageError(f"crop {pairs} does not fit into an array of shape {full}")
    return pairs


def _padding(padding: int | Sequence[int], ndim: int) -> Shape:
    values = (padding,) * ndim if isinstance(padding, int) else tuple(padding)
    if len(values) != ndim or any(value < 0 for value in values):
        raise UsageError(
            f"padding {values} must be one number >= 0, or one for each of {ndim} axes"
        )
    return tuple(operator.index(value) for value in values)


def _block_shape(
    cropped: Shape, shape_block: PartialShape, dim_split: int | None, number: int | None
) -> Shape:
    if number is not None:
        if shape_block is not None or number < 1:
            raise UsageError("blocks_number must be >= 1 and comes without shape_block")
        axis = (dim_split or 0) % len(cropped)
        return _with_length(cropped, axis, -(-cropped[axis] // number))
    if shape_block is None:
        return cropped
    given = (shape_block,) if isinstance(shape_block, int) else tuple(shape_block)
    if len(given) == 1 and dim_split is not None and given[0] is not None:
        return _with_length(cropped, dim_split % len(cropped), given[0])
    try:
        sizes = [None if size is None else operator.index(size) for size in given]
    except TypeError:
        sizes = []
    if len(sizes) != len(cropped) or any(size is not None and size < 1 for size in sizes):
        raise UsageError(
            f"shape_block {given} is not a length >= 1, or None, for each of {len(cropped)} axes"
        )
    found = zip(sizes, cropped, strict=True)
    return tuple(length if size is None else size for size, length in found)


def _with_length(shape: Shape, axis: int, length: int) -> Shape:
    return (*shape[:axis], max(1, length), *shape[axis + 1 :])
