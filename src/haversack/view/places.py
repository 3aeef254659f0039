"""A map of where the items of a catalog lie, coloured by when they were taken."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from haversack.catalog import Catalog, Selection
from haversack.errors import EmptySelectionError
from haversack.view.canvas import DPI, FAINT, INK, LINE, new_figure, write_heading, write_png
from haversack.view.mapping import Frame, draw_grid, frame_of, scale_of

_TALLEST, _NARROWEST = 5.6, 6.0
_QUIET, _TINY = "#aab3bc", 0.008
_UNKNOWN = np.iinfo(np.int64).min
_BUSIEST = 24
_COLOURS, _FIRST, _LAST = "plasma", 0.06, 0.93


@dataclass(frozen=True, slots=True)
class _Spot:
    """One footprint, and the spans of time of the items that have it."""

    shape: Any
    chosen: bool
    spans: tuple[tuple[int, int], ...]


def footprints(
    catalog: Catalog,
    path: str | os.PathLike[str],
    *,
    chosen: Selection | Sequence[int] | None = None,
    area: Sequence[float] | Mapping[str, Any] | None = None,
    heading: str | None = None,
    note: str | None = None,
    width: int = 1600,
) -> Path:
    """Draw a map of a catalog's footprints as a PNG, one panel for each collection.

    A footprint with several items is cut into strips, one for each date.

    Parameters
    ----------
    catalog
        What to draw. Items without geometry are left out.
    path
        The PNG to write; its directory is made when missing.
    chosen
        The items to colour, as a selection or as row numbers; the others become outlines. By
        default all are coloured.
    area
        A box (west, south, east, north) or a GeoJSON geometry to outline.
    heading, note
        Written above; the catalog's title by default.
    width
        Of the picture in pixels.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EmptySelectionError
        No item has a geometry.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> from haversack.catalog import read_catalog
    >>> from haversack.demo import make_hub
    >>> _ = make_hub("hub", small=True)
    >>> footprints(read_catalog("hub/demo_flood_events"), "map.png").name
    'map.png'
    """
    rows = np.arange(len(catalog.items)) if chosen is None else _rows(chosen)
    spots = _spots(catalog, set(rows.tolist()))
    if not spots:
        raise EmptySelectionError(f"no item of {catalog.id!r} has a geometry to draw")
    outline = None if area is None else _outline(area)
    everything = [spot.shape for of_one in spots.values() for spot in of_one]
    frame = frame_of([*everything, *([] if outline is None else [outline])])
    page = _Page(len(spots), frame, width / DPI, heads=1 if note is None else 2)
    figure = new_figure(page.width, page.height)
    write_heading(figure, heading or catalog.title or catalog.id, note, top=0.2)
    times = _range(spots)
    for number, (name, of_one) in enumerate(spots.items()):
        axes = page.axes(figure, number)
        draw_grid(axes, frame)
        _draw(axes, of_one, times, frame)
        if outline is not None:
            _draw_outline(axes, outline)
        axes.set_title(name, size=9.5, color=INK, loc="left", pad=5)
    page.write_scale(figure, frame)
    _draw_times(page.bar(figure), times)
    return write_png(figure, path)


class _Page:
    """Where the panels and the colour bar lie, in inches."""

    def __init__(self, panels: int, frame: Frame, width: float, *, heads: int) -> None:
        self.across = min(panels, 3 if frame.aspect < 1.6 else 2)
        self.down = -(-panels // self.across)
        self.left, self.between, self.top = 0.72, 0.72, 0.48 + 0.26 * heads
        gaps = self.left + 0.3 + self.between * (self.across - 1)
        self.tall = min((width - gaps) / self.across / frame.aspect, _TALLEST)
        self.panel = self.tall * frame.aspect
        self.width = max(gaps + self.across * self.panel, _NARROWEST)
        self.row = self.tall + 0.62
        self.foot = 0.72
        self.height = self.top + self.down * self.row + self.foot - 0.2

    def axes(self, figure: Any, number: int) -> Any:
        """Make the axes of a panel."""
        row, column = divmod(number, self.across)
        x = self.left + column * (self.panel + self.between)
        y = self.height - self.top - row * self.row - self.tall
        return figure.add_axes(
            (x / self.width, y / self.height, self.panel / self.width, self.tall / self.height)
        )

    def bar(self, figure: Any) -> Any:
        """Make the axes of the colour bar."""
        length = min(5.0, 0.55 * self.width)
        box = (self.left / self.width, 0.42 / self.height, length / self.width, 0.12 / self.height)
        return figure.add_axes(box)

    def write_scale(self, figure: Any, frame: Frame) -> None:
        """Write the scale that all panels share at the right end of the foot."""
        from matplotlib.lines import Line2D

        kilometres, share = scale_of(frame)
        end, height = 1 - 0.3 / self.width, 0.48 / self.height
        start = end - share * self.panel / self.width
        figure.add_artist(Line2D([start, end], [height, height], color=INK, lw=2.2))
        middle, below = (start + end) / 2, 0.26 / self.height
        figure.text(middle, below, f"{kilometres:g} km", size=8, color=FAINT, ha="center")


def _rows(chosen: Selection | Sequence[int]) -> NDArray[np.int64]:
    return np.asarray(chosen.items if isinstance(chosen, Selection) else chosen, np.int64)


def _spots(catalog: Catalog, chosen: set[int]) -> dict[str, list[_Spot]]:
    """Bring the items of each collection that share a footprint together."""
    items = catalog.items
    first, last, codes = items.t0, items.t1, items.collection.codes
    groups: dict[tuple[int, bool, bytes], list[tuple[int, int]]] = {}
    for row in range(len(items)):
        key = (int(codes[row]), row in chosen, items.geometry[row])
        groups.setdefault(key, []).append((int(first[row]), int(last[row])))
    spots: dict[str, list[_Spot]] = {}
    for (code, coloured, geometry), spans in groups.items():
        shape = shapely.from_geojson(geometry, on_invalid="ignore") if geometry else None
        if shape is not None and not shape.is_empty:
            of_one = spots.setdefault(items.collection.values[code], [])
            of_one.append(_Spot(shape, coloured, tuple(sorted(spans)[:_BUSIEST])))
    return spots


def _range(spots: Mapping[str, Sequence[_Spot]]) -> tuple[int, int] | None:
    known = [
        moment
        for of_one in spots.values()
        for spot in of_one
        if spot.chosen
        for span in spot.spans
        for moment in span
        if moment != _UNKNOWN
    ]
    return (min(known), max(known)) if known else None


def _outline(area: Sequence[float] | Mapping[str, Any]) -> Any:
    if not isinstance(area, Mapping):
        return shapely.box(area[0], area[1], area[-2] if len(area) == 4 else area[3], area[-1])
    import json

    return shapely.from_geojson(json.dumps(area.get("geometry", area)))


@dataclass(slots=True)
class _Ink:
    """All that is drawn in a panel, gathered so that each kind is drawn at once."""

    frame: Frame
    dot: float
    areas: list[Any] = field(default_factory=list)
    area_colours: list[Any] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)
    line_colours: list[str] = field(default_factory=list)
    dots: list[tuple[float, float]] = field(default_factory=list)
    dot_sizes: list[float] = field(default_factory=list)
    dot_colours: list[Any] = field(default_factory=list)
    dot_edges: list[str] = field(default_factory=list)

    def add(self, spot: _Spot, colours: Sequence[Any]) -> None:
        """Take a footprint: points and what is tiny become rings, a polygon strips and a line."""
        edge = INK if spot.chosen else _QUIET
        for part in shapely.get_parts(spot.shape):
            if part.geom_type == "Point" or self._is_tiny(part):
                self._add_rings(part.centroid, colours, edge)
                continue
            if part.geom_type == "Polygon":
                self._add_strips(part, colours)
            self.lines.append(shapely.get_coordinates(shapely.get_exterior_ring(part) or part))
            self.line_colours.append(edge)

    def _is_tiny(self, part: Any) -> bool:
        west, south, east, north = part.bounds
        wide, tall = self.frame.east - self.frame.west, self.frame.north - self.frame.south
        return bool(max((east - west) / wide, (north - south) / tall) < _TINY)

    def _add_rings(self, point: Any, colours: Sequence[Any], edge: str) -> None:
        # The first date outside.
        for number, colour in enumerate(colours or ["none"]):
            self.dots.append((point.x, point.y))
            self.dot_sizes.append(self.dot * (1 - number / max(len(colours), 1)) ** 2)
            self.dot_colours.append(colour)
            self.dot_edges.append(edge if number == 0 else "none")

    def _add_strips(self, polygon: Any, colours: Sequence[Any]) -> None:
        west, south, east, north = polygon.bounds
        edges = np.linspace(west, east, len(colours) + 1)
        strips = shapely.intersection(shapely.box(edges[:-1], south, edges[1:], north), polygon)
        for strip, colour in zip(strips, colours, strict=True):
            for part in shapely.get_parts(strip):
                if part.geom_type == "Polygon":
                    self.areas.append(shapely.get_coordinates(part.exterior))
                    self.area_colours.append(colour)

    def draw(self, axes: Any) -> None:
        """Draw areas, then lines, then dots."""
        from matplotlib.collections import LineCollection, PolyCollection

        paint = self.area_colours
        axes.add_collection(PolyCollection(self.areas, fc=paint, ec=paint, lw=0.3, zorder=3))
        axes.add_collection(LineCollection(self.lines, colors=self.line_colours, lw=0.7, zorder=4))
        if self.dots:
            look = {
                "facecolor": self.dot_colours,
                "edgecolor": self.dot_edges,
                "lw": 0.6 if self.dot > 20 else 0,
            }
            axes.scatter(*np.array(self.dots).T, s=self.dot_sizes, zorder=5, **look)


def _draw(axes: Any, spots: Sequence[_Spot], times: tuple[int, int] | None, frame: Frame) -> None:
    from matplotlib import colormaps

    colours = colormaps[_COLOURS]
    ink = _Ink(frame=frame, dot=max(90 / max(len(spots) / 200, 1), 3))
    # Those that were chosen lie on top.
    for spot in sorted(spots, key=lambda spot: spot.chosen):
        ink.add(spot, [colours(shade) for shade in _shades(spot, times)])
    ink.draw(axes)


def _shades(spot: _Spot, times: tuple[int, int] | None) -> list[float]:
    """Place each date of a spot between 0 and 1; a single range becomes a row of steps."""
    if not spot.chosen or times is None:
        return []
    start, length = times[0], max(times[1] - times[0], 1)
    known = [span for span in spot.spans if span[0] != _UNKNOWN]
    if len(known) == 1 and known[0][1] > known[0][0]:
        moments: Sequence[float] = np.linspace(*known[0], 40).tolist()
    else:
        moments = [(first + last) / 2 for first, last in known]
    return [_FIRST + (_LAST - _FIRST) * (moment - start) / length for moment in moments]


def _draw_outline(axes: Any, outline: Any) -> None:
    for part in shapely.get_parts(outline):
        if part.geom_type == "Polygon":
            axes.plot(*part.exterior.xy, color="#00766c", lw=1.8, ls=(0, (5, 3)), zorder=6)


def _draw_times(axes: Any, times: tuple[int, int] | None) -> None:
    from matplotlib import colormaps

    if times is None:
        axes.set_axis_off()
        return
    ramp = colormaps[_COLOURS](np.linspace(_FIRST, _LAST, 256))[None]
    axes.imshow(ramp, aspect="auto", extent=(0, 1, 0, 1), interpolation="bilinear")
    ticks = np.array(times, "datetime64[us]").astype("datetime64[D]")
    marks = np.linspace(0, 1, 5)
    days = ticks[0] + (marks * (ticks[1] - ticks[0]).astype(int)).astype("timedelta64[D]")
    texts = axes.set_xticks(marks, [str(day) for day in days], size=8, color=FAINT)
    for text, side in ((texts[0], "left"), (texts[-1], "right")):
        text.label1.set_horizontalalignment(side)
    axes.set_yticks([])
    axes.tick_params(length=2.5, color=LINE)
    for side in axes.spines.values():
        side.set_visible(False)
