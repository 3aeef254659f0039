"""Which cells of a grid hold the elements of a selection, and where each goes in the result.

The same division serves twice: an array into blocks, then a block into chunks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.split.indexing import Axis, Selection


@dataclass(frozen=True, slots=True)
class Part:
    """Elements within one cell, in its own coordinates, and their places in the target.

    ``target`` has one slice for each axis that is a range; ``rows`` are the places of the points,
    which are the target's first axis, or None where there are no points.
    """

    axes: tuple[Axis, ...]
    target: tuple[slice, ...]
    rows: NDArray[np.intp] | None


def whole(selection: Selection) -> Part:
    """Make the part that is the whole selection."""
    ranges = [axis for axis in selection.axes if isinstance(axis, range)]
    points = [axis for axis in selection.axes if not isinstance(axis, range)]
    rows = np.arange(len(points[0]), dtype=np.intp) if points else None
    return Part(selection.axes, tuple(slice(0, len(axis)) for axis in ranges), rows)


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
    targets = iter(part.target)
    last = tuple(n - 1 for n in grid) if grid else (sys.maxsize,) * len(cell_shape)
    ranged = [
        list(_pieces(axis, next(targets), length, end))
        for axis, length, end in zip(part.axes, cell_shape, last, strict=True)
        if isinstance(axis, range)
    ]
    is_range = [isinstance(axis, range) for axis in part.axes]
    for where, points, rows in _groups(part, cell_shape, last):
        for pieces in product(*ranged):
            cells, axes = iter(where), iter(points)
            spans = iter(pieces)
            chosen = [next(spans) if flag else (next(cells), next(axes), None) for flag in is_range]
            yield (
                tuple(cell for cell, _, _ in chosen),
                Part(
                    tuple(axis for _, axis, _ in chosen),
                    tuple(target for _, _, target in pieces),
                    rows,
                ),
            )


def _pieces(
    wanted: range, target: slice, length: int, last: int
) -> Iterator[tuple[int, range, slice]]:
    """Cut a range at multiples of ``length``."""
    index = 0
    while index < len(wanted):
        cell = min(wanted[index] // length, last)
        base = cell * length
        end = len(wanted)
        if cell < last:
            end = min(end, -(-(base + length - wanted.start) // wanted.step))
        local = range(wanted[index] - base, wanted[end - 1] - base + 1, wanted.step)
        yield cell, local, slice(target.start + index, target.start + end)
        index = end


_Group = tuple[tuple[int, ...], tuple[NDArray[np.intp], ...], NDArray[np.intp] | None]


def _groups(part: Part, cell_shape: tuple[int, ...], last: tuple[int, ...]) -> Iterator[_Group]:
    """Group the points by their cell."""
    if part.rows is None:
        yield (), (), None
        return
    lengths, points, cells = [], [], []
    for axis, length, end in zip(part.axes, cell_shape, last, strict=True):
        if not isinstance(axis, range):
            lengths.append(length)
            points.append(axis)
            cells.append(np.minimum(axis // length, end))
    if not len(part.rows):
        return
    counts = [int(cell.max()) + 1 for cell in cells]
    numbers = np.ravel_multi_index(cells, counts)
    order = np.argsort(numbers, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        where = tuple(int(cell[group[0]]) for cell in cells)
        local = tuple(
            axis[group] - cell * length
            for axis, cell, length in zip(points, where, lengths, strict=True)
        )
        yield where, local, part.rows[group]


def rows_of(part: Part) -> range:
    """Give the rows of a cell's first axis between which a part lies."""
    first = part.axes[0]
    if isinstance(first, range):
        return range(first.start, first.stop)
    return range(int(first.min()), int(first.max()) + 1)


def copy(source: NDArray[Any], part: Part, target: NDArray[Any]) -> None:
    """Copy a part's elements from its cell into the target."""
    ranged = [number for number, axis in enumerate(part.axes) if isinstance(axis, range)]
    slices = tuple(
        slice(axis.start, axis.stop, axis.step) for axis in part.axes if isinstance(axis, range)
    )
    if part.rows is None:
        target[part.target] = source[slices]
        return
    pointed = [number for number in range(len(part.axes)) if number not in ranged]
    index: tuple[Any, ...] = (*(part.axes[number] for number in pointed), *slices)
    place: tuple[Any, ...] = (part.rows, *part.target)
    target[place] = source.transpose(*pointed, *ranged)[index]
