"""Chunks whose records all have one dtype and shape, read as one array.

They are mapped into one range of addresses, each at a multiple of the record's size, so that a
batch is one ``take`` whatever the number of chunks.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from haversack.errors import FormatError
from haversack.packed.chunks.layout import PAYLOADS, SECTIONS
from haversack.packed.chunks.reader import Array, Chunk
from haversack.packed.chunks.rowtable import Slotted
from haversack.packed.encoding.kinds import Kind
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.reading.locate import Locator, Positions
from haversack.packed.reading.mapped import LARGEST_RANGE, exceed_memory, fetch, open_chunk, reserve
from haversack.storage.maps import ADJACENT, HUGE_PAGE, PAGE, Reservation, rounded

_SLOT = SECTIONS["slot"]
_SPACIOUS = 1 << 42  # addresses that may be spent on placing chunks at huge pages


class Uniform:
    """Chunks whose records all have one dtype and shape; see :class:`parts.Part`."""

    def __init__(self, root: Path, entries: Sequence[ChunkEntry], kind: Kind) -> None:
        self._root, self.entries, self._kind = root, entries, kind
        self.starts = [0, *accumulate(entry.rows for entry in entries)]
        self.rows = self.starts[-1]
        self._start_of = np.array(self.starts, np.int64)
        self._chunks: list[Chunk | None] = [None] * len(entries)
        self._trusted = np.zeros(len(entries), bool)
        self._all_trusted = False
        self._from_disk = exceed_memory(entries)
        self._place: Reservation | None = None
        self._offsets = _places(entries, kind.nbytes)
        if self._offsets[-1] >= LARGEST_RANGE:
            raise FormatError(f"{root}: chunks of {self._offsets[-1]} bytes are too large to map")
        # A record's place among those of the range is its position plus its chunk's shift.
        stride = kind.nbytes
        shifts = [
            offset // stride - start if stride else 0
            for offset, start in zip(self._offsets, self.starts, strict=True)
        ]
        self._shifts, self._shift_of = shifts, np.array(shifts, np.int64)
        self._single = len(entries) == 1
        self._locator = None if self._single else Locator(self.starts)
        self._array: Array = np.empty((0, *kind.shape), kind.dtype)
        # Of chunks whose records share payloads: where their slots lie among all words.
        self._shares = np.zeros(len(entries), bool)
        self._any_shares = False
        self._slot_shift_of = np.zeros(len(entries), np.int64)
        self._words = np.empty(0, _SLOT)

    def _reserve(self) -> Reservation:
        if self._place is None:
            # Threads may come at once: all must use the range that came first, as one of theirs
            # would read where another has placed nothing. A lock could be held during a fork.
            place, array = self.__dict__.setdefault("_first", self._reserved())
            self._array, self._words = array, place.bytes.view(_SLOT)
            self._place = place
        return self._place

    def _reserved(self) -> tuple[Reservation, Array]:
        kind, size = self._kind, self._offsets[-1]
        place, array = reserve(self._root, size), self._array
        if kind.nbytes == 0:
            array = np.empty((self.rows, *kind.shape), kind.dtype)
        elif ADJACENT:
            count = (size - PAYLOADS) // kind.nbytes
            array = np.ndarray((count, *kind.shape), kind.dtype, place.bytes, PAYLOADS)
        return place, array

    def chunk(self, number: int) -> Chunk:
        """Open a chunk of the part."""
        found = self._chunks[number]
        if found is None:
            place = self._reserve()
            found = open_chunk(self._root, self.entries[number], place, self._offsets[number])
            if not found.uniform or found.kinds[0] != self._kind:
                raise FormatError(f"{found.path}: its records are not what the manifest says")
            if not ADJACENT and self._kind.nbytes:
                shape = (found.slots, *self._kind.shape)
                self._array = np.ndarray(shape, self._kind.dtype, place.bytes, PAYLOADS)
            if isinstance(found.table, Slotted):
                first = self._offsets[number] + found.table.slots_at
                self._slot_shift_of[number] = first // _SLOT.itemsize - self.starts[number]
                self._shares[number] = self._any_shares = True
            self._chunks[number] = found
        return found

    def read(self, position: int) -> Array:
        number = 0 if self._single else bisect_right(self.starts, position) - 1
        chunk = self._chunks[number] or self.chunk(number)
        if not chunk.trusted:
            chunk.check(position - self.starts[number])
        if self._any_shares and isinstance(chunk.table, Slotted):
            start = self.starts[number]
            position = start + chunk.table.slots.item(position - start)
        found: Array = self._array[position + self._shifts[number], ...]
        return found

    peek = read

    def file(self, position: int) -> None:
        """Give no file: arrays lie here as they are."""

    def locate(self, positions: Positions) -> Positions:
        """Turn positions into places in the range, after checking the records."""
        if self._locator is None:
            chunk = self._chunks[0] or self.chunk(0)
            if self._from_disk:
                self._fetch(positions)
            if not chunk.trusted:
                chunk.check_many(positions)
                self._all_trusted = chunk.trusted
            table = chunk.table
            return table.slots.take(positions) if isinstance(table, Slotted) else positions
        numbers = self._locator.numbers(positions)
        if self._from_disk:
            self._fetch(positions + self._shift_of.take(numbers))
        if not self._all_trusted and not self._trusted.take(numbers).all():
            self._check(positions, numbers)
        if self._any_shares:
            positions = self._shared(positions, numbers)
        return positions + self._shift_of.take(numbers)

    def kind(self, located: Positions) -> Kind:  # noqa: ARG002
        return self._kind

    def take_into(self, located: Positions, out: Array) -> None:
        # Places are in the range; with "clip" numpy writes to out without a buffer between.
        self._array.take(located, axis=0, out=out, mode="clip")

    def copies(self, located: Positions) -> list[Array]:
        return [self._array[place, ...].copy() for place in located.tolist()]

    def _fetch(self, places: Positions) -> None:
        """Begin to read records; where payloads are shared, they lie elsewhere."""
        if not self._any_shares and self._place is not None:
            starts = PAYLOADS + places * self._kind.nbytes
            fetch(self._place.bytes, starts, starts + self._kind.nbytes, checked=self._all_trusted)

    def _shared(self, positions: Positions, numbers: Positions) -> Positions:
        """Put in place of positions, where payloads are shared, those of the slots."""
        at = np.flatnonzero(self._shares.take(numbers))
        chunk = numbers[at]
        slots = self._words.take(positions[at] + self._slot_shift_of.take(chunk))
        found = positions.copy()
        found[at] = slots + self._start_of.take(chunk)
        return found

    def _check(self, positions: Positions, numbers: Positions) -> None:
        for number in np.unique(numbers[~self._trusted.take(numbers)]).tolist():
            chunk = self.chunk(number)
            chunk.check_many(positions[numbers == number] - self.starts[number])
            self._trusted[number] = chunk.trusted
        self._all_trusted = bool(self._trusted.all())


def _places(entries: Sequence[ChunkEntry], stride: int) -> list[int]:
    """Place chunks at multiples of the stride and of a page: of a huge one if they fill such."""
    sizes = [entry.bytes for entry in entries]
    page = HUGE_PAGE if sum(sizes) >= HUGE_PAGE * len(sizes) else PAGE
    if math.lcm(page, max(stride, 1)) * len(sizes) + sum(sizes) > _SPACIOUS:
        page = PAGE
    step = math.lcm(page, max(stride, 1))
    return list(accumulate((rounded(size, step) for size in sizes), initial=0))
