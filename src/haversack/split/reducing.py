"""Reductions of arrays that do not fit into memory: one pass, piece by piece."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import UnsupportedError, UsageError
from haversack.split.block import check_dtype
from haversack.split.layout import too_large
from haversack.split.reductions import Axes, How
from haversack.split.streaming import Region, pieces

if TYPE_CHECKING:
    from haversack.split.view import SplitView

_Array = NDArray[Any]
_Type = np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Types:
    """In which type elements are gathered, and which one the result has."""

    gathered: _Type
    result: _Type


@dataclass
class _State:
    """What the pieces seen so far come to: counts, and one or two arrays."""

    types: _Types
    first: _Array
    second: _Array
    count: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Reduction:
    """Which types it has, how a piece joins the state (in place, at its region), and its end."""

    types: Callable[[_Type, _Type | None, _Type | None], _Types]
    start: Callable[[tuple[int, ...], _Types], _State]
    join: Callable[[_State, Region, _Array, tuple[int, ...]], None]
    end: Callable[[_State, float], _Array]


def _sum_types(kind: _Type, asked: _Type | None, out: _Type | None) -> _Types:
    of = (out, kind, None)  # where nothing is asked for, numpy gathers in what out can hold
    found = asked or np.add.resolve_dtypes(of, casting="unsafe", reduction=True)[0]
    return _Types(found, found)


def _mean_types(kind: _Type, asked: _Type | None, out: _Type | None) -> _Types:
    if asked is not None:
        return _Types(asked, asked)
    if kind == np.float16:
        return _Types(np.dtype(np.float32), kind)
    return _sum_types(kind if kind.kind in "fc" else np.dtype(np.float64), None, out)


def _moment_types(kind: _Type, asked: _Type | None, _: _Type | None) -> _Types:
    if asked is not None and asked.kind not in "fc":
        raise UnsupportedError(f"a variance is no {asked}: give a dtype of floats")
    gathered = np.result_type(kind, asked or kind, np.float64)
    real = np.empty(0, kind if kind.kind in "fc" else np.float64).real.dtype
    return _Types(gathered, asked or real)


def _start_sum(shape: tuple[int, ...], types: _Types) -> _State:
    # Sums of pieces are added up in doubles at least: numpy keeps errors small by adding in pairs.
    floats = types.gathered.kind in "fc"
    kept = np.result_type(types.gathered, np.float64) if floats else types.gathered
    return _State(types, np.zeros(shape, kept), np.empty(0), np.zeros(shape, np.int64))


def _join_sum(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
    gathered = state.types.gathered
    total = state.first[where] + piece.sum(axis=axes, dtype=gathered, keepdims=True)
    if total.dtype != gathered:  # what is too large for numpy's sum is so for this one
        rounded = total.astype(gathered)
        total = np.where(np.isfinite(rounded), total, rounded)
    state.first[where] = total
    state.count[where] += math.prod(piece.shape[axis] for axis in axes)


def _end_sum(state: _State, _: float) -> _Array:
    return state.first.astype(state.types.result, copy=False)


def _end_mean(state: _State, _: float) -> _Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(state.first / state.count).astype(state.types.result, copy=False)


def _start_extreme(shape: tuple[int, ...], types: _Types) -> _State:
    found = np.zeros(shape, types.result)
    return _State(types, found, np.empty(0), np.zeros(shape, np.int64))


def _extreme(better: np.ufunc) -> _Reduction:
    def join(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
        found = better.reduce(piece, axis=axes, keepdims=True)
        seen = state.count[where] > 0
        state.first[where] = np.where(seen, better(state.first[where], found), found)
        state.count[where] = 1

    return _Reduction(
        lambda kind, *_: _Types(kind, kind), _start_extreme, join, lambda state, _: state.first
    )


def _start_moments(shape: tuple[int, ...], types: _Types) -> _State:
    mean = np.zeros(shape, types.gathered)
    return _State(types, mean, np.zeros_like(mean.real), np.zeros(shape, np.int64))


def _join_moments(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
    """Add a piece to mean and sum of squared distances (Chan, Golub, LeVeque)."""
    count = math.prod(piece.shape[axis] for axis in axes)
    mean = piece.mean(axis=axes, dtype=state.first.dtype, keepdims=True)
    spread = np.square(np.abs(piece - mean)).sum(axis=axes, keepdims=True)
    before = state.count[where]
    total = before + count
    distance = mean - state.first[where]
    length = np.abs(distance)
    # In this order, so that the square of a large first mean, which counts nothing, is not made.
    state.second[where] += spread + length * (before * count / total) * length
    state.first[where] += distance * (count / total)
    state.count[where] = total


def _end_variance(state: _State, ddof: float) -> _Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(state.second / np.maximum(state.count - ddof, 0))
    return found.astype(state.types.result, copy=False)


def _end_deviation(state: _State, ddof: float) -> _Array:
    return np.asarray(np.sqrt(_end_variance(state, ddof)))


REDUCTIONS = {
    "sum": _Reduction(_sum_types, _start_sum, _join_sum, _end_sum),
    "mean": _Reduction(_mean_types, _start_sum, _join_sum, _end_mean),
    "max": _extreme(np.maximum),
    "min": _extreme(np.minimum),
    "var": _Reduction(_moment_types, _start_moments, _join_moments, _end_variance),
    "std": _Reduction(_moment_types, _start_moments, _join_moments, _end_deviation),
}


def reduce_view(view: SplitView, name: str, axis: Axes, how: How, progress: events.Progress) -> Any:
    """Reduce a view as numpy's function of the same name does.

    Raises
    ------
    UsageError
        Twice the same axis, or an ``out`` of another shape or that cannot be written to.
    UnsupportedError
        A ``dtype`` that is not of numbers, or an ``out`` that is no array.
    numpy.exceptions.AxisError
        No such axis.
    TypeError
        An axis that is no integer.
    ValueError
        A largest or smallest element of nothing.
    TooLargeError
        Memory cannot hold the result.
    """
    axes = _axes(axis, view.ndim)
    shape = tuple(1 if number in axes else length for number, length in enumerate(view.shape))
    if name in {"max", "min"} and any(view.shape[number] == 0 for number in axes):
        raise ValueError(f"the {name} of no elements does not exist: the shape is {view.shape}")
    kept = shape if how.keepdims else tuple(n for at, n in enumerate(view.shape) if at not in axes)
    _check_out(name, how.out, kept)
    reduction = REDUCTIONS[name]
    try:
        state = reduction.start(shape, _types(reduction, view.dtype, how))
    except MemoryError as error:
        raise too_large(shape, view.dtype) from error
    with events.task(progress, name, total=view.nbytes, unit="B") as work:
        for region in pieces(view):
            piece = view[region]
            where = tuple(slice(0, 1) if n in axes else each for n, each in enumerate(region))
            reduction.join(state, where, piece, axes)
            work.advance(piece.nbytes)
    result = reduction.end(state, how.ddof).reshape(kept)
    if how.out is None:
        return result[()]
    np.copyto(how.out, result, casting="unsafe")
    return how.out


def _types(reduction: _Reduction, kind: _Type, how: How) -> _Types:
    """Find the types; numpy's results are in the machine's byte order too."""
    asked = None if how.dtype is None else np.dtype(how.dtype).newbyteorder("=")
    if asked is not None:
        check_dtype(asked)
    out = None if how.out is None else how.out.dtype.newbyteorder("=")
    return reduction.types(kind.newbyteorder("="), asked, out)


def _check_out(name: str, out: Any, shape: tuple[int, ...]) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray):
        raise UnsupportedError(f"out is a {type(out).__name__}; a numpy array is needed")
    check_dtype(out.dtype)
    if name == "std" and out.dtype.kind not in "fc":
        raise UnsupportedError(f"out is {out.dtype}; a deviation needs an array of floats")
    if out.shape != shape or not out.flags.writeable:
        raise UsageError(
            f"out has shape {out.shape}{'' if out.flags.writeable else ' and is read-only'}; "
            f"a writable array of shape {shape} is needed"
        )


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = tuple(map(operator.index, [axis] if hasattr(axis, "__index__") else axis))
    for each in given:
        if not -ndim <= each < ndim:
            raise np.exceptions.AxisError(each, ndim)
    found = tuple(each % ndim for each in given)
    if len(set(found)) != len(found):
        raise UsageError(f"axis {given} names an axis twice")
    return found
