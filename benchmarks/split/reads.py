"""What is read: each kind of read at places drawn from a seed, the same for all contenders."""

from dataclasses import dataclass

import numpy as np

Index = tuple[int | slice, ...]

PLANE = "time plane ms"
Z_PLANE = "z-plane over t ms"
TRACE = "pixel trace ms"
CROP = "crop ms"
SMALL = "200 small reads ms"
AT_ONCE = "200 at once ms"
FULL = "full read ms"
READS = (PLANE, Z_PLANE, TRACE, CROP, SMALL, AT_ONCE, FULL)

_SMALL_READS = 200
_SIDE = 32  # of a small read
_CROP = (16, 4, 64, 64)


@dataclass(frozen=True, slots=True)
class Plan:
    """Reads of a kind; their times are added up where they are ``together``, else averaged."""

    places: list[Index]
    together: bool = False


def plan(what: str, shape: tuple[int, ...], count: int, seed: int) -> Plan:
    """Draw ``count`` places for a kind of read; of small ones there are always 200."""
    rng = np.random.default_rng([READS.index(SMALL if what == AT_ONCE else what), seed])
    t, z, y, x = shape
    if what == PLANE:
        return Plan([(_one(rng, t),) for _ in range(count)])
    if what == Z_PLANE:
        return Plan([(slice(None), _one(rng, z)) for _ in range(count)])
    if what == TRACE:
        places = ((_one(rng, z), _one(rng, y), _one(rng, x)) for _ in range(count))
        return Plan([(slice(None), *place) for place in places])
    if what == CROP:
        sizes = list(zip(shape, _CROP, strict=True))
        return Plan([tuple(_some(rng, *size) for size in sizes) for _ in range(count)])
    if what in (SMALL, AT_ONCE):
        return Plan([_patch(rng, shape) for _ in range(_SMALL_READS)], together=True)
    return Plan([(slice(None),) * 4])


def _patch(rng: np.random.Generator, shape: tuple[int, ...]) -> Index:
    t, z, y, x = shape
    return _one(rng, t), _one(rng, z), _some(rng, y, _SIDE), _some(rng, x, _SIDE)


def _one(rng: np.random.Generator, length: int) -> int:
    return int(rng.integers(length))


def _some(rng: np.random.Generator, length: int, wanted: int) -> slice:
    size = min(length, wanted)
    start = int(rng.integers(length - size + 1))
    return slice(start, start + size)
