"""``codec="auto"``: the first records of a sort decide how it is stored.

A sort is a dtype, a number of dimensions and a size up to the next power of two. Records stay raw
unless a codec makes them at least 15 % smaller, as raw ones are read many times faster; below 1 kB,
where decoding costs more than copying by far, unless they shrink to a quarter. What is decided
depends on the records alone, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.packed.encoding.encoder import Stored, compressed
from haversack.packed.encoding.kinds import Kind

SAMPLE: Final = 64  # records that decide
ENOUGH: Final = 4 << 20  # bytes of records that decide
_GAIN, _SMALL_GAIN, _SMALL = 0.85, 0.25, 1024
_PIECES, _PIECE = 4, 64 << 10  # of a large record that are tried
_BLOSC_BITS = 30  # of the sizes that blosc takes

Sort = tuple[np.dtype[Any], int, int]


class Auto:
    """What a writer has found out about the sorts of its records."""

    def __init__(self) -> None:
        self._settled: dict[Sort, str] = {}
        self._samples: dict[Sort, _Sample] = {}

    def knows(self, stored: Stored) -> bool:
        """Look at a raw record, and tell whether the codec of its sort is settled."""
        sort = sort_of(stored.kind)
        if sort not in self._settled:
            sample = self._samples.setdefault(sort, _Sample(stored.kind))
            sample.add(stored)
            if sample.is_full:
                self._settled[sort] = sample.best()
        return sort in self._settled

    def becomes(self, kind: Kind) -> tuple[Kind, bool]:
        """Give the kind that a raw one becomes, as far as is known, and whether that is settled."""
        sort = sort_of(kind)
        settled = self._settled.get(sort)
        codec = settled or self._samples[sort].best()
        return (kind if codec == "none" else replace(kind, codec=codec)), settled is not None

    def encoded(self, records: Iterable[Stored]) -> list[Stored]:
        """Encode some records as all of them together, and those before, make it best."""
        given = list(records)
        for stored in given:
            if is_raw(stored.kind):
                self.knows(stored)
        return [
            encode_as(stored, self.becomes(stored.kind)[0]) if is_raw(stored.kind) else stored
            for stored in given
        ]


def sort_of(kind: Kind) -> Sort:
    """Tell the sort of a kind."""
    return kind.dtype, len(kind.shape), kind.nbytes.bit_length()


def is_raw(kind: Kind) -> bool:
    """Whether records of a kind have bytes that could be encoded."""
    return kind.codec == "none" and kind.nbytes > 0


def encode_as(raw: Stored, kind: Kind) -> Stored:
    """Encode a raw record as one of a kind."""
    if kind.codec == "none":
        return raw
    return Stored(kind, compressed(raw.payload, kind.dtype, kind.codec))


class _Sample:
    """Some records of a sort, and how small each codec made them all together."""

    def __init__(self, kind: Kind) -> None:
        self._codecs = _candidates(kind)
        self._gain = _SMALL_GAIN if kind.nbytes < _SMALL else _GAIN
        self._sizes = [0] * len(self._codecs)
        self._records = self._bytes = self._tried = 0

    @property
    def is_full(self) -> bool:
        return self._records >= SAMPLE or self._bytes >= ENOUGH

    def add(self, stored: Stored) -> None:
        dtype = stored.kind.dtype
        piece = _piece(stored.payload, dtype.itemsize)
        for number, codec in enumerate(self._codecs):
            self._sizes[number] += len(compressed(piece, dtype, codec))
        self._records += 1
        self._bytes += stored.kind.nbytes
        self._tried += len(piece)

    def best(self) -> str:
        """Choose the codec that decodes fastest, unless a slower one gains as much again."""
        chosen, size = "none", self._tried
        for codec, found in zip(self._codecs, self._sizes, strict=True):
            if found <= self._gain * size:
                chosen, size = codec, found
        return chosen


def _candidates(kind: Kind) -> list[str]:
    """List the codecs to try, the one that decodes fastest first."""
    if kind.nbytes < _SMALL or kind.nbytes.bit_length() > _BLOSC_BITS:
        return ["zstd-1"]
    if kind.dtype.itemsize == 1:
        return ["blosc-lz4-noshuffle-5", "zstd-1"]
    return ["blosc-lz4-bitshuffle-5", "blosc-zstd-shuffle-1"]


def _piece(data: NDArray[np.uint8], itemsize: int) -> NDArray[np.uint8]:
    """Cut some pieces out of a large record, spread over all of it."""
    length = max(_PIECE // itemsize, 1) * itemsize
    if len(data) <= _PIECES * length:
        return data
    last = len(data) - length
    starts = [number * last // (_PIECES - 1) // itemsize * itemsize for number in range(_PIECES)]
    return np.concatenate([data[start : start + length] for start in starts])
