"""Check a chunk's file in blocks of 16 KiB, each when something in it is first used.

A checksum computed for every record would cost several times the copy of a small one. That of a
block is computed once for all records in it, and covers the row table alike, so that opening a
chunk reads none of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.packed.chunks.layout import BLOCK, BLOCK_BITS, scalars
from haversack.storage.checksum import crc32c
from haversack.storage.maps import read_ahead

_LARGE: Final = 1 << 16  # bytes that are not left to the kernel to read bit by bit
UNKNOWN: Final = 0
GOOD: Final = 1
BAD: Final = 2


class Blocks:
    """Which blocks of some bytes were found right.

    ``whole`` is true once all blocks up to ``end`` (in bytes) are good. Threads may share it: what
    one finds is what any other would find, and nothing goes back to unknown.
    """

    def __init__(self, raw: NDArray[np.uint8], sums: NDArray[Any], end: int) -> None:
        self._raw, self._sum_of = raw, scalars(sums)
        self._state = bytearray(len(sums))
        self._flags = np.frombuffer(self._state, np.uint8)
        self._end = -(-end >> BLOCK_BITS)
        self._first_unknown = 0
        self._any_bad = False
        self.whole = False

    def good(self, start: int, stop: int) -> bool:
        """Whether all blocks that hold these bytes are good; those not yet known are checked."""
        if start >= stop:
            return True
        first, last = start >> BLOCK_BITS, (stop - 1) >> BLOCK_BITS
        state = self._state
        if state.find(UNKNOWN, first, last + 1) >= 0:
            if stop - start >= _LARGE:
                read_ahead(self._raw, start, stop)
            self._check(range(first, last + 1))
        return state.count(GOOD, first, last + 1) == last + 1 - first

    def all_good(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> bool:
        """Whether all blocks that hold any of these ranges of bytes are good."""
        first, last = _ends(starts, stops)
        numbers = np.concatenate((first, last))
        wide = np.flatnonzero(last - first > 1)
        if len(wide):
            pairs = zip(first[wide].tolist(), last[wide].tolist(), strict=True)
            numbers = np.concatenate((numbers, *(np.arange(*pair) for pair in pairs)))
        unknown = numbers[self._flags.take(numbers) == UNKNOWN]
        if len(unknown):
            self._read_ahead(starts, stops)
            self._check(np.unique(unknown).tolist())
        return bool((self._flags.take(numbers) == GOOD).all())

    def _read_ahead(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        for row in np.flatnonzero(stops - starts >= _LARGE).tolist():
            read_ahead(self._raw, starts.item(row), stops.item(row))

    def bad(self) -> NDArray[np.intp]:
        """Check all blocks and list the numbers of those that are bad."""
        self._check(range(len(self._state)))
        return np.flatnonzero(self._flags == BAD)

    def in_bad(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of each range of bytes whether it touches a block that was found bad."""
        first, last = _ends(starts, stops)
        before = np.concatenate(([0], np.cumsum(self._flags == BAD)))
        found: NDArray[np.bool_] = before[last + 1] > before[first]
        return found

    def _check(self, numbers: Iterable[int]) -> None:
        state, raw, sums = self._state, self._raw, self._sum_of
        for number in numbers:
            if state[number] == UNKNOWN:
                at = number << BLOCK_BITS
                if crc32c(raw[at : at + BLOCK]) == sums[number]:
                    state[number] = GOOD
                else:
                    self._any_bad = True
                    state[number] = BAD
        self._settle()

    def _settle(self) -> None:
        # The search goes on from where the last one stood, so all of them together are one pass.
        unknown = self._state.find(UNKNOWN, self._first_unknown, self._end)
        if unknown >= 0:
            self._first_unknown = unknown
        else:
            self.whole = not self._any_bad


def _ends(
    starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the first and the last block of each range; an empty one has the block it lies in."""
    first = starts >> BLOCK_BITS
    return first, np.maximum((stops - 1) >> BLOCK_BITS, first)
