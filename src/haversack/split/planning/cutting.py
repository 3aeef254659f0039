"""What the arguments of Blocks mean: which axes are cut, how long a block is, how far it reaches.

A size, a number of blocks and a padding may each be one number for all axes that are cut, one for
each of these, or one for each axis of the array from the first on.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, SupportsIndex

from haversack.errors import UsageError

Shape = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Numbers = SupportsIndex | Sequence[SupportsIndex]
PartialShape = SupportsIndex | Sequence[SupportsIndex | None] | None


class Cut(NamedTuple):
    """How an array is cut: along which axes, the shape of a block, and its padding."""

    axes: Shape
    block: Shape
    padding: Shape


def cut(
    shape: Shape,
    shape_block: PartialShape,
    dim_split: Numbers | None,
    blocks_number: Numbers | None,
    padding: Numbers,
) -> Cut:
    """Work out how an array of a shape is cut; the number of blocks goes before their shape.

    Raises
    ------
    UsageError
        The arguments contradict each other.

    Examples
    --------
    >>> cut((100, 20, 40, 10), (10, 20), (1, 2), None, 2)
    Cut(axes=(1, 2), block=(100, 10, 20, 10), padding=(0, 2, 2, 0))
    """
    ndim = len(shape)
    axes = _cut_axes(ndim, shape_block, dim_split, blocks_number)
    sizes: Sequence[int | None] = [None] * len(axes)
    if blocks_number is not None:
        counts = _of_axes(blocks_number, axes, ndim, "blocks_number", 1)
        sizes = [-(-shape[axis] // (n or 1)) for axis, n in zip(axes, counts, strict=True)]
    elif shape_block is not None:
        sizes = _of_axes(shape_block, axes, ndim, "shape_block", 1, whole=True)
    elif axes:
        raise UsageError(f"dim_split {axes} has axes to cut: say how by shape_block, blocks_number")
    block = [*shape]
    reach = [0] * ndim
    pads = _of_axes(padding, axes, ndim, "padding", 0)
    for axis, size, pad in zip(axes, sizes, pads, strict=True):
        block[axis] = shape[axis] if size is None else max(1, size)
        reach[axis] = pad or 0
    return Cut(axes, tuple(block), tuple(reach))


def _cut_axes(
    ndim: int,
    shape_block: PartialShape,
    dim_split: Numbers | None,
    blocks_number: Numbers | None,
) -> Shape:
    """Find the axes to cut: those that are named, or have a size, or as many as numbers."""
    axes = axes_of(() if dim_split is None else dim_split, ndim)
    if not axes and shape_block is not None:
        sizes = listed(shape_block)
        axes = tuple(axis for axis, size in enumerate(sizes) if size is not None)
    if not axes and blocks_number is not None:
        axes = tuple(range(len(listed(blocks_number))))
    return axes


def axes_of(axes: Numbers, ndim: int) -> Shape:
    """Take axes as they are named, from the first on, each once.

    Raises
    ------
    UsageError
        The array has no such axis.

    Examples
    --------
    >>> axes_of((-1, 0), 4), axes_of(2, 4)
    ((0, 3), (2,))
    """
    try:
        named = [operator.index(axis) for axis in listed(axes)]
    except TypeError:
        named = [ndim]
    if not all(-ndim <= axis < ndim for axis in named):
        raise UsageError(f"{axes!r} names no axes of an array of {ndim} axes")
    return tuple(sorted({axis % ndim for axis in named}))


def for_each_axis(given: Numbers, ndim: int, name: str) -> Shape:
    """Take one number >= 0, or one for each axis.

    Raises
    ------
    UsageError
        It is something else.
    """
    values = _of_axes(given, tuple(range(ndim)), ndim, name, 0)
    return tuple(value or 0 for value in values)


def _of_axes(
    given: PartialShape, axes: Shape, ndim: int, name: str, least: int, *, whole: bool = False
) -> Sequence[int | None]:
    """Give each of some axes what belongs to it; None, where it stands for ``whole``, is kept."""
    try:
        values = [None if whole and n is None else operator.index(n) for n in listed(given)]
    except TypeError:
        values = [-1]
    if not isinstance(given, Iterable):
        fitting = values * len(axes)
    elif max(axes, default=-1) < len(values) <= ndim:
        fitting = [values[axis] for axis in axes]
    else:
        fitting = values
    fits = len(fitting) == len(axes) <= ndim
    if not fits or any(n is not None and n < least for n in values):
        nothing = ", or None," if whole else ""
        cut = f", or for each that is cut: {axes}" if axes else ""
        raise UsageError(
            f"{name} {given!r} is not a number >= {least}{nothing} for each of {ndim} axes{cut}"
        )
    return fitting


def whole_sizes(given: PartialShape) -> tuple[Any, ...]:
    """Check the shape of a block before it is known of how many axes.

    Raises
    ------
    UsageError
        It is no list of numbers >= 1 and None.
    """
    sizes = listed(given)
    cut((1,) * len(sizes), sizes, None, None, 0)
    return sizes


def listed(given: PartialShape) -> tuple[Any, ...]:
    """Take one number as a list of one."""
    if not isinstance(given, Iterable) or getattr(given, "ndim", None) == 0:
        return (given,)
    return tuple(given)


def full_shape(shape: Sequence[int]) -> Shape:
    """Check the shape of an array.

    Raises
    ------
    UsageError
        It is none.
    """
    try:
        full = tuple(operator.index(length) for length in shape)
    except TypeError:
        full = (-1,)
    if any(length < 0 for length in full):
        raise UsageError(f"shape_full {shape!r} is not a length >= 0 for each axis")
    return full


def cropping(crop: Sequence[tuple[int, int]] | None, full: Shape) -> Pairs:
    """Check how much is left out at the start and end of each axis; None leaves out nothing.

    Raises
    ------
    UsageError
        It does not fit into the array.
    """
    if crop is None:
        return ((0, 0),) * len(full)
    try:
        pairs = tuple((operator.index(before), operator.index(after)) for before, after in crop)
    except (TypeError, ValueError):
        pairs = ()
    fits = len(pairs) == len(full) and all(
        before >= 0 and after >= 0 and before + after <= length
        for (before, after), length in zip(pairs, full, strict=True)
    )
    if not fits:
        raise UsageError(
            f"crop {crop!r} does not fit into an array of shape {full}: give a pair of numbers "
            f">= 0 (left out at the start, at the end) for each of {len(full)} axes"
        )
    return pairs
