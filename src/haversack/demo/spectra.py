"""What each kind of ground reflects on each day of the year, in six bands.

Reflectances are near those that field campaigns report for Sentinel-2's bands; a field is a mixture
of soil, leaves, straw and flowers whose shares follow its crop's calendar.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.demo.landscape import CROPS, FIRST_FIELD, Landscape
from haversack.demo.noise import Field, smoothstep

BANDS = ("blue", "green", "red", "nir", "swir1", "swir2")
WAVELENGTHS_UM = (0.49, 0.56, 0.665, 0.842, 1.61, 2.19)

_SOIL = np.array([0.068, 0.092, 0.122, 0.190, 0.290, 0.250], np.float32)
_LEAF = np.array([0.022, 0.070, 0.030, 0.460, 0.190, 0.080], np.float32)
_STRAW = np.array([0.098, 0.155, 0.198, 0.310, 0.390, 0.280], np.float32)
_FLOWER = np.array([0.030, 0.200, 0.190, 0.480, 0.230, 0.110], np.float32)
_NEEDLE = np.array([0.014, 0.028, 0.016, 0.260, 0.105, 0.045], np.float32)
_BARK = np.array([0.040, 0.055, 0.062, 0.170, 0.165, 0.110], np.float32)
_WATER = np.array([0.062, 0.070, 0.050, 0.022, 0.010, 0.006], np.float32)
_ROOF = np.array([0.130, 0.140, 0.175, 0.235, 0.270, 0.245], np.float32)
_GRAVEL = np.array([0.120, 0.145, 0.175, 0.250, 0.300, 0.260], np.float32)
_ASPHALT = np.array([0.105, 0.112, 0.118, 0.150, 0.185, 0.170], np.float32)

# Days of the year: leaves half grown, leaves half gone, straw cleared; and first and last flower.
_CALENDAR = {
    "winter wheat": (88, 182, 205, 0, 0),
    "maize": (163, 262, 278, 0, 0),
    "rapeseed": (74, 176, 196, 112, 141),
    "sugar beet": (152, 292, 294, 0, 0),
    "sunflower": (146, 226, 262, 180, 200),
    "meadow": (66, 322, 324, 0, 0),
}
_MOWN = (146, 204, 258)


def leaves(crop: str, day: Any) -> Any:
    """Tell the share of the ground that green leaves cover on a day of the year.

    Examples
    --------
    >>> bool(leaves("winter wheat", 140) > 0.8 > 0.2 > leaves("maize", 140))
    True
    """
    day = np.asarray(day, np.float32)
    grown, gone, _, _, _ = _CALENDAR[crop]
    share = (
        0.94 * smoothstep(day, grown - 32, grown + 32) * (1 - smoothstep(day, gone - 22, gone + 22))
    )
    if crop == "winter wheat":
        return np.maximum(share, 0.16 * (day < grown))
    if crop != "meadow":
        return share
    for cut in _MOWN:
        share = share * (1 - 0.55 * (day >= cut) * np.exp(-(day - cut) / 16))
    return np.maximum(share, 0.38)


def field_spectra(crop: str, day: Any) -> Any:
    """Mix the reflectance (n, 6) of a crop's fields, each on its own day of the year."""
    day = np.asarray(day, np.float32)
    _, gone, cleared, first, last = _CALENDAR[crop]
    leaf = leaves(crop, day)
    dry = (
        0.85
        * smoothstep(day, gone - 20, gone + 12)
        * (1 - smoothstep(day, cleared - 4, cleared + 10))
    )
    straw = np.where(crop == "meadow", 0.1, np.minimum(dry, 1 - leaf))
    flower = np.zeros_like(day)
    if last:
        opening = smoothstep(day, first - 9, first + 5) * (1 - smoothstep(day, last - 5, last + 9))
        flower = (0.75 if crop == "rapeseed" else 0.3) * opening * leaf
    shares = np.stack([1 - leaf - straw, leaf - flower, straw, flower], -1)
    return shares @ np.stack([_SOIL, _LEAF, _STRAW, _FLOWER])


def ground_spectra(land: Landscape, day: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give every id of ``land.ground`` its reflectance (ids, 6), in poor and in good growth."""
    poor = np.empty((FIRST_FIELD + len(land.fields), 6), np.float32)
    poor[:FIRST_FIELD] = _other_spectra(day)
    good = poor.copy()
    for number, crop in enumerate(CROPS, 1):
        those = np.flatnonzero(land.crops == number)
        full = field_spectra(crop, day - land.lag[those])
        vigour = land.vigour[those, None]
        soil = _SOIL * (0.72 + 0.56 * smoothstep(land.lag[those, None], -14, 14))
        poor[those + FIRST_FIELD] = soil + (full - _SOIL) * (vigour - 0.13)
        good[those + FIRST_FIELD] = soil + (full - _SOIL) * np.minimum(vigour + 0.1, 1.08)
    return poor, good


def _other_spectra(day: int) -> NDArray[Any]:
    """Tracks, water, woods, villages, roads and banks, in the order of their codes."""
    summer = leaves("meadow", np.float32(day)) if not 100 < day < 290 else np.float32(0.9)
    foliage = smoothstep(day, 95, 130) * (1 - smoothstep(day, 278, 312))
    wood = 0.45 * _NEEDLE + 0.55 * (
        foliage * (0.75 * _LEAF + 0.25 * _NEEDLE) + (1 - foliage) * _BARK
    )
    bank = summer * (0.8 * _LEAF) + (1 - summer) * _STRAW + 0.06 * _SOIL
    track = 0.55 * _GRAVEL + 0.45 * bank
    village = 0.62 * _ROOF + 0.38 * (0.7 * _LEAF + 0.3 * _BARK)
    return np.stack([track, _WATER, wood * 0.85, village, _ASPHALT, bank])


GRAIN: Field = np.array([0.05, 0.015, 0.20, 0.30, 0.06, 0.10], np.float32)
"""How rough the texture of each kind of ground is that is no field."""
