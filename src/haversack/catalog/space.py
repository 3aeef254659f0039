"""Bounding boxes and geometries, also across the antimeridian."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from haversack.errors import UsageError

_Degrees = NDArray[np.float64]
_NAN = math.nan
_FLAT = [0, 1, 3, 4]
_MISSING = frozenset({b"", b"null"})
_DEGREES = "longitude/latitude (EPSG:4326)"
_IN_DEGREES = re.compile(r"\b(CRS84h?|(EPSG|epsg)\S*\b4326)\b")


class Box(NamedTuple):
    """A bounding box; west is greater than east where it crosses the antimeridian."""

    west: float
    south: float
    low: float
    east: float
    north: float
    high: float


NOWHERE = Box(*[_NAN] * 6)


def read_box(bbox: Sequence[float | None] | None, geometry: bytes) -> Box:
    """Read an item's box of 4 or 6 numbers; without one, take its geometry's."""
    if bbox is not None and None not in bbox:
        if len(bbox) == 4:
            return Box(bbox[0], bbox[1], -math.inf, bbox[2], bbox[3], math.inf)  # type: ignore[arg-type]
        if len(bbox) == 6:
            return Box(*bbox)  # type: ignore[arg-type]
    shape = _shape_or_none(geometry)
    if shape is None or shape.is_empty:
        return NOWHERE
    west, south, east, north = shape.bounds
    return Box(west, south, -math.inf, east, north, math.inf)


def read_boxes(
    boxes: Sequence[Sequence[float | None] | None], geometries: Sequence[bytes | msgspec.Raw]
) -> NDArray[np.float64]:
    """Read the boxes of many items, as :func:`read_box` does each: (items, 6)."""
    read = np.full((len(boxes), 6), math.inf)
    odd: Iterable[int] = range(len(boxes))
    plain = [box for box in boxes if box is not None and len(box) == 4]
    if len(plain) == len(boxes):  # as nearly all are
        flat = np.array(list(chain.from_iterable(plain)), np.float64)  # NaN for None
        read[:, _FLAT] = flat.reshape(-1, 4)
        read[:, 2] = -math.inf
        odd = np.flatnonzero(np.isnan(flat.reshape(-1, 4)).any(axis=1)).tolist()
    for row in odd:
        read[row] = read_box(boxes[row], bytes(geometries[row]))
    return read


def box_filter(bbox: Any) -> Box:
    """Check the numbers of a ``bbox`` filter: W, S, E, N or W, S, low, E, N, high in degrees.

    Examples
    --------
    >>> box_filter([170, -10, -170, 10]).west
    170.0
    """
    try:
        values = [float(value) for value in bbox]
    except (TypeError, ValueError):
        values = []
    if len(values) not in {4, 6} or not all(map(math.isfinite, values)):
        raise UsageError(f"bbox takes 4 or 6 numbers (west, south, east, north), not {bbox!r}")
    box = read_box(values, b"")
    if box.south > box.north or box.low > box.high:
        raise UsageError(f"bbox {bbox!r}: its south is north of its north; the order is W, S, E, N")
    _check_degrees(f"bbox {bbox!r}", box)
    return _box_within_a_turn(box)


def _check_degrees(what: str, box: Box) -> None:
    if max(abs(box.west), abs(box.east)) > 360 or max(abs(box.south), abs(box.north)) > 90:
        raise UsageError(f"{what} is not in degrees: give {_DEGREES}")


def overlap(boxes: NDArray[np.float64], box: Box) -> NDArray[np.bool_]:
    """Tell which boxes (n, 6) share at least a point with one; unknown ones do not.

    Examples
    --------
    >>> boxes = np.array([box_filter([179, 0, -179, 1]), box_filter([0, 0, 1, 1])])
    >>> overlap(boxes, box_filter([-180, 0, -179.5, 1])).tolist()
    [True, False]
    """
    near = (boxes[:, 1] <= box.north) & (boxes[:, 4] >= box.south)
    rows = np.flatnonzero(near)
    if len(rows) * 4 < len(boxes):  # few are left for the closer look
        near[rows] = _share(boxes[rows], box)
    else:
        near &= _share(boxes, box)
    return near


def _share(boxes: NDArray[np.float64], box: Box) -> NDArray[np.bool_]:
    """Tell which boxes, of those between its south and north, share a point with a box."""
    low, high = boxes[:, 2], boxes[:, 5]
    west, east = _within_a_turn(boxes[:, 0], boxes[:, 3])
    spans = [(box.west, box.east)]
    if box.west > box.east:
        spans = [(box.west, 180.0), (-180.0, box.east)]
    across = west > east
    any_across = bool(across.any())
    shared = np.zeros(len(boxes), bool)
    for first, last in spans:
        reaches, begins = east >= first, west <= last
        shared |= reaches & begins
        if any_across:
            shared |= across & (reaches | begins)
    if math.isfinite(box.low) or math.isfinite(box.high):
        shared &= (low <= box.high) & (high >= box.low)
    return shared


def _within_a_turn(west: _Degrees, east: _Degrees) -> tuple[_Degrees, _Degrees]:
    """Write longitudes beyond 180 degrees as others do: 170 to 190 is 170 to -170.

    Examples
    --------
    >>> west, east = _within_a_turn(np.array([170.0, -190, -10]), np.array([190.0, -180, 350]))
    >>> west.tolist(), east.tolist()
    ([170.0, 170.0, -180.0], [-170.0, -180.0, 180.0])
    """
    both = west, east
    if all(each.min(initial=0) >= -180 and each.max(initial=0) <= 180 for each in both):
        return both
    beyond = (np.abs(west) > 180) | (np.abs(east) > 180)
    whole = beyond & (east - west >= 360)
    with np.errstate(invalid="ignore"):  # infinity is nowhere
        turned = [np.where(np.abs(each) > 180, (each + 180) % 360 - 180, each) for each in both]
    return np.where(whole, -180.0, turned[0]), np.where(whole, 180.0, turned[1])


def _box_within_a_turn(box: Box) -> Box:
    west, east = _within_a_turn(np.array(box.west), np.array(box.east))
    return box._replace(west=float(west), east=float(east))


def area_filter(area: Any) -> BaseGeometry:
    """Turn GeoJSON (a geometry, Feature or FeatureCollection) or a shape into one geometry.

    Raises
    ------
    UsageError
        It holds no geometry, or one that is not in longitude and latitude.
    """
    shape = _one_shape(area)
    _check_degrees("the geometry of intersects", bounds(shape))
    return _turned(shape)


def _one_shape(area: Any) -> BaseGeometry:
    if isinstance(area, BaseGeometry):
        return _valid(area)
    area = getattr(area, "__geo_interface__", area)
    shapes = [] if not isinstance(area, dict) else list(_shapes_in(area))
    if not shapes or all(shape.is_empty for shape in shapes):
        raise UsageError(
            "intersects takes a GeoJSON geometry, Feature or FeatureCollection with at least one "
            f"geometry, not {_short(area)}"
        )
    return _valid(shapely.union_all(shapes) if len(shapes) > 1 else shapes[0])


def _shapes_in(area: Any) -> Iterable[BaseGeometry]:
    if not isinstance(area, dict):
        raise UsageError(f"intersects: {_short(area)} is no GeoJSON geometry")
    if area.get("crs") is not None and not _IN_DEGREES.search(str(area["crs"])):
        raise UsageError(f"intersects is in the system {_short(area['crs'])}: give {_DEGREES}")
    if area.get("type") == "FeatureCollection":
        for feature in area.get("features") or ():
            yield from _shapes_in(feature)
    elif area.get("type") == "Feature":
        if area.get("geometry"):
            yield from _shapes_in(area["geometry"])
    else:
        shape = _shape_or_none(msgspec.json.encode(area))
        if shape is None:
            raise UsageError(f"intersects: {_short(area)} is no GeoJSON geometry")
        yield _valid(shape)


def meets(
    geometries: Sequence[bytes], boxes: NDArray[np.float64], area: BaseGeometry
) -> list[bool]:
    """Tell which GeoJSON geometries share a point with an area; a missing one is its box (n, 6)."""
    told = [None if geometry in _MISSING else geometry for geometry in geometries]
    shapes = shapely.from_geojson(np.array(told, object), on_invalid="ignore")
    for row in np.flatnonzero(~shapely.is_valid(shapes)).tolist():  # a missing one is not valid
        missing = shapes[row] is None
        shapes[row] = _box_shape(Box(*boxes[row].tolist())) if missing else _valid(shapes[row])
    reach = np.abs(shapely.bounds(shapes)[:, [0, 2]]).max(axis=1, initial=0)
    for row in np.flatnonzero(reach > 180).tolist():
        shapes[row] = _turned(shapes[row])
    shapely.prepare(area)
    return list(shapely.intersects(area, shapes))


def bounds(area: BaseGeometry) -> Box:
    """Give the box around a geometry."""
    west, south, east, north = area.bounds
    return Box(west, south, -math.inf, east, north, math.inf)


def around(boxes: NDArray[np.float64]) -> list[float] | None:
    """Give W, S, E, N around all known boxes (n, 6); the whole turn where one crosses 180°."""
    known = boxes[~np.isnan(boxes[:, 0])]
    if not len(known):
        return None
    across = bool((known[:, 0] > known[:, 3]).any())
    west, east = (-180.0, 180.0) if across else (known[:, 0].min(), known[:, 3].max())
    return [float(west), float(known[:, 1].min()), float(east), float(known[:, 4].max())]


def _turned(shape: BaseGeometry) -> BaseGeometry:
    """Bring what lies beyond 180 degrees east or west to where it is."""
    west, _, east, _ = shape.bounds
    if max(abs(west), abs(east)) <= 180:
        return shape
    turns = [
        translate(shapely.intersection(shape, shapely.box(at - 180, -90, at + 180, 90)), -at)
        for at in (-360, 0, 360)
    ]
    return shapely.union_all(turns)


def _box_shape(box: Box) -> BaseGeometry:
    if math.isnan(box.west):
        return shapely.Point()
    box = _box_within_a_turn(box)
    if box.west <= box.east:
        return shapely.box(box.west, box.south, box.east, box.north)
    halves = [
        shapely.box(box.west, box.south, 180, box.north),
        shapely.box(-180, box.south, box.east, box.north),
    ]
    return shapely.union_all(halves)


def _shape_or_none(geometry: bytes) -> BaseGeometry | None:
    if geometry in _MISSING:
        return None
    return shapely.from_geojson(geometry, on_invalid="ignore")


def _valid(shape: BaseGeometry) -> BaseGeometry:
    return shape if shape.is_valid else shapely.make_valid(shape)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."
