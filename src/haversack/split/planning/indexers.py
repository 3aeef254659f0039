"""The other ways to index: each axis on its own (``oindex``), points first, and lazily."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from haversack.split.planning.indexing import Axis, Selection, too_many


def select_orthogonal(index: Any, shape: tuple[int, ...]) -> Selection:
    """Work out an index whose items each take their own axis: a grid of what they name.

    An item is an integer (its axis is dropped), a slice, a list or array of integers, or a mask of
    the axis; one Ellipsis may stand for axes that are taken whole.

    Raises
    ------
    IndexError
        Another kind of item, too many of them, or one that points outside of its axis.
    TooLargeError
        Memory cannot hold what the index names.

    Examples
    --------
    >>> select_orthogonal(([3, 1], [0, 1, 1]), (4, 2)).shape
    (2, 3)
    """
    axes: list[Axis] = []
    flipped: list[int] = []
    lengths: list[int] = []
    for number, (item, length) in enumerate(zip(_expanded(index, shape), shape, strict=True)):
        if isinstance(item, slice):
            wanted = range(length)[item]
            if wanted.step < 0:
                flipped.append(number)
                wanted = wanted[::-1]
            axes.append(wanted)
        else:
            axes.append(range(item, item + 1) if isinstance(item, int) else item)
        if not isinstance(item, int):
            lengths.append(len(axes[-1]))
    return Selection(tuple(axes), tuple(flipped), None, tuple(lengths), is_scalar=not lengths)


def _expanded(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """Bring an index to one item for each axis: an int, a slice or checked points."""
    items = list(index) if isinstance(index, tuple) else [index]
    at = [number for number, item in enumerate(items) if item is Ellipsis]
    if len(at) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    missing = len(shape) - len(items) + len(at)
    if missing < 0:
        raise IndexError(f"{len(items)} items index an array of {len(shape)} axes")
    place = at[0] if at else len(items)
    items[place : place + len(at)] = [slice(None)] * missing
    try:
        return [
            _item(item, axis, length)
            for axis, (item, length) in enumerate(zip(items, shape, strict=True))
        ]
    except MemoryError as error:
        raise too_many() from error


def _item(item: Any, axis: int, length: int) -> Any:
    if isinstance(item, slice):
        return item
    if not isinstance(item, bool | np.bool_ | np.ndarray):
        try:
            number = operator.index(item)
        except TypeError:
            pass
        else:
            return int(_inside(np.array([number]), axis, length)[0])
    points = np.asarray(item)
    if points.size == 0 and not isinstance(item, np.ndarray):
        points = points.astype(np.intp)
    if points.ndim == 0 and points.dtype.kind in "iu":
        return int(_inside(points.reshape(1), axis, length)[0])
    if points.ndim != 1 or points.dtype.kind not in "biu":
        raise IndexError(
            f"item {axis} is neither an integer, a slice, a list of integers nor a mask of its axis"
        )
    if points.dtype.kind == "b":
        if len(points) != length:
            raise IndexError(f"a mask of {len(points)} does not fit axis {axis} of length {length}")
        return points.nonzero()[0]
    return _inside(points, axis, length)


def _inside(points: Any, axis: int, length: int) -> Any:
    """Wrap negative points, and check all."""
    if points.dtype == object or bool(((points < -length) | (points >= length)).any()):
        raise IndexError(f"{points} is out of bounds for axis {axis} of length {length}")
    signed = points.astype(np.intp)
    return np.where(signed < 0, signed + length, signed)


def window(index: Any, ranges: tuple[range, ...]) -> tuple[range | int, ...]:
    """Take a part of some axes by integers and slices, without reading anything.

    Raises
    ------
    IndexError
        A list, a mask or a new axis, too many items, or an integer outside of its axis.

    Examples
    --------
    >>> window((slice(None, None, -1), 2), (range(0, 10, 3), range(5, 9)))
    (range(9, -3, -3), 7)
    """
    items = _expanded(index, tuple(map(len, ranges)))
    if any(isinstance(item, np.ndarray) for item in items):
        raise IndexError("a view takes integers and slices only: read it to index by lists")
    return tuple(axis[item] for axis, item in zip(ranges, items, strict=True))
