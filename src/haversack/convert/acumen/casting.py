"""Change an array's dtype, but never its values unseen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from haversack.errors import UsageError

_INEXACT = "fc"


def plain_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Make a dtype of fixed bytes of what was given."""
    try:
        made = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{dtype!r} is no dtype: give one like float16 or uint8") from error
    if made.hasobject or made.itemsize == 0:
        raise UsageError(f"values of dtype {made} have no fixed bytes: give one like float16")
    return made


def converted(array: NDArray[Any], dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Give an array in another dtype; None keeps its own.

    Floats may be rounded to narrower floats, since that is what narrower floats are for; every
    other conversion has to keep each value.

    Raises
    ------
    UsageError
        A value would change, or become infinite.

    Examples
    --------
    >>> converted(np.array([1, 2048]), np.dtype("float16"))
    array([1.000e+00, 2.048e+03], dtype=float16)
    >>> converted(np.array([2049]), np.dtype("float16"))
    Traceback (most recent call last):
    haversack.errors.UsageError: values of int64 would change as float16: ...
    """
    if dtype is None or array.dtype == dtype:
        return array
    # numpy calls 64-bit integers safe as float64, which has 53 bits.
    risky = array.dtype.kind in "iu" and dtype.kind in _INEXACT
    if np.can_cast(array.dtype, dtype, "safe") and not risky:
        return array.astype(dtype)
    if {array.dtype.kind, dtype.kind} <= set("biuf") or dtype.kind == array.dtype.kind == "c":
        with np.errstate(all="ignore"):
            made = array.astype(dtype)
            kept = _kept(array, made)
        if kept:
            return made
    raise UsageError(
        f"values of {array.dtype} would change as {dtype}: leave dtype out to keep them, "
        "or convert them yourself"
    )


def _kept(array: NDArray[Any], made: NDArray[Any]) -> bool:
    if array.dtype.kind in _INEXACT and made.dtype.kind in _INEXACT:
        return bool(np.array_equal(np.isfinite(array), np.isfinite(made)))
    if made.dtype.kind == "f":
        return _fits(made, array.dtype) and bool((made.astype(array.dtype) == array).all())
    if array.dtype.kind == "f":
        return _fits(array, made.dtype) and bool((made.astype(array.dtype) == array).all())
    return bool((made == array).all())


def _fits(floats: NDArray[Any], integer: np.dtype[Any]) -> bool:
    """Whether floats lie in the range of an integer dtype: beyond it a cast gives anything."""
    if integer.kind == "b":
        return bool(np.isfinite(floats).all())
    wide, limits = floats.astype(np.longdouble), np.iinfo(integer)
    low, end = np.longdouble(limits.min), np.longdouble(2) ** (limits.bits - (integer.kind == "i"))
    return bool(((wide >= low) & (wide < end)).all())
