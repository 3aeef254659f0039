"""Shuffled orders of any number of records that need no memory, or that of a window.

A Feistel network permutes the numbers of ``bits`` bits; those beyond the count are sent through
again until they fall inside (cycle walking), which keeps it a permutation.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 8
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
Numbers = NDArray[np.int64]


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
        self._low = np.uint64(bits // 2)
        self._masks = (
            np.uint64((1 << (bits // 2)) - 1),
            np.uint64((1 << (bits - bits // 2)) - 1),
        )
        material = f"haversack:{seed}:{epoch}{part and ':'}{part}".encode()
        digest = blake2b(material, digest_size=8 * _ROUNDS).digest()
        keys = np.frombuffer(digest, "<u8").astype(np.uint64)
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

    def _inside(self, values: Numbers, rounds: list[tuple[int, np.uint64]]) -> Numbers:
        found = self._once(values.astype(np.uint64), rounds)
        while (outside := np.flatnonzero(found >= self._count)).size:
            found[outside] = self._once(found[outside], rounds)
        return found.astype(np.int64)

    def _once(
        self, values: NDArray[np.uint64], rounds: list[tuple[int, np.uint64]]
    ) -> NDArray[np.uint64]:
        low_mask, high_mask = self._masks
        low: NDArray[np.uint64] = values & low_mask
        high: NDArray[np.uint64] = values >> self._low
        for number, key in rounds:
            if number % 2:
                low ^= _mixed(high, key) & low_mask
            else:
                high ^= _mixed(low, key) & high_mask
        return (high << self._low) | low


def _mixed(values: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    mixed = values ^ key
    mixed *= _FIRST
    mixed ^= mixed >> _HALF
    mixed *= _SECOND
    mixed >>= _HALF
    return mixed


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
