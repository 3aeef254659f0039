"""The grid of blocks that is described by arguments, and can be changed."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import SupportsIndex

from haversack.split.planning.cutting import (
    Numbers,
    Pairs,
    PartialShape,
    Shape,
    cropping,
    cut,
    for_each_axis,
    full_shape,
)
from haversack.split.planning.grid import BlockGrid


class Blocks(BlockGrid, ABC):
    """Cut an array of a given shape into blocks.

    Parameters
    ----------
    shape_full
        Shape of the array.
    shape_block
        Shape of a block; None for an axis, and axes at the end that are left out, are not cut. With
        ``dim_split`` it may also have a length for each of these axes alone.
    dim_split
        The axes to cut: one, or several. By default those that ``shape_block`` has a length for, or
        the first ones, as many as ``blocks_number`` has numbers.
    blocks_number
        Into how many blocks to cut these axes: one number, or one for each of them, or for each
        axis of the array. It goes before ``shape_block``.
    padding
        How far each block reaches into the next one along the axes that are cut: one number, or one
        for each of them, or for each axis of the array.
    crop
        For each axis, how many elements to leave out at its start and at its end.

    Raises
    ------
    UsageError
        The arguments contradict each other.

    Examples
    --------
    >>> blocks = Blocks((6, 8), shape_block=(4,))
    >>> blocks.n_blocks, blocks[1]
    (2, (slice(4, 6, None), slice(0, 8, None)))

    Four ways to say the same:

    >>> shape = (100, 20, 40, 10)
    >>> Blocks(shape, shape_block=(None, 10, 20, None)).shape_block
    (100, 10, 20, 10)
    >>> Blocks(shape, blocks_number=(1, 2, 2, 1)).shape_block
    (100, 10, 20, 10)
    >>> Blocks(shape, dim_split=(1, 2), shape_block=(10, 20)).shape_block
    (100, 10, 20, 10)
    >>> Blocks(shape, dim_split=(1, 2), blocks_number=2).shape_block
    (100, 10, 20, 10)
    """

    def __init__(
        self,
        shape_full: Sequence[int],
        shape_block: PartialShape = None,
        dim_split: Numbers | None = None,
        blocks_number: Numbers | None = None,
        padding: Numbers = 0,
        crop: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        full = full_shape(shape_full)
        margins = cropping(crop, full)
        cropped = tuple(n - sum(pair) for n, pair in zip(full, margins, strict=True))
        self._axes, block, reach = cut(cropped, shape_block, dim_split, blocks_number, padding)
        self._lay_out(full, block, margins, reach)

    def __getitem__(self, item: SupportsIndex | tuple[SupportsIndex, ...]) -> tuple[slice, ...]:
        """Say where a block lies, by its number or its position in the grid."""
        number = self.cartesian_to_linear(item) if isinstance(item, tuple) else item
        return self.block_to_slices(self.bounds(number))

    def _check_changeable(self) -> None:
        """Refuse to be changed, where files are cut by these numbers already."""

    @property
    def dim_split(self) -> Shape:
        """The axes that are cut."""
        return self._axes

    @property
    def shape_full(self) -> Shape:
        return self._shape_full

    @shape_full.setter
    def shape_full(self, value: Sequence[int]) -> None:
        self._check_changeable()
        full = full_shape(value)
        self._crop, self._shape_full = cropping(self._crop, full), full

    @property
    def shape_block(self) -> Shape:
        return self._shape_block

    @shape_block.setter
    def shape_block(self, value: PartialShape) -> None:
        self._check_changeable()
        self._axes, self._shape_block, _ = cut(self.shape_cropped, value, None, None, 0)

    @property
    def crop(self) -> Pairs:
        return self._crop

    @crop.setter
    def crop(self, value: Sequence[tuple[int, int]] | None) -> None:
        self._check_changeable()
        self._crop = cropping(value, self._shape_full)

    @property
    def padding(self) -> Shape:
        return self._padding

    @padding.setter
    def padding(self, value: Numbers) -> None:
        self._check_changeable()
        self._padding = for_each_axis(value, self.n_dims, "padding")

    def __repr__(self) -> str:
        return f"Blocks({self._shape_full}, {self._shape_block}: {self.n_blocks} blocks)"
