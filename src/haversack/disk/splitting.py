"""Deal locations out to training, validation and test, so that each stays where it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

from haversack.errors import UsageError

PARTS: Final[Mapping[str, float]] = MappingProxyType({"train": 0.8, "validation": 0.1, "test": 0.1})


def split_locations(
    locations: Iterable[str], parts: Mapping[str, float], seed: int
) -> dict[str, list[str]]:
    """Deal locations out; each has its part whatever others there are.

    The number that decides is BLAKE2b (8 bytes, little-endian) of ``"{seed} {location}"`` in
    UTF-8, divided by 2^64. The parts lie one behind the other between 0 and 1, in their order.

    Examples
    --------
    >>> split_locations(["a", "b", "c", "d"], {"train": 0.5, "test": 0.5}, seed=0)
    {'train': ['a', 'c'], 'test': ['b', 'd']}
    """
    ends = _ends(parts)
    found: dict[str, list[str]] = {name: [] for name in parts}
    for location in sorted(set(locations)):
        place = _place(location, seed)
        found[next(name for name, end in ends if place < end)].append(location)
    return found


def _ends(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Say where each part ends; the last takes all that is left, whatever rounding did."""
    shares = list(parts.values())
    if not shares or not all(math.isfinite(share) and share >= 0 for share in shares):
        raise UsageError(f"parts are names with shares of 0 or more, not {dict(parts)}")
    if not math.isclose(total := math.fsum(shares), 1, abs_tol=1e-9):
        raise UsageError(f"the shares of all parts are 1 together, not {total:g}: {dict(parts)}")
    ends = [math.fsum(shares[: at + 1]) for at in range(len(shares))]
    last = max(at for at, share in enumerate(shares) if share > 0)
    ends[last:] = [math.inf] * (len(ends) - last)
    return list(zip(parts, ends, strict=True))


def _place(location: str, seed: int) -> float:
    digest = blake2b(f"{seed} {location}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64
