"""What numpy's indexing means for an array that is not in memory.

An index becomes a :class:`Selection`: for each axis of the array a range or a list of points, and
how the elements found lie in the result. Whatever is wrong with an index, numpy itself says.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from haversack.errors import TooLargeError

Axis = range | NDArray[np.intp]


class Selection(NamedTuple):
    """Elements of an array, and the result that they make.

    ``axes`` has one ascending range or one array of points for each axis. With ``points_at`` None
    each array stands for itself, as a range does. Otherwise all arrays have the same length and go
    together, as one axis before the range number ``points_at``. The elements are first laid out
    so (the ranges in ``flipped`` backwards), then reshaped to ``shape``.
    """

    axes: tuple[Axis, ...]
    flipped: tuple[int, ...]
    points_at: int | None
    shape: tuple[int, ...]
    is_scalar: bool

    @property
    def lone(self) -> list[int]:
        """The axes that stand for themselves in the result."""
        if self.points_at is None:
            return list(range(len(self.axes)))
        return [number for number, axis in enumerate(self.axes) if isinstance(axis, range)]


def select(index: Any, shape: tuple[int, ...], *, points_first: bool = False) -> Selection:
    """Work out an index as numpy would for an array of this shape.

    With ``points_first``, what arrays give always comes first in the result.

    Raises
    ------
    IndexError, TypeError, ValueError
        Exactly as numpy does.
    TooLargeError
        Memory cannot hold what the index names.

    Examples
    --------
    >>> select((0, slice(None, None, -1)), (2, 3)).axes
    (range(0, 1), range(0, 3))
    """
    items = index if isinstance(index, tuple) else (index,)
    found = _plain(items, shape)
    if found is not None:
        return found
    try:
        return _Reader(shape, points_first).read([_item(item) for item in items])
    except MemoryError as error:
        raise too_many() from error
    except (IndexError, TypeError, ValueError, OverflowError):
        _refuse(index, shape)


def too_many() -> TooLargeError:
    """Make the error of an index that memory cannot hold."""
    return TooLargeError(
        "the index names more elements than memory can hold: read them part by part"
    )


def _plain(items: tuple[Any, ...], shape: tuple[int, ...]) -> Selection | None:
    """Work out the commonest indices, of integers and slices alone, the short way."""
    if len(items) > len(shape):
        return None
    axes = [range(length) for length in shape]
    flipped, lengths = [], []
    for number, item in enumerate(items):
        if type(item) is int:
            length = shape[number]
            if not -length <= item < length:
                return None
            at = item if item >= 0 else item + length
            axes[number] = range(at, at + 1)
        elif type(item) is slice and item.step != 0:
            try:
                wanted = axes[number][item]
            except (TypeError, ValueError, OverflowError):
                return None
            if wanted.step < 0:
                flipped.append(number)
                wanted = wanted[::-1]
            axes[number] = wanted
            lengths.append(len(wanted))
        else:
            return None
    lengths += shape[len(items) :]
    is_scalar = len(items) == len(shape) and not lengths
    return Selection(tuple(axes), tuple(flipped), None, tuple(lengths), is_scalar)


def _refuse(index: Any, shape: tuple[int, ...]) -> NoReturn:
    np.broadcast_to(np.empty((), np.bool_), shape)[index]
    raise IndexError(f"the index {index!r} does not fit an array of shape {shape}")


def _item(item: Any) -> Any:
    """Reduce an item to None, Ellipsis, a slice, an int, or an array of bool or intp."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if not isinstance(item, (bool, np.bool_, np.ndarray)):
        try:
            return operator.index(item)
        except TypeError:
            pass
    array = np.asarray(item)
    if array.size == 0 and not isinstance(item, np.ndarray):
        return array.astype(np.intp)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in "iu":
        raise IndexError
    return int(array) if array.ndim == 0 else array.astype(np.intp)


def _spans(item: Any) -> int:
    """Count the axes that an item takes."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == np.bool_ else 1


class _Reader:
    """Goes through the items of one index from left to right."""

    def __init__(self, shape: tuple[int, ...], points_first: bool) -> None:
        self._shape, self._points_first = shape, points_first
        self._axes: list[Axis] = []  # arrays of points not yet broadcast
        self._flipped: list[int] = []
        self._lengths: list[int] = []  # of the result, without what the arrays give
        self._joint: list[tuple[int, ...]] = []  # shapes that broadcast to the arrays' part
        self._advanced: list[tuple[int, int, int]] = []  # item number, result axis, range number
        self._has_arrays = False

    def read(self, items: list[Any]) -> Selection:
        self._has_arrays = any(isinstance(item, np.ndarray) for item in items)
        ellipses = sum(item is Ellipsis for item in items)
        missing = len(self._shape) - sum(map(_spans, items))
        if ellipses > 1 or missing < 0:
            raise IndexError
        for number, item in enumerate(items if ellipses else [*items, Ellipsis]):
            self._take(number, item, missing)
        only_ints = all(isinstance(item, int) for item in items)
        return self._finish(is_scalar=only_ints and not self._lengths)

    def _take(self, number: int, item: Any, missing: int) -> None:
        if item is None:
            self._lengths.append(1)
        elif item is Ellipsis:
            for _ in range(missing):
                self._slice(slice(None))
        elif isinstance(item, slice):
            self._slice(item)
        else:
            if self._has_arrays:
                ranges = sum(isinstance(axis, range) for axis in self._axes)
                self._advanced.append((number, len(self._lengths), ranges))
            self._integers(item)

    def _slice(self, item: slice) -> None:
        wanted = range(*item.indices(self._shape[len(self._axes)]))
        self._lengths.append(len(wanted))
        if wanted.step < 0:
            self._flipped.append(len(self._axes))
            wanted = wanted[::-1]
        self._axes.append(wanted)

    def _integers(self, item: Any) -> None:
        if isinstance(item, int):
            length = self._shape[len(self._axes)]
            if not -length <= item < length:
                raise IndexError
            self._axes.append(range(item % length, item % length + 1))
        elif item.dtype != np.bool_:
            self._axes.append(item)
            self._joint.append(item.shape)
        elif item.ndim == 0:
            self._joint.append((int(item),))
        else:
            axis = len(self._axes)
            lengths = self._shape[axis : axis + item.ndim]
            # numpy takes a mask of length 0 on any axis.
            if any(n not in {0, m} for n, m in zip(item.shape, lengths, strict=True)):
                raise IndexError
            found = item.nonzero()
            self._axes.extend(found)
            self._joint.append(found[0].shape)

    def _finish(self, *, is_scalar: bool) -> Selection:
        if not self._has_arrays:
            return Selection(
                tuple(self._axes), tuple(self._flipped), None, tuple(self._lengths), is_scalar
            )
        joint = np.broadcast_shapes(*self._joint)
        numbers = [number for number, _, _ in self._advanced]
        together = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        together = together and not self._points_first
        _, at, points_at = self._advanced[0] if together else (0, 0, 0)
        axes = tuple(
            axis if isinstance(axis, range) else self._spread(number, axis, joint)
            for number, axis in enumerate(self._axes)
        )
        shape = (*self._lengths[:at], *joint, *self._lengths[at:])
        return Selection(axes, tuple(self._flipped), points_at, shape, is_scalar=False)

    def _spread(self, number: int, points: NDArray[np.intp], joint: tuple[int, ...]) -> Axis:
        """Wrap negative points, check them, and bring them to the joint shape."""
        length = self._shape[number]
        wrapped = np.where(points < 0, points + length, points)
        # Where nothing is taken, numpy does not look at the points.
        if math.prod(joint) and bool(((wrapped < 0) | (wrapped >= length)).any()):
            raise IndexError
        return np.broadcast_to(wrapped, joint).reshape(-1)
