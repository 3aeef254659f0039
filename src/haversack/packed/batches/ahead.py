"""Ask the system to read blocks of neighbouring records before they are needed.

A shuffle within windows reads each window's blocks in advance, so that its batches, which take
records here and there, find them in memory. It is advice: nothing depends on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from haversack.errors import HaversackError
from haversack.packed.batches.shuffle import Numbers, Windows
from haversack.packed.chunks.reader import Chunk

if TYPE_CHECKING:
    from haversack.packed.dataset import PackedDataset

_GAP = 1 << 17  # bytes that are read along rather than skipped


class Reader:
    """Reads the windows of an order ahead: the one that is in use, and the next."""

    def __init__(self, dataset: PackedDataset, order: Windows) -> None:
        self._dataset, self._order = dataset, order
        self._done: int | None = None

    def reach(self, place: int) -> None:
        """Have all read up to the window behind the one of a place."""
        window = self._order.window(place)
        start = window if self._done is None else self._done + 1
        for number in range(start, min(window + 2, self._order.windows)):
            for span in self._order.spans(number):
                advise(self._dataset, *span)
            self._done = number


def reading(
    reader: Reader | None, blocks: Iterator[tuple[range, Numbers, Numbers]]
) -> Iterator[tuple[range, Numbers]]:
    """Pass blocks of batches on, after having read ahead what they need."""
    for numbers, places, indices in blocks:
        if reader is not None and len(places):
            reader.reach(int(places[-1]))
        yield numbers, indices


def advise(dataset: PackedDataset, start: int, stop: int) -> None:
    """Ask the system to read some neighbouring records."""
    if not hasattr(os, "posix_fadvise"):
        return
    # What is damaged or missing is told when it is read.
    with suppress(HaversackError, OSError):
        for chunk, rows in _in_chunks(dataset, start, stop):
            gap = 1 + _GAP * chunk.rows // len(chunk.raw)
            for run in np.split(rows, np.flatnonzero(np.diff(rows) > gap) + 1):
                _advise(chunk, int(run[0]), int(run[-1]))


def _in_chunks(dataset: PackedDataset, start: int, stop: int) -> Iterator[tuple[Chunk, Numbers]]:
    """Yield the chunks that have these records, and their rows there, ascending."""
    snapshot, positions = dataset._snapshot, dataset._positions(range(start, stop))  # noqa: SLF001
    rows, starts = np.sort(snapshot.rows_at(positions)), snapshot.chunk_starts
    bounds = rows.searchsorted(starts).tolist()
    for number, (first, last) in enumerate(pairwise(bounds)):
        if first < last:
            yield snapshot.chunk(number), rows[first:last] - starts[number]


def _advise(chunk: Chunk, first: int, last: int) -> None:
    begin, end = chunk.payload(first), chunk.payload(last)
    origin = chunk.raw.ctypes.data
    start, stop = begin.ctypes.data - origin, end.ctypes.data + end.nbytes - origin
    descriptor = os.open(chunk.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, start, max(0, stop - start), os.POSIX_FADV_WILLNEED)
    finally:
        os.close(descriptor)
