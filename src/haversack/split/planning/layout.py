"""How what is read is laid out in the result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import TooLargeError, UsageError
from haversack.split.planning.indexing import Selection
from haversack.split.planning.plan import Part, whole

Job = tuple[NDArray[Any], Part]  # what is to be filled, with which part


def lay_out(
    selection: Selection, dtype: np.dtype[Any], out: NDArray[Any] | None = None
) -> tuple[NDArray[Any], Job | None]:
    """Make the array that a selection becomes, and what is to be filled of it with which part.

    Raises
    ------
    UsageError
        ``out`` does not fit.
    TooLargeError
        Memory cannot hold it.
    """
    if out is not None:
        _check(out, selection.shape, dtype)
    usable = out is not None and out.flags.c_contiguous
    try:
        result = out if usable and out is not None else np.empty(selection.shape, dtype)
    except MemoryError as error:
        raise too_large(selection.shape, dtype) from error
    if 0 in selection.shape:
        return result, None
    everything = whole(selection)
    lone = selection.lone
    lengths = [len(selection.axes[number]) for number in lone]
    if everything.rows is None and not selection.flipped:
        return result, (result.reshape(lengths), everything)
    flips = tuple(slice(None, None, -1 if n in selection.flipped else 1) for n in lone)
    if everything.rows is None:
        return result, (result.reshape(lengths)[flips], everything)
    assert selection.points_at is not None
    lengths.insert(selection.points_at, len(everything.rows))
    laid = np.moveaxis(result.reshape(lengths), selection.points_at, 0)
    return result, (laid[(slice(None), *flips)], everything)


def finish(selection: Selection, result: NDArray[Any], out: NDArray[Any] | None) -> Any:
    """Give what the caller gets: a scalar, his own array, or the result."""
    if out is None:
        return result[()] if selection.is_scalar else result
    if out is not result:
        out[...] = result
    return out


def too_large(shape: tuple[int, ...], dtype: np.dtype[Any]) -> TooLargeError:
    """Make the error of an array that memory cannot hold."""
    size = math.prod(shape) * dtype.itemsize
    return TooLargeError(
        f"{dtype} of shape {shape} has {size} bytes, more than memory can hold: read it part by "
        "part"
    )


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Say what lacked memory.

    Raises
    ------
    TooLargeError
        Memory could not be had.
    """
    try:
        yield
    except TooLargeError:
        raise
    except MemoryError as error:
        why = f" ({error})" if str(error) else ""
        raise TooLargeError(
            f"{what} needs more memory than there is{why}: end other programs, raise the limit, or "
            "save the array anew in smaller blocks"
        ) from error


def _check(out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        raise UsageError(f"out is a {type(out).__name__}; a numpy array is needed")
    # The scalar that an index of integers gives has the machine's byte order.
    same = out.dtype == dtype or (shape == () and out.dtype == dtype.newbyteorder("="))
    if out.shape != shape or not same or not out.flags.writeable:
        raise UsageError(
            f"out is {out.dtype} of shape {out.shape}{'' if out.flags.writeable else ', read-only'}"
            f"; a writable array of {dtype} with shape {shape} is needed"
        )
