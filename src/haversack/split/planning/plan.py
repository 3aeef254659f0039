"""Which cells of a grid hold the elements of a selection, and where each goes in the result.

The same division serves twice: an array into blocks, then a block into chunks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.split.planning.indexing import Axis, Selection

Target = slice | NDArray[np.intp]
# A cell on one axis, what is wanted of it, and its places.
Piece = tuple[int, Axis, Target]
Cut = tuple[int, range, slice]


class Part(NamedTuple):
    """Elements within one cell, in its own coordinates, and their places in the target.

    Where ``rows`` is None every axis stands for itself and has its places in ``target``. Otherwise
    the axes that are points go together: their places are ``rows``, on the target's first axis, and
    ``target`` has those of the ranges.
    """

    axes: tuple[Axis, ...]
    target: tuple[Target, ...]
    rows: NDArray[np.intp] | None

    @property
    def size(self) -> int:
        """Number of elements."""
        lone = [axis for axis in self.axes if self.rows is None or isinstance(axis, range)]
        return math.prod(map(len, lone)) * (1 if self.rows is None else len(self.rows))


def whole(selection: Selection) -> Part:
    """Make the part that is the whole selection."""
    if selection.points_at is None:
        target = tuple([slice(0, len(axis)) for axis in selection.axes])
        return Part(selection.axes, target, None)
    lone = selection.lone
    joint = [axis for number, axis in enumerate(selection.axes) if number not in lone]
    target = tuple([slice(0, len(selection.axes[number])) for number in lone])
    rows = np.arange(len(joint[0]), dtype=np.intp) if joint else None
    return Part(selection.axes, target, rows)


def divide(
    part: Part, cell_shape: tuple[int, ...], grid: tuple[int, ...] | None = None
) -> Iterator[tuple[tuple[int, ...], Part]]:
    """Divide a part among the cells of a regular grid; only cells that hold something come.

    With the ``grid``'s shape given, the last cell on each axis holds all that follows.

    Examples
    --------
    >>> part = Part((range(1, 6, 2),), (slice(0, 3),), None)
    >>> for cell, piece in divide(part, (4,)):
    ...     print(cell, piece.axes, piece.target)
    (0,) (range(1, 4, 2),) (slice(0, 2, None),)
    (1,) (range(1, 2, 2),) (slice(2, 3, None),)
    """
    last = tuple(n - 1 for n in grid) if grid else (sys.maxsize,) * len(cell_shape)
    if part.rows is not None:
        yield from _divide_points(part, part.rows, cell_shape, last)
        return
    alone = _in_one_cell(part, cell_shape, last)
    if alone is not None:
        yield alone
        return
    for pieces in product(*map(_pieces, part.axes, part.target, cell_shape, last)):
        cells, axes, places = zip(*pieces, strict=True)
        yield cells, Part(axes, places, None)


def count_cells(axis: Axis, length: int, count: int) -> int:
    """Count the cells of a grid's axis that a range touches; of points just one is certain.

    Examples
    --------
    >>> count_cells(range(1, 9, 2), 4, 9), count_cells(range(1, 90, 40), 4, 2)
    (2, 2)
    """
    if not isinstance(axis, range) or not axis:
        return min(1, len(axis))
    last = (count - 1) * length
    before = range(axis.start, min(axis.stop, last), axis.step)
    spanned = before[-1] // length - before[0] // length + 1 if before else 0
    return min(len(before), spanned) + (axis[-1] >= last)


def cut(part: Part, cell_shape: tuple[int, ...]) -> list[list[Cut]] | None:
    """Cut each axis of a part by the cells of a grid; None where one of them is not a range.

    Examples
    --------
    >>> cut(Part((range(1, 6, 2),), (slice(0, 3),), None), (4,))
    [[(0, range(1, 4, 2), slice(0, 2, None)), (1, range(1, 2, 2), slice(2, 3, None))]]
    """
    pieces: list[list[Cut]] = []
    for axis, place, length in zip(part.axes, part.target, cell_shape, strict=False):
        if type(axis) is not range or type(place) is not slice:
            return None
        pieces.append(_cut(axis, place, length, sys.maxsize))
    return pieces if len(pieces) == len(cell_shape) else None


def _in_one_cell(
    part: Part, cell_shape: tuple[int, ...], last: tuple[int, ...]
) -> tuple[tuple[int, ...], Part] | None:
    """Find the one cell that holds all of a part, as it does in most small reads."""
    where: list[int] = []
    axes: list[Axis] = []
    for axis, length, end in zip(part.axes, cell_shape, last, strict=True):
        found = _within(axis, length, end)
        if found is None:
            return None
        where.append(found[0])
        axes.append(found[1])
    return tuple(where), Part(tuple(axes), part.target, None)


def _within(wanted: Axis, length: int, last: int) -> tuple[int, range] | None:
    """Find the one cell that holds all of a range, and the range in it; None if there is none."""
    if not isinstance(wanted, range) or not wanted:
        return None
    cell = min(wanted.start // length, last)
    base = cell * length
    if wanted.stop > base + length and cell < last:
        return None
    return cell, range(wanted.start - base, wanted.stop - base, wanted.step)


def _divide_points(
    part: Part, rows: NDArray[np.intp], cell_shape: tuple[int, ...], last: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Part]]:
    """Divide a part of which some axes go together."""
    is_lone = [isinstance(axis, range) for axis in part.axes]
    targets = iter(part.target)
    alone = [
        _pieces(axis, next(targets), length, end)
        for axis, length, end, flag in zip(part.axes, cell_shape, last, is_lone, strict=True)
        if flag
    ]
    for where, points, places in _groups(part, rows, cell_shape, last):
        for pieces in product(*alone):
            spans, joint = iter(pieces), iter(zip(where, points, strict=True))
            chosen = [next(spans)[:2] if flag else next(joint) for flag in is_lone]
            cells, axes = zip(*chosen, strict=True)
            yield cells, Part(axes, tuple(place for _, _, place in pieces), places)


def _pieces(wanted: Axis, target: Target, length: int, last: int) -> Sequence[Piece]:
    """Cut what is wanted of an axis by its cells."""
    if isinstance(wanted, range):
        assert isinstance(target, slice)
        return _cut(wanted, target, length, last)
    return list(_pieces_of_points(wanted, target, length, last))


def _cut(wanted: range, target: slice, length: int, last: int) -> list[Cut]:
    if found := _within(wanted, length, last):  # most axes of most reads
        return [(*found, target)]
    pieces: list[Cut] = []
    index = 0
    while index < len(wanted):
        cell = min(wanted[index] // length, last)
        base = cell * length
        end = len(wanted)
        if cell < last:
            end = min(end, -(-(base + length - wanted.start) // wanted.step))
        local = range(wanted[index] - base, wanted[end - 1] - base + 1, wanted.step)
        pieces.append((cell, local, slice(target.start + index, target.start + end)))
        index = end
    return pieces


def _pieces_of_points(
    wanted: NDArray[np.intp], target: Target, length: int, last: int
) -> Iterator[Piece]:
    cells = np.minimum(wanted // length, last)
    for group in _by_value(cells):
        cell = int(cells[group[0]])
        place = group + target.start if isinstance(target, slice) else target[group]
        yield cell, wanted[group] - cell * length, place


def _by_value(values: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Group the positions of equal values."""
    order = np.argsort(values, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(values[order])) + 1)


_Group = tuple[tuple[int, ...], tuple[NDArray[np.intp], ...], NDArray[np.intp]]


def _groups(
    part: Part, rows: NDArray[np.intp], cell_shape: tuple[int, ...], last: tuple[int, ...]
) -> Iterator[_Group]:
    """Group the points that go together by their cell."""
    lengths, points, cells = [], [], []
    for axis, length, end in zip(part.axes, cell_shape, last, strict=True):
        if not isinstance(axis, range):
            lengths.append(length)
            points.append(axis)
            cells.append(np.minimum(axis // length, end))
    if not len(rows):
        return
    counts = [int(cell.max()) + 1 for cell in cells]
    for group in _by_value(np.ravel_multi_index(cells, counts)):
        where = tuple(int(cell[group[0]]) for cell in cells)
        local = tuple(
            axis[group] - cell * length
            for axis, cell, length in zip(points, where, lengths, strict=True)
        )
        yield where, local, rows[group]


def rows_of(part: Part) -> range:
    """Give the rows of a cell's first axis between which a part lies."""
    first = part.axes[0]
    if isinstance(first, range):
        return range(first.start, first.stop)
    return range(int(first.min()), int(first.max()) + 1)


def from_row(part: Part, row: int) -> Part:
    """Count the rows of a part from one of its cell's rows on."""
    if not row:
        return part
    first = part.axes[0]
    if isinstance(first, range):
        first = range(first.start - row, first.stop - row, first.step)
    else:
        first = first - row
    return Part((first, *part.axes[1:]), part.target, part.rows)


def copy(source: NDArray[Any], part: Part, target: NDArray[Any]) -> None:
    """Copy a part's elements from its cell into the target."""
    cell, index, place = _matched(source, part)
    target[place] = cell[index]


def put(target: NDArray[Any], part: Part, source: NDArray[Any]) -> None:
    """Copy a part's elements the other way, from the target into its cell."""
    cell, index, place = _matched(target, part)
    cell[index] = source[place]


def _matched(cell: NDArray[Any], part: Part) -> tuple[NDArray[Any], Any, Any]:
    """Turn a cell's axes, and find the indices of cell and target that match."""
    if part.rows is None:
        if all(type(axis) is range for axis in part.axes):  # then all places are slices
            return cell, tuple([plain(axis) for axis in part.axes]), part.target
        return cell, _crossing(part.axes), _crossing(part.target)
    ranged = [number for number, axis in enumerate(part.axes) if isinstance(axis, range)]
    pointed = [number for number in range(len(part.axes)) if number not in ranged]
    index = tuple(plain(part.axes[number]) for number in [*pointed, *ranged])
    return cell.transpose(*pointed, *ranged), index, (part.rows, *part.target)


def _crossing(axes: Sequence[Axis | Target]) -> tuple[Any, ...]:
    """Make an index in which each axis is taken on its own."""
    each = tuple(map(plain, axes))
    if len([axis for axis in each if type(axis) is not slice]) < 2:
        return each
    return np.ix_(*(_points(axis) for axis in each))


def plain(axis: Axis | Target) -> Target:
    """Make of a range the slice that indexes it."""
    return slice(axis.start, axis.stop, axis.step) if type(axis) is range else axis


def _points(axis: Target) -> NDArray[np.intp]:
    if isinstance(axis, slice):
        return np.arange(axis.start, axis.stop, axis.step, dtype=np.intp)
    return axis
