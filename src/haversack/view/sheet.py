"""A contact sheet: many small images side by side, with their labels."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import EmptySelectionError, UsageError
from haversack.view.canvas import DPI, FAINT, INK, PALETTE, new_figure, write_heading, write_png
from haversack.view.stretch import choose_bands, stretch

_MARGIN, _GAP, _LEGEND_ROW = 0.3, 0.06, 0.28
Classes = Mapping[int, str | tuple[str, Any]]


def contact_sheet(
    images: Sequence[Any],
    path: str | os.PathLike[str],
    *,
    labels: Sequence[NDArray[Any] | None] | None = None,
    classes: Classes | None = None,
    titles: Sequence[str | None] | None = None,
    columns: int | Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    bands: Sequence[int] | None = None,
    heading: str | None = None,
    note: str | None = None,
    width: int = 1600,
) -> Path:
    """Draw images side by side as a PNG, with their labels on top and a legend below.

    Parameters
    ----------
    images
        Arrays ``(bands, y, x)`` or ``(y, x)``, or records that hold such arrays. All are stretched
        in the same way, robustly against clouds.
    path
        The PNG to write; its directory is made when missing.
    labels
        For each image a mask ``(y, x)`` of class numbers to lay over it, or None. 0 is no class.
    classes
        Name of each class number, or its name and colour.
    titles
        A line above each image. Records have their date by default.
    columns
        How many side by side, or what to write above each column.
    rows
        What to write beside each row.
    bands
        One band, or those for red, green and blue. By default the third, second and first; two
        bands and their difference; or the only one.
    heading, note
        Written above it all.
    width
        Of the picture in pixels.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EmptySelectionError
        There are no images.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> chips = np.random.default_rng(0).integers(0, 4000, (6, 4, 32, 32), np.uint16)
    >>> contact_sheet(chips, "chips.png", columns=3, titles=list("abcdef")).name
    'chips.png'
    """
    if len(images) == 0:
        raise EmptySelectionError("a contact sheet needs at least one image")
    for name, given in (("labels", labels), ("titles", titles)):
        if given is not None and len(given) != len(images):
            raise UsageError(f"{len(given)} {name} for {len(images)} images: give one for each")
    arrays = [_array(image) for image in images]
    chosen = [choose_bands(array, bands) for array in arrays]
    seen = stretch(chosen, true_colour=all(array.shape[0] > 2 for array in arrays))
    masks = labels if labels is not None else [None] * len(images)
    above = titles if titles is not None else [_date(image) for image in images]
    colours = _colours(classes or {}, masks)
    across = _across(len(images), columns)
    page = _Page(
        count=len(images),
        across=across,
        shape=seen[0].shape[:2],
        width=width / DPI,
        titled=any(above),
        column_titles=() if columns is None or isinstance(columns, int) else tuple(columns),
        row_titles=tuple(rows or ()),
        head=0.36 * bool(heading) + 0.26 * bool(note),
        entries=len(colours),
    )
    figure = new_figure(page.width, page.height)
    write_heading(figure, heading, note, top=0.2)
    for number, (image, mask, title) in enumerate(zip(seen, masks, above, strict=True)):
        axes = page.axes(figure, number)
        _draw(axes, image, mask, colours)
        if title:
            axes.set_title(title, size=8.5, color=INK, pad=3)
    page.write_titles(figure)
    page.write_legend(figure, colours)
    return write_png(figure, path)


class _Page:
    """Where everything lies, in inches."""

    def __init__(
        self,
        *,
        count: int,
        across: int,
        shape: tuple[int, ...],
        width: float,
        titled: bool,
        column_titles: tuple[str, ...],
        row_titles: tuple[str, ...],
        head: float,
        entries: int,
    ) -> None:
        self.across, self.width = across, width
        self.column_titles, self.row_titles = column_titles, row_titles
        self.down = -(-count // across)
        self.left = _MARGIN + (0.32 if row_titles else 0)
        self.cell = (width - self.left - _MARGIN - _GAP * (across - 1)) / across
        self.tall = self.cell * shape[0] / shape[1]
        self.gap = _GAP + (0.2 if titled else 0)
        self.top = 0.2 + head + (0.28 if column_titles else 0) + (0.2 if titled else 0)
        self.per_row = max(1, int((width - 2 * _MARGIN) / 1.45))
        self.foot = 0.24 + _LEGEND_ROW * -(-entries // self.per_row)
        self.height = self.top + self.down * (self.tall + self.gap) - self.gap + self.foot

    def axes(self, figure: Any, number: int) -> Any:
        """Make the axes of an image."""
        row, column = divmod(number, self.across)
        x = self.left + column * (self.cell + _GAP)
        y = self.height - self.top - row * (self.tall + self.gap) - self.tall
        box = (x / self.width, y / self.height, self.cell / self.width, self.tall / self.height)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        return axes

    def write_titles(self, figure: Any) -> None:
        """Write what stands above the columns and beside the rows."""
        for column, text in enumerate(self.column_titles[: self.across]):
            x = self.left + column * (self.cell + _GAP) + self.cell / 2
            y = self.height - self.top + 0.07
            figure.text(x / self.width, y / self.height, text, size=9.5, color=INK, ha="center")
        for row, text in enumerate(self.row_titles[: self.down]):
            y = self.height - self.top - row * (self.tall + self.gap) - self.tall / 2
            x = (self.left - 0.12) / self.width
            figure.text(
                x,
                y / self.height,
                text,
                size=9.5,
                color=FAINT,
                rotation=90,
                va="center",
                ha="right",
            )

    def write_legend(self, figure: Any, colours: Mapping[int, tuple[str, Any]]) -> None:
        """Write the classes below the images, as many in a line as fit."""
        from matplotlib.patches import Rectangle

        for number, (name, colour) in enumerate(colours.values()):
            row, column = divmod(number, self.per_row)
            x = self.left + 1.45 * column
            y = self.foot - 0.3 - _LEGEND_ROW * row
            corner = (x / self.width, y / self.height)
            size = (0.2 / self.width, 0.14 / self.height)
            figure.add_artist(Rectangle(corner, *size, color=colour, transform=figure.transFigure))
            text_at = ((x + 0.28) / self.width, (y + 0.065) / self.height)
            figure.text(*text_at, name, size=9.5, color=INK, va="center")


def _array(image: Any) -> NDArray[Any]:
    return image if isinstance(image, np.ndarray) else np.asarray(getattr(image, "data", image))


def _date(image: Any) -> str | None:
    when = {} if isinstance(image, np.ndarray) else getattr(image, "metadata", {})
    moment = when.get("datetime") or when.get("start_datetime")
    return str(moment)[:10] if moment else None


def _across(count: int, columns: int | Sequence[str] | None) -> int:
    if columns is None:
        return min(count, max(4, round(math.sqrt(1.6 * count))))
    across = columns if isinstance(columns, int) else len(columns)
    if across < 1:
        raise UsageError(f"columns={columns!r}: give at least one")
    return across


def _colours(classes: Classes, masks: Sequence[NDArray[Any] | None]) -> dict[int, tuple[str, Any]]:
    """Give every class that is named or seen a name and a colour."""
    seen = {int(value) for mask in masks if mask is not None for value in np.unique(mask)}
    numbers = sorted((seen | set(classes)) - {0})
    colours = {}
    for place, number in enumerate(numbers):
        given = classes.get(number, str(number))
        name, colour = (given, PALETTE[place % len(PALETTE)]) if isinstance(given, str) else given
        colours[number] = (name, colour)
    return colours


def _draw(
    axes: Any,
    image: NDArray[Any],
    mask: NDArray[Any] | None,
    colours: Mapping[int, tuple[str, Any]],
) -> None:
    from matplotlib.colors import to_rgb

    if mask is None:
        axes.imshow(image, interpolation="bicubic", aspect="auto")
        return
    grey = np.repeat(image.mean(-1, keepdims=True), 3, -1)
    painted = np.where((np.asarray(mask) == 0)[..., None], 0.55 * grey + 0.3, grey)
    for number, (_, colour) in colours.items():
        inside = np.asarray(mask) == number
        painted[inside] = 0.22 * grey[inside] + 0.78 * np.array(to_rgb(colour))
    axes.imshow(painted.clip(0, 1), interpolation="nearest", aspect="auto")
