"""What a reduction is asked for, checked before anything is read: axes, dtype, out and ddof."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from haversack.errors import UnsupportedError, UsageError
from haversack.split.blockfiles.block import Shape, as_dtype, check_dtype
from haversack.split.reductions.methods import Axes, How


def axes_asked(axis: Axes, ndim: int) -> Shape:
    """Take the axes to reduce along, all by default, as numbers from 0 on.

    Raises
    ------
    UnsupportedError
        One is no integer.
    UsageError
        One is named twice.
    numpy.exceptions.AxisError
        There is no such axis.
    """
    if axis is None:
        return tuple(range(ndim))
    try:
        numbers = tuple(map(operator.index, axis if isinstance(axis, tuple) else [axis]))
    except TypeError as error:
        raise UnsupportedError(
            f"axis {axis!r} is neither an integer, nor a tuple of them, nor None"
        ) from error
    for each in numbers:
        if not -ndim <= each < ndim:
            raise np.exceptions.AxisError(each, ndim)
    found = tuple(each % ndim for each in numbers)
    if len(set(found)) != len(found):
        raise UsageError(f"axis {numbers} names an axis twice")
    return found


def dtype_asked(dtype: DTypeLike | None) -> np.dtype[Any] | None:
    """Take the dtype to gather in.

    Raises
    ------
    UnsupportedError
        It is none, or not one of numbers.
    """
    if dtype is None:
        return None
    found = as_dtype(dtype)
    check_dtype(found)
    return found


def check_how(name: str, kind: np.dtype[Any], how: How, shape: Shape) -> None:
    """Refuse what numpy refuses for an array of this dtype, whose result has this shape.

    Raises
    ------
    UnsupportedError
        The types do not go together, or ``out`` is no array, or ``ddof`` no number.
    UsageError
        ``out`` has another shape, or cannot be written to.
    """
    if not isinstance(how.ddof, int | float | np.integer | np.floating):
        raise UnsupportedError(f"ddof {how.ddof!r} is no number")
    _check_out(how.out, shape)
    out = None if how.out is None else np.empty((), how.out.dtype)
    types = {} if how.dtype is None else {"dtype": how.dtype}
    try:  # whether types go together, numpy tells of one element as of many
        getattr(np.ones(1, kind), name)(out=out, **types)
    except TypeError as error:
        into = "" if out is None else f" into an out of {out.dtype}"
        raise UnsupportedError(f"no {name} of {kind} goes{into}: {error}") from error


def _check_out(out: Any, shape: Shape) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray):
        raise UnsupportedError(f"out is a {type(out).__name__}; a numpy array is needed")
    check_dtype(out.dtype)
    if out.shape != shape or not out.flags.writeable:
        raise UsageError(
            f"out has shape {out.shape}{'' if out.flags.writeable else ' and is read-only'}; "
            f"a writable array of shape {shape} is needed"
        )
