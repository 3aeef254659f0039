"""Reductions of arrays that do not fit into memory: one pass, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import UnsupportedError
from haversack.split.planning.layout import memory_for, too_large
from haversack.split.reductions.asking import axes_asked, check_how, dtype_asked
from haversack.split.reductions.methods import Axes, How
from haversack.split.reductions.streaming import Region, parts, pieces

if TYPE_CHECKING:
    from haversack.split.view import SplitView

_Array = NDArray[Any]
_Type = np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Types:
    """In which type elements are gathered, and which one the result has without an ``out``."""

    gathered: _Type
    result: _Type
    drops: bool = False  # whether the mean of complex numbers loses its imaginary part, as numpy's


@dataclass
class _State:
    """What the pieces seen so far come to: counts, and one or two arrays."""

    types: _Types
    first: _Array
    second: _Array
    count: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Reduction:
    """Which types it has, how a piece joins the state (in place, at its region), and its end.

    The end is told what the number of degrees of freedom lacks, and the type of an ``out``.
    """

    types: Callable[[_Type, _Type | None, _Type | None], _Types]
    start: Callable[[tuple[int, ...], _Types], _State]
    join: Callable[[_State, Region, _Array, tuple[int, ...]], None]
    end: Callable[[_State, float, _Type | None], _Array]


def _loop(ufunc: np.ufunc, kind: _Type, out: _Type | None) -> _Type:
    """Find in what numpy gathers where nothing is asked for: it depends on what goes into out."""
    of = (out, kind, None)
    found: _Type = ufunc.resolve_dtypes(of, casting="unsafe", reduction=True)[0]
    return found


def _sum_types(kind: _Type, asked: _Type | None, out: _Type | None) -> _Types:
    found = asked or _loop(np.add, kind, out)
    return _Types(found, found)


def _mean_types(kind: _Type, asked: _Type | None, out: _Type | None) -> _Types:
    if asked is not None:
        return _Types(asked, asked)
    if kind == np.float16:
        return _Types(np.dtype(np.float32), kind)
    return _sum_types(kind, None if kind.kind in "fc" else np.dtype(np.float64), out)


def _moment_types(kind: _Type, asked: _Type | None, _: _Type | None) -> _Types:
    if asked is not None and asked.kind not in "fc":
        raise UnsupportedError(f"a variance is no {asked}: give a dtype of floats")
    gathered = np.result_type(kind, asked or kind, np.float64)
    real = np.empty(0, kind if kind.kind in "fc" else np.float64).real.dtype
    drops = asked is not None and asked.kind == "f" and gathered.kind == "c"
    return _Types(gathered, asked or real, drops)


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


def _end_sum(state: _State, _: float, into: _Type | None) -> _Array:  # noqa: ARG001 (one family)
    return state.first.astype(state.types.gathered, copy=False)


def _end_mean(state: _State, ddof: float, into: _Type | None) -> _Array:
    """Divide the sum where numpy does: in its own type, or in that of out."""
    found = _divided(_end_sum(state, ddof, into), state.count, into)
    return found.astype(into or state.types.result, copy=False)


def _divided(total: _Array, count: _Array, into: _Type | None) -> _Array:
    found = total.astype(into or total.dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        np.true_divide(found, count, out=found, casting="unsafe")
    return found


def _start_extreme(shape: tuple[int, ...], types: _Types) -> _State:
    found = np.zeros(shape, types.gathered)
    return _State(types, found, np.empty(0), np.zeros(shape, np.int64))


def _extreme(better: np.ufunc) -> _Reduction:
    def join(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
        found = better.reduce(piece, axis=axes, keepdims=True)
        seen = state.count[where] > 0
        state.first[where] = np.where(seen, better(state.first[where], found), found)
        state.count[where] = 1

    return _Reduction(
        lambda kind, _, out: _Types(kind, _loop(better, kind, out)),
        _start_extreme,
        join,
        lambda state, *_: state.first.astype(state.types.result, copy=False),
    )


def _start_moments(shape: tuple[int, ...], types: _Types) -> _State:
    mean = np.zeros(shape, types.gathered)
    return _State(types, mean, np.zeros_like(mean.real), np.zeros(shape, np.int64))


def _join_moments(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
    """Join small parts of a piece, which as doubles may have eight times its bytes."""
    kept = [axis for axis in range(piece.ndim) if axis not in axes]  # first: these cost the least
    for part in parts(piece.shape, [*kept, *axes]):
        place = tuple(
            each if axis in axes else slice(each.start + inner.start, each.start + inner.stop)
            for axis, (each, inner) in enumerate(zip(where, part, strict=True))
        )
        _join_part(state, place, piece[part], axes)


def _join_part(state: _State, where: Region, piece: _Array, axes: tuple[int, ...]) -> None:
    """Add to mean and sum of squared distances (Chan, Golub, LeVeque)."""
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


def _end_variance(state: _State, ddof: float, into: _Type | None) -> _Array:
    spread, free = state.second, np.maximum(state.count - ddof, 0)
    if state.types.drops:
        spread = spread + state.count * np.square(state.first.imag)
    if into is not None and into.kind not in "fc":
        return _divided(spread, free, into)
    return _divided(spread, free, None).astype(state.types.result, copy=False)


def _end_deviation(state: _State, ddof: float, into: _Type | None) -> _Array:
    return np.asarray(np.sqrt(_end_variance(state, ddof, into)))


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
        A ``dtype`` that is not of numbers, an ``out`` that is no array, types that do not go
        together with numpy either, an axis that is no integer, a ``ddof`` that is no number.
    numpy.exceptions.AxisError
        No such axis.
    ValueError
        A largest or smallest element of nothing.
    TooLargeError
        Memory cannot hold the result, or a piece.
    """
    axes = axes_asked(axis, view.ndim)
    asked = dtype_asked(how.dtype)
    shape = tuple(1 if number in axes else length for number, length in enumerate(view.shape))
    if name in {"max", "min"} and any(view.shape[number] == 0 for number in axes):
        raise ValueError(f"the {name} of no elements does not exist: the shape is {view.shape}")
    kept = shape if how.keepdims else tuple(n for at, n in enumerate(view.shape) if at not in axes)
    check_how(name, view.dtype, how, kept)
    reduction = REDUCTIONS[name]
    into = None if how.out is None else how.out.dtype
    types = _types(reduction, view.dtype, asked, into)
    try:
        state = reduction.start(shape, types)
    except MemoryError as error:
        raise too_large(shape, types.gathered) from error
    with memory_for(f"{name} of {view!r}"):
        with events.task(progress, name, total=view.nbytes, unit="B") as work:
            for region in pieces(view):
                piece = view[region]
                where = tuple(slice(0, 1) if n in axes else each for n, each in enumerate(region))
                reduction.join(state, where, piece, axes)
                work.advance(piece.nbytes)
        result = reduction.end(state, how.ddof, into).reshape(kept)
    if how.out is None:
        return result[()]
    np.copyto(how.out, result, casting="unsafe")
    return how.out


def _types(reduction: _Reduction, *kinds: _Type | None) -> _Types:
    """Find the types; numpy's results are in the machine's byte order too."""
    kind, asked, into = (each and each.newbyteorder("=") for each in kinds)
    assert kind is not None
    return reduction.types(kind, asked, into)
