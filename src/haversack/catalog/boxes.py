"""Bounding boxes, also across the antimeridian."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.errors import UsageError

DEGREES = "longitude/latitude (EPSG:4326)"
MISSING = frozenset({b"", b"null"})  # geometries that say nothing
_Degrees = NDArray[np.float64]
_NAN = math.nan
_FLAT = [0, 1, 3, 4]


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
    if geometry in MISSING:
        return NOWHERE
    # Shapely is heavy, and nearly all items have a box.
    from haversack.catalog.shapes import box_of

    return box_of(geometry)


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
        values = [
            math.nan if isinstance(value, bool | np.bool_) else float(value) for value in bbox
        ]
    except (TypeError, ValueError):
        values = []
    if len(values) not in {4, 6} or not all(map(math.isfinite, values)):
        raise UsageError(f"bbox takes 4 or 6 numbers (west, south, east, north), not {bbox!r}")
    box = read_box(values, b"")
    if box.south > box.north or box.low > box.high:
        raise UsageError(f"bbox {bbox!r}: its south is north of its north; the order is W, S, E, N")
    check_degrees(f"bbox {bbox!r}", box)
    return box_within_a_turn(box)


def check_degrees(what: str, box: Box) -> None:
    """Refuse a box that lies nowhere on Earth: it is in another system."""
    if max(abs(box.west), abs(box.east)) > 360 or max(abs(box.south), abs(box.north)) > 90:
        raise UsageError(
            f"{what} is not in degrees: give {DEGREES}; longitudes go to 360, latitudes to 90"
        )


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


def box_within_a_turn(box: Box) -> Box:
    """Write the longitudes of a box as others do."""
    west, east = _within_a_turn(np.array(box.west), np.array(box.east))
    return box._replace(west=float(west), east=float(east))


def around(boxes: NDArray[np.float64]) -> list[float] | None:
    """Give W, S, E, N around all known boxes (n, 6); the whole turn where one crosses 180°."""
    known = boxes[~np.isnan(boxes[:, 0])]
    if not len(known):
        return None
    across = bool((known[:, 0] > known[:, 3]).any())
    west, east = (-180.0, 180.0) if across else (known[:, 0].min(), known[:, 3].max())
    return [float(west), float(known[:, 1].min()), float(east), float(known[:, 4].max())]
