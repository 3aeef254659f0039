"""Averages of neighbours in an array, right to the last digit that its dtype has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.split.reductions.streaming import parts

_LOW = (1 << 32) - 1


def mean_of_pairs(data: NDArray[Any], axes: Collection[int]) -> NDArray[Any]:
    """Average pairs of elements along axes; a last one without a partner stands alone.

    The result has the array's dtype. Integers are rounded once, halves to the even neighbour; no
    intermediate value overflows.

    Examples
    --------
    >>> mean_of_pairs(np.array([[255, 254, 7], [255, 253, 8]], "uint8"), {0, 1})
    array([[254,   8]], dtype=uint8)
    """
    shape = [-(-n // 2) if axis in axes else n for axis, n in enumerate(data.shape)]
    made = np.empty(shape, data.dtype)
    for where in parts(shape, range(data.ndim)):  # as doubles all may have eight times the bytes
        of = (
            slice(2 * each.start, 2 * each.stop) if axis in axes else each
            for axis, each in enumerate(where)
        )
        made[where] = _mean(data[(*of,)], axes)
    return made


def _mean(data: NDArray[Any], axes: Collection[int]) -> NDArray[Any]:
    kind = data.dtype
    if kind.kind == "c":  # each alone, as complex infinities cannot be divided
        real, imaginary = (_mean(each, axes) for each in (data.real, data.imag))
        made = np.empty(real.shape, kind)
        made.real, made.imag = real, imaginary
        return made
    if kind.kind == "f":
        wide = np.result_type(kind, np.float64)
        found = _halved(data.astype(wide), axes)
    elif kind.itemsize < 8:
        found = np.rint(_halved(data.astype(np.float64), axes))
    else:
        found = _of_long_integers(data, axes)
    return found.astype(kind, copy=False)


def _of_long_integers(data: NDArray[Any], axes: Collection[int]) -> NDArray[Any]:
    """Average the upper and the lower half of their bits, each of which a double holds exactly."""
    high = _halved((data >> 32).astype(np.float64), axes)
    low = _halved((data & _LOW).astype(np.float64), axes)
    whole = np.floor(high)
    rest = np.rint((high - whole) * (_LOW + 1) + low)
    kind = data.dtype.newbyteorder("=")
    return np.asarray((whole.astype(kind) << 32) + rest.astype(kind))


def _halved(result: NDArray[Any], axes: Collection[int]) -> NDArray[Any]:
    for axis in axes:
        if result.shape[axis] % 2:
            last = np.take(result, [-1], axis)
            result = np.concatenate([result, last], axis)
        front = (slice(None),) * axis
        with np.errstate(invalid="ignore"):  # opposite infinities: the mean is not a number
            halves = result / 2
            result = halves[(*front, slice(0, None, 2))] + halves[(*front, slice(1, None, 2))]
    return result
