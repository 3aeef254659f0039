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
    return write_png(_figure(array.view[...], project), path, overwrite=overwrite)


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
    shown = np.abs(data) if data.dtype.kind == "c" else data.astype(np.float64)
    low, high = limits(shown)
    rows, columns = shown.shape
    height = min(20.0, max(1.0, _WIDTH * rows / columns))
    figure = new_figure(_WIDTH + 2 * _MARGIN, height + _TOP + _MARGIN)
    width, tall = figure.get_size_inches()
    axes = figure.add_axes(
        (_MARGIN / width, _MARGIN / tall, _WIDTH / width, height / tall), frameon=False
    )
    axes.imshow(shown, cmap="gray", vmin=low, vmax=high, interpolation="nearest", aspect="equal")
    axes.set_axis_off()
    write_heading(figure, name, f"{note}; {low:g} to {high:g}", top=0.2)
    return figure


def _draw_trace(view: SplitView, data: NDArray[Any], name: str, note: str) -> Any:
    about = view.about
    step, unit = about.steps[0] or 1.0, about.step_units[0]
    figure = new_figure(_WIDTH + 2 * _MARGIN, 4)
    axes = figure.add_axes((0.1, 0.15, 0.86, 0.6))
    values = np.abs(data) if data.dtype.kind == "c" else data
    axes.plot(np.arange(len(values)) * step, values, color=PALETTE[6], linewidth=1)
    axes.set_xlabel(f"{about.axes[0]} ({unit})" if unit else about.axes[0], color=INK)
    axes.tick_params(colors=FAINT)
    axes.grid(color=LINE, linewidth=0.5)
    for side in axes.spines.values():
        side.set_visible(False)
    write_heading(figure, name, note, top=0.2)
    return figure


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
    return (low, high) if high > low else (low, low + max(1.0, abs(low)))
