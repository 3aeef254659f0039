"""Chunks whose records differ in dtype or shape, or are encoded: read one by one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from haversack.errors import FormatError
from haversack.packed.chunks.reader import Array, Chunk
from haversack.packed.encoding.kinds import Kind
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.reading.locate import Locator, Positions
from haversack.packed.reading.mapped import exceed_memory, fetch, open_chunk, reserve

Place = tuple[Chunk, int, Kind]


class Mixed:
    """Chunks of records of any kind; see :class:`parts.Part`."""

    def __init__(self, root: Path, entries: Sequence[ChunkEntry]) -> None:
        self._root, self.entries = root, entries
        self.starts = [0, *accumulate(entry.rows for entry in entries)]
        self.rows = self.starts[-1]
        self._start_of = np.array(self.starts, np.int64)
        self._locator = Locator(self.starts)
        self._chunks: list[Chunk | None] = [None] * len(entries)
        self._kinds: dict[Kind, Kind] = {}
        self._from_disk = exceed_memory(entries)

    def chunk(self, number: int) -> Chunk:
        """Open a chunk of the part."""
        found = self._chunks[number]
        if found is None:
            entry = self.entries[number]
            found = open_chunk(self._root, entry, reserve(self._root, entry.bytes))
            if found.uniform:
                raise FormatError(f"{found.path}: its records are not what the manifest says")
            # Kinds that are equal become one, so that those of a batch are told apart cheaply.
            found.kinds = [self._kinds.setdefault(kind, kind) for kind in found.kinds]
            self._chunks[number] = found
        return found

    def read(self, position: int) -> Array:
        number = bisect_right(self.starts, position) - 1
        chunk = self._chunks[number] or self.chunk(number)
        return chunk.read(position - self.starts[number])

    def peek(self, position: int) -> Array | None:
        """Give a record, None where it is an image that is not decoded yet."""
        number = bisect_right(self.starts, position) - 1
        return self.chunk(number).peek(position - self.starts[number])

    def file(self, position: int) -> Array | None:
        """Give the bytes of an image file that was packed as such, None of other records."""
        number = bisect_right(self.starts, position) - 1
        return self.chunk(number).file(position - self.starts[number])

    def locate(self, positions: Positions) -> list[Place]:
        """Find records for the methods below, and check them."""
        numbers = self._locator.numbers(positions)
        rows = positions - self._start_of.take(numbers)
        chosen = numbers.tolist()
        chunks = {number: self.chunk(number) for number in set(chosen)}
        for number, chunk in chunks.items():
            if self._from_disk:
                spans = chunk.table.spans(rows[numbers == number])
                fetch(chunk.raw, *spans, checked=chunk.trusted)
            if not chunk.trusted:
                chunk.check_many(rows[numbers == number])
        return [
            (chunk, row, chunk.kinds[chunk.kind_numbers[row]])
            for chunk, row in zip(map(chunks.__getitem__, chosen), rows.tolist(), strict=True)
        ]

    def kind(self, located: list[Place]) -> Kind | None:
        found = list({id(kind): kind for _, _, kind in located}.values())
        alike = len({(kind.dtype, kind.shape) for kind in found}) == 1
        return found[0] if alike else None

    def take_into(self, located: list[Place], out: Array) -> None:
        for place, (chunk, row, kind) in enumerate(located):
            if kind.codec == "none":
                out[place, ...] = np.ndarray(kind.shape, kind.dtype, chunk.raw, chunk.starts[row])
            else:
                chunk.decode(row, kind, out[place, ...])

    def copies(self, located: list[Place]) -> list[Array]:
        return [
            np.ndarray(kind.shape, kind.dtype, chunk.raw, chunk.starts[row]).copy()
            if kind.codec == "none"
            else chunk.read(row)
            for chunk, row, kind in located
        ]
