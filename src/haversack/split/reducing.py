"""Reductions of arrays that do not fit into memory: one pass, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import UsageError
from haversack.split.reductions import Axes, How
from haversack.split.streaming import Region, pieces

if TYPE_CHECKING:
    from haversack.split.view import SplitView

_Array = NDArray[Any]


@dataclass
class _State:
    """What the pieces seen so far come to: counts, and one or two arrays."""

    first: _Array
    second: _Array
    count: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Reduction:
    """How a piece joins the state (in place, at its region), and what the state ends as."""

    start: Callable[[tuple[int, ...], np.dtype[Any]], _State]
    join: Callable[[_State, Region, _Array, tuple[int, ...]], None]
    end: Callable[[_State, np.dtype[Any], float], _Array]


def _sum_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    found: np.dtype[Any] = np.sum(np.empty(0, dtype)).dtype
    return found


def _float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type in which means are gathered: more than the result has."""
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _start_sum(shape: tuple[int, ...], dtype: np.dtype[Any]) -> _State:
    kept = _sum_type(dtype)
    wide = _float_type(dtype) if kept.kind in "fc" else kept
    return _State(np.zeros(shape, wide), np.empty(0), np.empty(0, np.int64))


def _join_sum(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
    state.first[where] += piece.sum(axis=axes, dtype=state.first.dtype, keepdims=True)


def _end_sum(state: _State, dtype: np.dtype[Any], _: float) -> _Array:
    return state.first.astype(_sum_type(dtype), copy=False)


def _start_extreme(shape: tuple[int, ...], dtype: np.dtype[Any]) -> _State:
    return _State(np.zeros(shape, dtype), np.empty(0), np.zeros(shape, np.int64))


def _extreme(better: np.ufunc) -> _Reduction:
    def join(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
        found = better.reduce(piece, axis=axes, keepdims=True)
        seen = state.count[where] > 0
        state.first[where] = np.where(seen, better(state.first[where], found), found)
        state.count[where] = 1

    return _Reduction(_start_extreme, join, lambda state, *_: state.first)


def _start_moments(shape: tuple[int, ...], dtype: np.dtype[Any]) -> _State:
    zeros = np.zeros(shape, _float_type(dtype))
    return _State(zeros, np.zeros(shape, np.float64), np.zeros(shape, np.int64))


def _join_moments(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
    """Add a piece to mean and sum of squared distances (Chan, Golub, LeVeque)."""
    count = math.prod(piece.shape[axis] for axis in axes)
    mean = piece.mean(axis=axes, dtype=state.first.dtype, keepdims=True)
    spread = np.square(np.abs(piece - mean)).sum(axis=axes, keepdims=True)
    before = state.count[where]
    total = before + count
    distance = mean - state.first[where]
    state.second[where] += spread + np.square(np.abs(distance)) * (before * count / total)
    state.first[where] += distance * (count / total)
    state.count[where] = total


def _join_mean(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
    state.first[where] += piece.sum(axis=axes, dtype=state.first.dtype, keepdims=True)
    state.count[where] += math.prod(piece.shape[axis] for axis in axes)


def _mean_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def _end_mean(state: _State, dtype: np.dtype[Any], _: float) -> _Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(state.first / state.count).astype(_mean_type(dtype), copy=False)


def _end_variance(state: _State, dtype: np.dtype[Any], ddof: float) -> _Array:
    real = np.empty(0, _mean_type(dtype)).real.dtype
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(state.second / np.maximum(state.count - ddof, 0)).astype(real, copy=False)


def _end_deviation(state: _State, dtype: np.dtype[Any], ddof: float) -> _Array:
    return np.asarray(np.sqrt(_end_variance(state, dtype, ddof)))


REDUCTIONS = {
    "sum": _Reduction(_start_sum, _join_sum, _end_sum),
    "mean": _Reduction(_start_moments, _join_mean, _end_mean),
    "max": _extreme(np.maximum),
    "min": _extreme(np.minimum),
    "var": _Reduction(_start_moments, _join_moments, _end_variance),
    "std": _Reduction(_start_moments, _join_moments, _end_deviation),
}


def reduce_view(view: SplitView, name: str, axis: Axes, how: How, progress: events.Progress) -> Any:
    """Reduce a view as numpy's function of the same name does.

    Raises
    ------
    UsageError
        Twice the same axis.
    numpy.exceptions.AxisError
        No such axis.
    ValueError
        A largest or smallest element of nothing.
    """
    axes = _axes(axis, view.ndim)
    shape = tuple(1 if number in axes else length for number, length in enumerate(view.shape))
    if name in {"max", "min"} and any(view.shape[number] == 0 for number in axes):
        raise ValueError(f"the {name} of no elements does not exist: the shape is {view.shape}")
    reduction = REDUCTIONS[name]
    dtype = view.dtype.newbyteorder("=")  # numpy's results are in the machine's order too
    state = reduction.start(shape, dtype)
    with events.task(progress, name, total=view.nbytes, unit="B") as work:
        for region in pieces(view):
            piece = view[region]
            where = tuple(slice(0, 1) if n in axes else each for n, each in enumerate(region))
            reduction.join(state, where, piece, axes)
            work.advance(piece.nbytes)
    result = reduction.end(state, dtype, how.ddof)
    kept = shape if how.keepdims else tuple(n for at, n in enumerate(view.shape) if at not in axes)
    result = result.reshape(kept)
    if how.dtype is not None:
        result = result.astype(how.dtype, copy=False)
    if how.out is None:
        return result[()]
    how.out[...] = result
    return how.out


def _axes(axis: Axes, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    for each in given:
        if not -ndim <= each < ndim:
            raise np.exceptions.AxisError(each, ndim)
    found = tuple(each % ndim for each in given)
    if len(set(found)) != len(found):
        raise UsageError(f"axis {given} names an axis twice")
    return found
