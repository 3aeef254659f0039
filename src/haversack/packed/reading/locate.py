"""Find which of many neighbouring ranges positions lie in, for whole batches of positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]

_BUCKETS: Final = 1 << 10
_MOST_STEPS: Final = 3


class Locator:
    """Ranges that follow each other from 0, given as their starts and, last, their end.

    A binary search for each position would cost more than copying a small record. Where all ranges
    but the last are of one length, a division tells. Otherwise positions are cut into buckets of
    one size, each of which knows the range that it begins in; a step or two lead on from there.

    Examples
    --------
    >>> Locator([0, 3, 4, 9]).numbers(np.array([8, 0, 3]))
    array([2, 0, 1])
    """

    def __init__(self, starts: Sequence[int]) -> None:
        total, count = starts[-1], len(starts) - 1
        self._length = starts[1]
        even = [min(number * self._length, total) for number in range(count + 1)]
        self._even = self._length > 0 and list(starts) == even
        self._bounds: Positions = np.array(starts[1:], np.int64)
        self._shift = (total // max(_BUCKETS, 8 * count)).bit_length()
        first = np.arange(0, max(total, 1), 1 << self._shift)
        last = np.minimum(first + (1 << self._shift), total) - 1
        self._guess: Positions = self._bounds.searchsorted(first, side="right").astype(np.int64)
        self._steps = int((self._bounds.searchsorted(last, side="right") - self._guess).max())

    def numbers(self, positions: Positions) -> Positions:
        """Give for each position the number of the range that it lies in."""
        if self._even:
            return positions // self._length
        bounds = self._bounds
        if self._steps > _MOST_STEPS:
            return bounds.searchsorted(positions, side="right")
        numbers = self._guess.take(positions >> self._shift)
        for _ in range(self._steps):
            numbers += positions >= bounds.take(numbers)
        return numbers
