"""A shuffled order of any number of records that needs no memory.

A Feistel network permutes the numbers of ``bits`` bits; those beyond the count are sent through
again until they fall inside (cycle walking), which keeps it a permutation.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 8
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


class Permutation:
    """A permutation of ``range(count)`` chosen by a seed and an epoch.

    Examples
    --------
    >>> order = Permutation(10, seed=1, epoch=0)
    >>> sorted(order[0:10].tolist()) == list(range(10))
    True
    """

    def __init__(self, count: int, *, seed: int, epoch: int) -> None:
        self._count = count
        bits = max(2, (count - 1).bit_length())
        self._low = np.uint64(bits // 2)
        self._masks = (
            np.uint64((1 << (bits // 2)) - 1),
            np.uint64((1 << (bits - bits // 2)) - 1),
        )
        material = f"haversack:{seed}:{epoch}".encode()
        digest = blake2b(material, digest_size=8 * _ROUNDS).digest()
        self._keys = np.frombuffer(digest, "<u8").astype(np.uint64)

    def __getitem__(self, part: slice) -> NDArray[np.int64]:
        values = np.arange(*part.indices(self._count), dtype=np.uint64)
        values = self._once(values)
        while (outside := np.flatnonzero(values >= self._count)).size:
            values[outside] = self._once(values[outside])
        return values.astype(np.int64)

    def _once(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        low_mask, high_mask = self._masks
        low: NDArray[np.uint64] = values & low_mask
        high: NDArray[np.uint64] = values >> self._low
        for number, key in enumerate(self._keys):
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
