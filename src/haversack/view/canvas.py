"""What all pictures share: colours, a figure without global state, and how it becomes a file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from haversack.errors import MissingExtraError
from haversack.storage import publish

INK, FAINT, LINE, PAPER = "#1b2733", "#6b7783", "#d5dbe1", "#ffffff"
DPI = 150

# Distinct, and legible on top of greens and browns.
PALETTE = (
    "#e0a526",
    "#1f8f4d",
    "#f2e34c",
    "#b5296e",
    "#e4672b",
    "#67c3a0",
    "#3f7fd0",
    "#8d63c4",
    "#8c5a3c",
    "#d98fb6",
    "#7d8791",
    "#00b3c7",
)


def new_figure(width: float, height: float) -> Any:
    """Make a figure of so many inches that belongs to nobody else."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "pictures need matplotlib: pip install 'haversack[plot]'"
        ) from error
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def write_png(figure: Any, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Publish a figure as a PNG; its directory is made when missing."""
    target = Path(path)
    _take_literally(figure)
    figure.canvas.draw()
    opaque = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    content = io.BytesIO()
    _pillow().fromarray(opaque).save(content, "png")
    put = publish.replace if overwrite else publish.create
    with publish.in_new_directory(target.absolute().parent):
        put(target, content.getvalue())
    return target


def _take_literally(figure: Any) -> None:
    """Let all that is written stand for itself: a name may have dollars, or bytes of no text."""
    from matplotlib.text import Text

    for written in figure.findobj(Text):
        written.set_parse_math(False)
        text = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in written.get_text())
        written.set_text(text)


def _pillow() -> Any:
    # It comes with matplotlib.
    from PIL import Image

    return Image


def write_heading(figure: Any, heading: str | None, note: str | None, *, top: float) -> None:
    """Write a heading and a note beside the left edge, ``top`` inches below the upper one."""
    width, height = figure.get_size_inches()
    left = 0.3 / width
    if heading:
        figure.text(
            left, 1 - top / height, heading, size=15, weight="bold", color=INK, va="top", ha="left"
        )
    if note:
        below = top + (0.36 if heading else 0)
        figure.text(left, 1 - below / height, note, size=9.5, color=FAINT, va="top", ha="left")
