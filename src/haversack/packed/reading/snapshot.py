"""One version of a dataset, opened: positions to arrays, keys to positions, metadata of rows.

A *position* counts the live records of the version. A *row*, here, counts all records: those of
its chunks, then those of its journal, the deleted ones too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from haversack.errors import UsageError
from haversack.packed.chunks.reader import Array, Chunk
from haversack.packed.encoding.keys import Key, KeyType, key_bytes, key_from_bytes, key_type
from haversack.packed.encoding.kinds import Kind, common
from haversack.packed.encoding.metadata import loads
from haversack.packed.journal.tail import Tail
from haversack.packed.manifests.deletions import DeletedRows, read_deletions
from haversack.packed.manifests.index import IndexFile, column_types, plain_fields
from haversack.packed.manifests.manifest import Manifest, add_columns
from haversack.packed.manifests.places import index_path
from haversack.packed.reading.keytables import KeyTables
from haversack.packed.reading.locate import Positions
from haversack.packed.reading.parts import Part, make_parts
from haversack.storage.lazily import lazily


class _Files:
    """What was read of the files of some chunks, for all snapshots that have the same chunks."""

    def __init__(self) -> None:
        self.indexes: dict[int, IndexFile] = {}
        self.lists: dict[int, DeletedRows] = {}
        self.gone: Positions | None = None


class Snapshot:
    """All records of one version, by position.

    Opening it reads no file but the manifest and, if there is one, the journal.

    Parameters
    ----------
    root, manifest
        The dataset and the version.
    stop
        Where to stop in the journal, as ``end`` of another snapshot says it.
    before
        An earlier one of the dataset: what it has read and checked is not read again.
    """

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        stop: int | None = None,
        before: Snapshot | None = None,
    ) -> None:
        self.root, self.manifest = root, manifest
        self.tail: Tail | None = None
        if manifest.journal is not None:
            self.tail = Tail(root, manifest, stop, before.tail if before else None)
        reused = before is not None and before.manifest.chunks == manifest.chunks
        self._lay_out(before.chunk_parts if before and reused else None)
        self.files: _Files = before.files if before and reused else _Files()
        self.chunk_starts = [0, *accumulate(entry.rows for entry in manifest.chunks)]
        deleted = self._count_deleted()
        self._has_deleted = deleted > 0
        self.rows = self.starts[-1] - deleted
        self.since: int | None = None  # when its manifest became the last, if that is known
        merged = before.key_tables.merged if before else None
        self.key_tables: KeyTables = KeyTables(root, manifest.chunks, merged)

    def _lay_out(self, chunk_parts: list[Part] | None) -> None:
        """Put the parts one behind the other."""
        self.chunk_parts: list[Part] = chunk_parts or [*make_parts(self.root, self.manifest.chunks)]
        self._inside = [(part, at) for part in self.chunk_parts for at in range(len(part.entries))]
        self.parts: list[Part | Tail] = [*self.chunk_parts]
        if self.tail is not None and self.tail.rows:
            self.parts.append(self.tail)
        self.starts = [0, *accumulate(part.rows for part in self.parts)]
        self._bounds = np.array(self.starts[1:], np.int64)
        self._only = self.parts[0] if len(self.parts) == 1 else None

    def let_go(self) -> None:
        """Unmap all chunks once no array needs them; asked for again, they are mapped again."""
        self._lay_out(None)

    def _count_deleted(self) -> int:
        listed = sum(entry.deleted.rows for entry in self.manifest.chunks if entry.deleted)
        return listed + (len(self.tail.dead) + len(self.tail.doomed) if self.tail else 0)

    @property
    def end(self) -> int | None:
        """How far the journal was read, None where there is none."""
        return None if self.tail is None else self.tail.end

    @property
    def key_type(self) -> KeyType | None:
        return self.manifest.key_type if self.tail is None else self.tail.key_type

    @lazily
    def columns(self) -> dict[str, list[str]]:
        """The metadata keys, and the types that their values have."""
        if self.tail is None or not self.tail.rows:
            return self.manifest.columns
        fields = [plain_fields(loads(text)) for text in self.tail.texts()]
        return add_columns(self.manifest.columns, column_types(fields))

    # Deletions.

    def deleted(self, number: int) -> DeletedRows:
        """List the rows of a chunk that its deletion list names."""
        lists = self.files.lists
        if number not in lists:
            lists[number] = read_deletions(self.root, self.manifest.chunks[number])
        return lists[number]

    @lazily
    def gone(self) -> Positions:
        """All deleted rows, ascending."""
        listed = self.files.gone
        if listed is None:
            listed = self.files.gone = self._listed()
        if self.tail is None or not (self.tail.dead or self.tail.doomed):
            return listed
        more = self.tail.deleted_rows(self.chunk_starts[-1])
        return np.insert(listed, listed.searchsorted(more), more)

    def _listed(self) -> Positions:
        """List the rows that the deletion lists name, ascending."""
        lists = [
            self.chunk_starts[number] + self.deleted(number).astype(np.int64)
            for number, entry in enumerate(self.manifest.chunks)
            if entry.deleted
        ]
        return np.concatenate(lists) if lists else np.empty(0, np.int64)

    def gone_of(self, number: int) -> Positions:
        """List the deleted rows of a chunk, counted in it."""
        start, stop = self.gone.searchsorted(self.chunk_starts[number : number + 2])
        found: Positions = self.gone[start:stop] - self.chunk_starts[number]
        return found

    @lazily
    def _before(self) -> Positions:
        """For each deleted row the number of live ones before it."""
        return self.gone - np.arange(len(self.gone))

    def rows_at(self, positions: Positions) -> Positions:
        """Turn positions into rows."""
        if not self._has_deleted:
            return positions
        return positions + self._before.searchsorted(positions, side="right")

    def _row_at(self, position: int) -> int:
        if not self._has_deleted:
            return position
        return position + int(self._before.searchsorted(position, side="right"))

    def positions_of(self, rows: Positions) -> Positions:
        """Turn live rows into positions."""
        return rows - self.gone.searchsorted(rows) if self._has_deleted else rows

    def _is_gone(self, row: int) -> bool:
        if not self._has_deleted:
            return False
        place = int(self.gone.searchsorted(row))
        return place < len(self.gone) and bool(self.gone[place] == row)

    # Arrays.

    def read(self, position: int) -> Array:
        """Give the record at a position that was checked to exist."""
        row = self._row_at(position) if self._has_deleted else position
        if self._only is not None:
            return self._only.read(row)
        number = bisect_right(self.starts, row) - 1
        return self.parts[number].read(row - self.starts[number])

    def peek(self, position: int) -> Array | None:
        """Give the record at a position, None where it is an image that is not decoded yet."""
        row = self._row_at(position)
        if self._only is not None:
            return self._only.peek(row)
        number = bisect_right(self.starts, row) - 1
        return self.parts[number].peek(row - self.starts[number])

    def file(self, position: int) -> Array | None:
        """Give the bytes of a record that is an image file, None where it is none."""
        row = self._row_at(position)
        number = bisect_right(self.starts, row) - 1
        return self.parts[number].file(row - self.starts[number])

    def take(self, positions: Positions, out: Array | None = None) -> Array | list[Array]:
        """Give the records at these positions: stacked where they agree, else a list."""
        rows, part = self.rows_at(positions) if self._has_deleted else positions, self._only
        if part is None:
            return self._take_of_many(rows, out)
        located = part.locate(rows)
        kind = part.kind(located)
        if kind is None:
            _refuse(out)
            return part.copies(located)
        out = _output((len(rows), *kind.shape), kind, out)
        part.take_into(located, out)
        return out

    def _take_of_many(self, rows: Positions, out: Array | None) -> Array | list[Array]:
        pieces = self._pieces(rows)
        kind = common(part.kind(located) for part, _, located in pieces)
        if kind is None:
            _refuse(out)
            return _copies(pieces, len(rows))
        out = _output((len(rows), *kind.shape), kind, out)
        for part, where, located in pieces:
            piece = np.empty((len(where), *kind.shape), kind.dtype)
            part.take_into(located, piece)
            out[where] = piece
        return out

    def _pieces(self, rows: Positions) -> list[Piece]:
        numbers = self._bounds.searchsorted(rows, side="right")
        pieces: list[Piece] = []
        for number in np.unique(numbers).tolist():
            where = np.flatnonzero(numbers == number)
            part = self.parts[number]
            pieces.append((part, where, part.locate(rows[where] - self.starts[number])))
        return pieces

    # Chunks, keys and metadata.

    def chunk(self, number: int) -> Chunk:
        """Open a chunk by its number among the version's."""
        part, inside = self._inside[number]
        return part.chunk(inside)

    def chunks(self) -> Iterator[Chunk]:
        """Open each chunk in turn."""
        return (self.chunk(number) for number in range(len(self.manifest.chunks)))

    def place(self, row: int) -> tuple[int, int]:
        """Turn a row of the chunks into the number of its chunk and its row there."""
        number = bisect_right(self.chunk_starts, row) - 1
        return number, row - self.chunk_starts[number]

    def find(self, key: Any) -> int | None:
        """Find the position of a key, None if there is none.

        Raises
        ------
        FormatError
            It is in none of the chunks that can be read, but others are damaged.
        """
        if self.key_type is None or key_type(key) != self.key_type:
            return None
        row = self.find_row(key_bytes(key))
        if row is None or not self._has_deleted:
            return row
        return row - int(self.gone.searchsorted(row))

    def find_row(self, key: bytes) -> int | None:
        """Find the live row of a key."""
        if self.tail is not None:
            found = self.tail.find(key)
            if found is not None:
                return self.chunk_starts[-1] + found
        return self._find_in_chunks(key)

    def _find_in_chunks(self, key: bytes) -> int | None:
        for number, row in self.key_tables.find(key, self.chunk):
            place = self.chunk_starts[number] + row
            if not self._is_gone(place):
                return place
        return None

    def keys(self) -> list[Key | None]:
        """List the keys of all live records, in order."""
        kind = self.key_type
        if kind is None:
            return [None] * self.rows
        found = [key for chunk in self.chunks() for key in chunk.keys(kind)]
        if self.tail is not None:
            found += [self.tail.key(row) for row in range(self.tail.rows)]
        for row in self.gone[::-1].tolist():
            del found[row]
        return found

    def index(self, number: int) -> IndexFile:
        """Open the index file of a chunk."""
        indexes = self.files.indexes
        if number not in indexes:
            indexes[number] = IndexFile(self.root, self.manifest.chunks[number])
        return indexes[number]

    def index_paths(self) -> list[Path]:
        return [index_path(self.root, entry.id) for entry in self.manifest.chunks]

    def key(self, position: int) -> Key | None:
        """Give the key of a record, None if it has none."""
        kind, row = self.key_type, self._row_at(position)
        if self.tail is not None and row >= self.chunk_starts[-1]:
            return self.tail.key(row - self.chunk_starts[-1])
        if kind is None:
            return None
        number, row = self.place(row)
        text = self.chunk(number).key_text(row)
        return None if text is None else key_from_bytes(text, kind)

    def texts(self, positions: Sequence[int] | Positions) -> list[str]:
        """Give the metadata of some records as JSON."""
        wanted = self.rows_at(np.asarray(positions, np.int64))
        numbers = np.searchsorted(np.array(self.chunk_starts[1:], np.int64), wanted, side="right")
        found: list[str] = [""] * len(wanted)
        for number in np.unique(numbers).tolist():
            texts, start = self._texts_of(number), self.chunk_starts[number]
            for at in np.flatnonzero(numbers == number).tolist():
                found[at] = texts[int(wanted[at]) - start]
        return found

    def _texts_of(self, number: int) -> list[str]:
        if number == len(self.manifest.chunks) and self.tail is not None:
            return self.tail.texts()
        return self.index(number).texts()

    def metadata(self, position: int) -> dict[Any, Any]:
        """Give one record's metadata."""
        row = self._row_at(position)
        if self.tail is not None and row >= self.chunk_starts[-1]:
            return self.tail.metadata(row - self.chunk_starts[-1])
        number, row = self.place(row)
        return self.index(number).metadata(row)


# A part, the places of its records in a batch, and what it found for them.
Piece = tuple[Part | Tail, Positions, Any]


def _copies(pieces: list[Piece], count: int) -> list[Array]:
    found: list[Any] = [None] * count
    for part, where, located in pieces:
        for place, array in zip(where.tolist(), part.copies(located), strict=True):
            found[place] = array
    return found


def _refuse(out: Array | None) -> None:
    if out is not None:
        raise UsageError("out= needs records of one dtype and shape; these differ")


def _output(shape: tuple[int, ...], kind: Kind, out: Any) -> Array:
    if out is None:
        return np.empty(shape, kind.dtype)
    if not isinstance(out, np.ndarray) or not (flags := out.flags).writeable:
        raise UsageError(f"out must be an array that can be written, not this {type(out).__name__}")
    if out.shape != shape or out.dtype != kind.dtype or not flags.c_contiguous:
        raise UsageError(
            f"out must be C-contiguous, of dtype {kind.dtype} and shape {shape}, "
            f"not {out.dtype} and {out.shape}"
        )
    filled: Array = out
    return filled
