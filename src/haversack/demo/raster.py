"""The two things that the demo asks of rasterio: paint polygons, and turn UTM into degrees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.convert.image import import_rasterio


def burn(
    shapes: Iterable[tuple[Any, int]], shape: tuple[int, int], background: int
) -> NDArray[np.int32]:
    """Paint (polygon, value) pairs in pixel coordinates, the later over the earlier."""
    rasterio = import_rasterio()
    painted = rasterio.features.rasterize(
        ((polygon, int(value)) for polygon, value in shapes),
        out_shape=shape,
        fill=background,
        dtype="int32",
    )
    return np.asarray(painted, np.int32)


def to_degrees(epsg: int, coordinates: NDArray[Any]) -> NDArray[np.float64]:
    """Turn (n, 2) coordinates in metres into longitude and latitude."""
    rasterio = import_rasterio()
    xs, ys = rasterio.warp.transform(
        rasterio.crs.CRS.from_epsg(epsg), "EPSG:4326", coordinates[:, 0], coordinates[:, 1]
    )
    return np.round(np.stack([xs, ys], 1), 7)
