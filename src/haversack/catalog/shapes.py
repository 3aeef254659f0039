"""The geometries of items and filters, also across the antimeridian."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from haversack.catalog.boxes import (
    DEGREES,
    MISSING,
    NOWHERE,
    Box,
    box_within_a_turn,
    check_degrees,
)
from haversack.errors import UsageError

_IN_DEGREES = re.compile(r"\b(CRS84h?|(EPSG|epsg)\S*\b4326)\b")


def box_of(geometry: bytes) -> Box:
    """Give the box around a GeoJSON geometry, ``NOWHERE`` where it is none."""
    shape = _shape_or_none(geometry)
    return NOWHERE if shape is None or shape.is_empty else bounds(shape)


def area_filter(area: Any) -> BaseGeometry:
    """Turn GeoJSON (a geometry, Feature or FeatureCollection) or a shape into one geometry.

    Raises
    ------
    UsageError
        It holds no geometry, or one that is not in longitude and latitude.
    """
    shape = _one_shape(area)
    check_degrees("the geometry of intersects", bounds(shape))
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
        raise UsageError(f"intersects is in the system {_short(area['crs'])}: give {DEGREES}")
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
    told = [None if geometry in MISSING else geometry for geometry in geometries]
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
    box = box_within_a_turn(box)
    if box.west <= box.east:
        return shapely.box(box.west, box.south, box.east, box.north)
    halves = [
        shapely.box(box.west, box.south, 180, box.north),
        shapely.box(-180, box.south, box.east, box.north),
    ]
    return shapely.union_all(halves)


def _shape_or_none(geometry: bytes) -> BaseGeometry | None:
    if geometry in MISSING:
        return None
    return shapely.from_geojson(geometry, on_invalid="ignore")


def _valid(shape: BaseGeometry) -> BaseGeometry:
    return shape if shape.is_valid else shapely.make_valid(shape)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."
