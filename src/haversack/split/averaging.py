"""Averages of neighbours in an array, right to the last digit that its dtype has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    kind = data.dtype
    if kind.kind == "c":  # part by part, as complex infinities cannot be divided
        parts = [mean_of_pairs(part, axes) for part in (data.real, data.imag)]
        made = np.empty(parts[0].shape, kind)
        made.real, made.imag = parts
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
