"""Shuffled orders of any number of records that need no memory, or that of a window.

A Feistel network permutes the numbers of ``bits`` bits; those beyond the count are sent through
again until they fall inside (cycle walking), which keeps it a permutation. Halves of 32 bits are
mixed by the factors of MurmurHash3's end.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 8
Numbers = NDArray[np.int64]


class _Lanes(NamedTuple):
    """How numbers of one width are mixed: two odd factors, and how far each product is shifted."""

    dtype: type[np.unsignedinteger[Any]]
    factors: tuple[int, int]
    shifts: tuple[int, int]


# Processors multiply several numbers of 32 bits at once, but not of 64.
_NARROW = _Lanes(np.uint32, (0x85EBCA6B, 0xC2B2AE35), (15, 16))
_WIDE = _Lanes(np.uint64, (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93), (32, 32))


class Permutation:
    """A permutation of ``range(count)`` chosen by a seed and an epoch.

    Parameters
    ----------
    part
        Tells apart several permutations of one seed and epoch.

    Examples
    --------
    >>> order = Permutation(10, seed=1, epoch=0)
    >>> sorted(order[0:10].tolist()) == list(range(10))
    True
    """

    def __init__(self, count: int, *, seed: int, epoch: int, part: str = "") -> None:
        self._count = count
        bits = max(2, (count - 1).bit_length())
        lanes = _NARROW if bits <= 32 else _WIDE
        self._dtype = lanes.dtype
        self._low = lanes.dtype(bits // 2)
        self._masks = (
            lanes.dtype((1 << (bits // 2)) - 1),
            lanes.dtype((1 << (bits - bits // 2)) - 1),
        )
        self._factors = [lanes.dtype(factor) for factor in lanes.factors]
        self._shifts = [lanes.dtype(shift) for shift in lanes.shifts]
        material = f"haversack:{seed}:{epoch}{part and ':'}{part}".encode()
        digest = blake2b(material, digest_size=8 * _ROUNDS).digest()
        keys = np.frombuffer(digest, "<u8").astype(lanes.dtype)
        self._rounds = list(enumerate(keys))

    def __getitem__(self, part: slice) -> Numbers:
        return self.at(np.arange(*part.indices(self._count), dtype=np.int64))

    def at(self, places: Numbers) -> Numbers:
        """Give the values at some places of the order."""
        return self._inside(places, self._rounds)

    def place(self, value: int) -> int:
        """Find the place of a value."""
        # Each round is its own inverse, so all of them backwards are that of the network.
        return int(self._inside(np.array([value], np.int64), self._rounds[::-1])[0])

    def _inside(self, values: Numbers, rounds: list[tuple[int, Any]]) -> Numbers:
        found = self._once(values.astype(self._dtype), rounds)
        while (outside := np.flatnonzero(found >= self._count)).size:
            found[outside] = self._once(found[outside], rounds)
        return found.astype(np.int64)

    def _once(self, values: NDArray[Any], rounds: list[tuple[int, Any]]) -> NDArray[Any]:
        low_mask, high_mask = self._masks
        low: NDArray[Any] = values & low_mask
        high: NDArray[Any] = values >> self._low
        mixed, shifted = np.empty_like(low), np.empty_like(low)
        for number, key in rounds:
            source, target, mask = (high, low, low_mask) if number % 2 else (low, high, high_mask)
            self._mix(np.bitwise_xor(source, key, out=mixed), shifted)
            mixed &= mask
            target ^= mixed
        high <<= self._low
        high |= low
        return high

    def _mix(self, values: NDArray[Any], shifted: NDArray[Any]) -> None:
        (first, second), (fold, take) = self._factors, self._shifts
        values *= first
        values ^= np.right_shift(values, fold, out=shifted)
        values *= second
        values >>= take


class Windows:
    """An order that reads blocks of neighbours together and shuffles within a window of them.

    Blocks come in a shuffled order; each ``blocks`` of them make a window, whose records are
    shuffled. Only windows that are used are held.

    Examples
    --------
    >>> order = Windows(10, block=2, blocks=2, seed=1, epoch=0)
    >>> first = order.at(np.arange(4))
    >>> sorted(first // 2) == sorted(2 * sorted(set(first // 2)))
    True
    """

    def __init__(self, count: int, *, block: int, blocks: int, seed: int, epoch: int) -> None:
        self._count, self._block, self._blocks = count, block, blocks
        self._seed, self._epoch = seed, epoch
        number = -(-count // block)
        self.windows = -(-number // blocks)
        self._number = number
        self._order = Permutation(number, seed=seed, epoch=epoch, part="blocks")
        # The last block may be a short one: windows behind the one that it is in begin earlier.
        self._missing = number * block - count
        self._short = self._order.place(number - 1) // blocks if self._missing else self.windows
        self._held: dict[int, Numbers] = {}

    def at(self, places: Numbers) -> Numbers:
        """Give the records at some places of the order; best asked for ascending ones."""
        found = np.empty(len(places), np.int64)
        if not len(places):
            return found
        first, last = self.window(int(places.min())), self.window(int(places.max()))
        bounds = [self._start(window) for window in range(first, last + 2)]
        for window, (start, stop) in zip(range(first, last + 1), pairwise(bounds), strict=True):
            inside = np.flatnonzero((places >= start) & (places < stop))
            if len(inside):
                found[inside] = self._members(window)[places[inside] - start]
        return found

    def window(self, place: int) -> int:
        """Say which window a place of the order is in."""
        span = self._block * self._blocks
        number = place // span
        return number if number < self._short else max(self._short, (place + self._missing) // span)

    def _start(self, window: int) -> int:
        start = window * self._block * self._blocks
        return min(start - (self._missing if window > self._short else 0), self._count)

    def spans(self, window: int) -> Iterator[tuple[int, int]]:
        """Yield where each block of a window begins and ends, in the order of records."""
        for number in np.sort(self._blocks_of(window)).tolist():
            yield number * self._block, min((number + 1) * self._block, self._count)

    def _blocks_of(self, window: int) -> Numbers:
        return self._order[window * self._blocks : (window + 1) * self._blocks]

    def _members(self, window: int) -> Numbers:
        if window not in self._held:
            while len(self._held) > 1:
                del self._held[min(self._held)]
            starts = self._blocks_of(window) * self._block
            inside = (starts[:, None] + np.arange(self._block)).reshape(-1)
            inside = inside[inside < self._count]
            part = f"window {window}"
            order = Permutation(len(inside), seed=self._seed, epoch=self._epoch, part=part)
            self._held[window] = inside[order[0 : len(inside)]]
        return self._held[window]
