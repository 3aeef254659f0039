"""Pictures of a split array: a plane, a projection, or the trace of a pixel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import ExistsError, UsageError
from haversack.split import SplitDataset, SplitView
from haversack.storage.looking import exists
from haversack.view.canvas import FAINT, INK, LINE, PALETTE, new_figure, write_heading, write_png

PROJECTIONS = ("max", "mean", "min", "std", "sum")
_WIDTH, _MARGIN, _TOP = 8.0, 0.3, 0.9
_MOST = 2048  # elements along an axis that are drawn: a picture has fewer dots
_LARGEST = 1e300  # no ticks are found for what is much larger
_NOT_A_NUMBER = (0.7, 0.82, 0.95)


def draw_array(
    array: SplitDataset | SplitView,
    path: str | os.PathLike[str],
    *,
    project: str | None = None,
    overwrite: bool = True,
) -> Path:
    """Draw what is seen of an array as a PNG: two axes as a plane, one as a trace.

    Parameters
    ----------
    array
        An array or a view of one. Of more than two axes the middle of the first ones is taken,
        unless they are projected. Of more than 2048 elements along an axis that is drawn, every
        second, third, ... is read, and the picture says so.
    path
        The PNG to write; its directory is made when missing.
    project
        ``"max"``, ``"mean"``, ``"min"``, ``"std"`` or ``"sum"`` over all axes but the last two,
        read piece by piece.
    overwrite
        Whether a file that is there is replaced.

    Raises
    ------
    ExistsError
        The file is there, and is not to be replaced.
    UsageError
        There is nothing to see, no such projection, or nothing to project: two axes or one.
    MissingExtraError
        matplotlib is not installed.
    """
    if not overwrite and exists(Path(path)):
        raise ExistsError(f"{path} already exists")
    if project is not None and project not in PROJECTIONS:
        raise UsageError(f"projection {project!r} is not known: use one of {PROJECTIONS}")
    with np.errstate(over="ignore", invalid="ignore"):  # the picture says what is infinite, or none
        figure = _figure(array.view[...], project)
    return write_png(figure, path, overwrite=overwrite)


def _figure(view: SplitView, project: str | None) -> Any:
    if not view.ndim or not view.size:
        raise UsageError(f"there is nothing to draw of an array of shape {view.shape}")
    if project is not None and view.ndim < 3:
        raise UsageError(
            f"there is nothing to project: an array of shape {view.shape} is drawn as it is. "
            "Projections are over all axes but the last two"
        )
    note = f"{view.shape} of {view.source.shape} {view.dtype}"
    name = view.source.root.resolve().name
    view, thinned = _thinned(view)
    note += thinned
    if project is not None:
        data = getattr(view, project)(tuple(range(view.ndim - 2)))
        return _draw_plane(np.asarray(data), f"{name}: {project}", note)
    if view.ndim > 2:
        middle = tuple(length // 2 for length in view.shape[:-2])
        view, note = view.view[middle], f"{note}, at {middle}"
    data = np.asarray(view)
    if view.ndim == 1:
        return _draw_trace(view, data, name, note)
    return _draw_plane(data, name, note)


def _thinned(view: SplitView) -> tuple[SplitView, str]:
    """Leave out what no picture could show; say so."""
    steps = [-(-length // _MOST) for length in view.shape[-2:]]
    if max(steps) == 1:
        return view, ""
    wanted = (..., *(slice(None, None, step) for step in steps))
    return view.view[wanted], f", every {' x '.join(map(str, steps))}"


def _draw_plane(data: NDArray[Any], name: str, note: str) -> Any:
    values, note = _numbers(data, note)
    low, high = limits(values)
    rows, columns = values.shape
    height = min(20.0, max(1.0, _WIDTH * rows / columns))
    figure = new_figure(_WIDTH + 2 * _MARGIN, height + _TOP + _MARGIN)
    width, tall = figure.get_size_inches()
    axes = figure.add_axes(
        (_MARGIN / width, _MARGIN / tall, _WIDTH / width, height / tall), frameon=False
    )
    axes.set_axis_off()
    axes.imshow(_greys(values, low, high), interpolation="nearest", aspect="equal")
    write_heading(figure, name, f"{note}; {_range(values, low, high)}", top=0.2)
    return figure


def _numbers(data: NDArray[Any], note: str) -> tuple[NDArray[np.float64], str]:
    """Make doubles of what is drawn, the magnitude of complex values; say so."""
    if data.dtype.kind == "c":
        return np.abs(data).astype(np.float64), f"{note}, magnitude"
    return data.astype(np.float64), note


def _greys(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float32]:
    """Make colours of values: infinite ones are black and white, and what is no number is blue."""
    part = 1.0 if np.isfinite(high - low) else 2.0  # where their distance is no double
    grey = (np.clip(values, low, high) / part - low / part) / (high / part - low / part)
    colours = np.repeat(grey[..., None].astype(np.float32), 3, axis=-1)
    colours[np.isnan(values)] = _NOT_A_NUMBER
    return colours


def _range(values: NDArray[np.float64], low: float, high: float) -> str:
    """Say what is black and what is white, and what has no grey of its own."""
    known = values[np.isfinite(values)]
    if not known.size:
        told = "nothing finite"
    elif known.min() == known.max():
        told = f"constant {known[0]:g}"
    else:
        told = f"{low:g} to {high:g}"
    return told + _not_finite(values, " (blue)")


def _not_finite(values: NDArray[np.float64], how: str = "") -> str:
    missing, infinite = np.isnan(values).sum(), np.isinf(values).sum()
    told = f", {missing} NaN{how}" if missing else ""
    return f"{told}, {infinite} infinite" if infinite else told


def _draw_trace(view: SplitView, data: NDArray[Any], name: str, note: str) -> Any:
    values, note = _numbers(data, note)
    note += _not_finite(values)
    if np.abs(values[np.isfinite(values)]).max(initial=0) > _LARGEST:
        values, note = values / _LARGEST, f"{note}, divided by {_LARGEST:g}"
    places, label = _places(view)
    figure = new_figure(_WIDTH + 2 * _MARGIN, 4)
    axes = figure.add_axes((0.1, 0.15, 0.86, 0.6))
    axes.plot(places, values, color=PALETTE[6], linewidth=1)
    # What has no neighbour is no line.
    known = np.pad(np.isfinite(values), 1)
    lone = known[1:-1] & ~known[:-2] & ~known[2:]
    axes.plot(places[lone], values[lone], ".", color=PALETTE[6])
    axes.set_xlabel(label, color=INK)
    axes.tick_params(colors=FAINT)
    axes.grid(color=LINE, linewidth=0.5)
    for side in axes.spines.values():
        side.set_visible(False)
    write_heading(figure, name, note, top=0.2)
    return figure


def _places(view: SplitView) -> tuple[NDArray[np.float64], str]:
    """Say where in the source the elements of a trace lie, and along what."""
    about = view.source.about
    [(axis, seen)] = [(n, seen) for n, seen in enumerate(view.seen) if isinstance(seen, range)]
    name, unit, numbers = about.axes[axis], about.step_units[axis], np.asarray(seen, np.float64)
    step = about.steps[axis]
    if not step or not abs(step) <= _LARGEST / max(1.0, numbers.max()):
        return numbers, name
    return numbers * step, f"{name} ({unit})" if unit else name


def limits(data: NDArray[Any]) -> tuple[float, float]:
    """Choose what is black and what is white: almost all of the values lie between.

    Values that are not finite have no say; of complex ones the magnitude counts.
    """
    values = np.abs(data) if data.dtype.kind == "c" else data
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    # Values that are there, as those between the largest ones of a dtype may overflow.
    found = np.percentile(known, (0.5, 99.5), method="nearest")
    low, high = (float(value) for value in found)
    if high > low:
        return low, high
    width = max(1.0, abs(low))
    return (low, low + width) if np.isfinite(low + width) else (low - width, low)
