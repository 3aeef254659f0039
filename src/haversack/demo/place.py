"""Where an image lies on Earth: its grid in metres and its footprint in degrees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from haversack.demo.files import Transform
from haversack.demo.raster import to_degrees


@dataclass(frozen=True)
class Grid:
    """A square grid of pixels in a UTM zone.

    Parameters
    ----------
    epsg
        The zone.
    east, north
        Metres of the upper left corner.
    pixel
        Size of a pixel in metres.
    size
        Rows and columns.
    turn
        Degrees by which the columns lean clockwise from north, as a swath does.
    """

    epsg: int
    east: float
    north: float
    pixel: float
    size: int
    turn: float = 0.0

    @property
    def transform(self) -> Transform:
        """Map from (column, row) to metres."""
        cos, sin = np.cos(np.radians(self.turn)), np.sin(np.radians(self.turn))
        pixel = self.pixel
        return (
            float(pixel * cos),
            float(-pixel * sin),
            self.east,
            float(-pixel * sin),
            float(-pixel * cos),
            self.north,
        )

    def degrees(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Turn (n, 2) points in pixels (x, y) into longitude and latitude."""
        a, b, c, d, e, f = self.transform
        x, y = points[:, 0], points[:, 1]
        return to_degrees(self.epsg, np.stack([a * x + b * y + c, d * x + e * y + f], 1))

    @cached_property
    def footprint(self) -> dict[str, Any]:
        """The outline as GeoJSON, counter-clockwise."""
        n = self.size
        corners = np.array([[0, 0], [0, n], [n, n], [n, 0], [0, 0]], float)
        return {"type": "Polygon", "coordinates": [self.degrees(corners).tolist()]}

    def geojson(self, polygons: NDArray[np.object_]) -> list[dict[str, Any]]:
        """Turn polygons in pixels into GeoJSON geometries in degrees."""
        turned = shapely.transform(polygons, self.degrees)
        oriented = shapely.orient_polygons(turned)
        return [shapely.geometry.mapping(polygon) for polygon in oriented]
