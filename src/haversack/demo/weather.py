"""Sun, clouds, and what a satellite sees of the ground through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.demo.landscape import FIRST_FIELD, WATER, Landscape
from haversack.demo.noise import Field, blur, enlarge, fractal, smoothstep
from haversack.demo.spectra import GRAIN, ground_spectra

_PIXEL_M = 10.0
_EXAGGERATION = 3.0
_HAZE = np.array([1.0, 0.62, 0.40, 0.20, 0.05, 0.02], np.float32)
_CLOUD = np.array([0.74, 0.73, 0.74, 0.77, 0.56, 0.42], np.float32)
_SKYLIGHT = np.array([0.42, 0.34, 0.29, 0.24, 0.16, 0.12], np.float32)

CLEAR, CLOUD, SHADOW = 0, 1, 2
"""Classes of the cloud masks."""


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands, in degrees: clockwise from north, and above the horizon."""

    azimuth: float
    elevation: float


def sun_at(day: int, latitude: float) -> Sun:
    """Place the sun for half past ten in the morning of a day of the year.

    Examples
    --------
    >>> sun_at(172, 48).elevation > 55 > 20 > sun_at(355, 48).elevation
    True
    """
    tilt = np.radians(23.44) * np.sin(2 * np.pi * (day - 81) / 365)
    turn, place = np.radians(-22.5), np.radians(latitude)
    height = np.arcsin(np.sin(place) * np.sin(tilt) + np.cos(place) * np.cos(tilt) * np.cos(turn))
    east = -np.cos(tilt) * np.sin(turn)
    south = np.cos(turn) * np.cos(tilt) * np.sin(place) - np.sin(tilt) * np.cos(place)
    azimuth = 180 - np.degrees(np.arctan2(east, south))
    return Sun(round(float(azimuth), 2), round(float(np.degrees(height)), 2))


@dataclass(frozen=True, slots=True)
class Sky:
    """The sky over a landscape at one moment.

    Parameters
    ----------
    opacity, shadow
        Share of the light that clouds take from each pixel, (rows, columns), 0 to 1.
    haze
        Reflectance that the air adds in the blue.
    sun
        Where the light comes from.
    """

    opacity: Field
    shadow: Field
    haze: float
    sun: Sun

    def window(self, row: int, column: int, size: int) -> Sky:
        """Cut a square out."""
        cut = (slice(row, row + size), slice(column, column + size))
        return Sky(self.opacity[cut], self.shadow[cut], self.haze, self.sun)

    def mask(self) -> NDArray[np.uint8]:
        """Classify each pixel: clear, cloud or shadow."""
        shaded = np.where(self.shadow > 0.35, SHADOW, CLEAR)
        return np.where(self.opacity > 0.25, CLOUD, shaded).astype(np.uint8)


def make_sky(rng: np.random.Generator, shape: tuple[int, int], sun: Sun, *, cover: float) -> Sky:
    """Generate clouds over about ``cover`` (0 to 1) of the land, and their shadows."""
    haze = float(rng.uniform(0.006, 0.022))
    if cover <= 0:
        nothing = np.zeros(shape, np.float32)
        return Sky(nothing, nothing, haze, sun)
    small = (shape[0] // 2 + 24, shape[1] // 2 + 24)
    billows = enlarge(fractal(rng, small, slope=1.55, longest=150), 2)
    edge = float(np.quantile(billows[::4, ::4], 1 - cover))
    thick = smoothstep(billows, edge - 0.22, edge + 0.75)
    reach = min(44.0, 20 / np.tan(np.radians(sun.elevation)))
    down = int(reach * np.cos(np.radians(sun.azimuth - 180)))
    right = int(reach * np.sin(np.radians(sun.azimuth - 180)))
    opacity = thick[: shape[0], : shape[1]]
    # A shadow lies away from the sun: north of its cloud, which is up.
    shadow = np.roll(thick, (-down, right), (0, 1))[: shape[0], : shape[1]]
    return Sky(opacity * np.float32(0.97), shadow * np.float32(0.72), haze, sun)


def hillshade(height: Field, sun: Sun) -> Field:
    """Compute the light on slopes relative to flat ground; relief counts more, to be seen."""
    down, right = np.gradient(_EXAGGERATION * height / _PIXEL_M)
    azimuth, elevation = np.radians(sun.azimuth), np.radians(sun.elevation)
    toward = np.cos(elevation) * (-right * np.sin(azimuth) + down * np.cos(azimuth))
    light = (toward + np.sin(elevation)) / np.sqrt(1 + down**2 + right**2)
    return np.asarray(np.clip(light / np.sin(elevation), 0.15, 1.7), np.float32)


def observe(rng: np.random.Generator, land: Landscape, sky: Sky, *, day: int) -> NDArray[np.uint16]:
    """See a landscape from above: (6, rows, columns), reflectance times 10,000."""
    poor, good = ground_spectra(land, day)
    growth = land.patches[..., None]
    seen = poor[land.ground] * (1 - growth) + good[land.ground] * growth
    seen = np.moveaxis(seen, -1, 0) * _texture(land)
    light = np.where(land.ground == WATER, 1, hillshade(land.height, sky.sun))
    direct = light * (1 - sky.shadow)
    air = _SKYLIGHT[:, None, None]
    seen = blur(seen * (direct * (1 - air) + air)) + sky.haze * _HAZE[:, None, None]
    billow = _CLOUD[:, None, None] * (0.55 + 0.45 * sky.opacity**2)
    seen = seen * (1 - sky.opacity) + billow * sky.opacity
    seen = seen * rng.normal(1, 0.012, seen.shape).astype(np.float32) + 0.0015
    return np.asarray(np.clip(np.rint(seen * 10_000), 1, 65_535), np.uint16)


def _texture(land: Landscape) -> Any:
    bare = np.full(FIRST_FIELD + len(land.fields), 0.035, np.float32)
    bare[:FIRST_FIELD] = GRAIN
    return 1 + bare[land.ground] * land.grain + 0.05 * land.soil * (land.ground >= FIRST_FIELD)
