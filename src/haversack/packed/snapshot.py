"""One version of a dataset, opened: positions to arrays, keys to positions, metadata of rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from haversack.errors import FormatError, UsageError
from haversack.packed.chunk import Array, Chunk
from haversack.packed.deletions import Rows, read_deletions
from haversack.packed.keys import Key, key_bytes, key_from_bytes, key_type
from haversack.packed.kinds import Kind
from haversack.packed.manifest import Manifest
from haversack.packed.parts import Part, Positions, make_parts
from haversack.packed.table import IndexFile, index_path


class Snapshot:
    """All records of one version, by position. Opening it reads no file but the manifest."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root, self.manifest = root, manifest
        self.parts: list[Part] = list(make_parts(root, manifest.chunks))
        self.starts = [0, *accumulate(part.rows for part in self.parts)]
        self.rows = self.starts[-1]
        self._bounds = np.array(self.starts[1:], np.int64)
        self._only = self.parts[0] if len(self.parts) == 1 else None
        self.chunk_starts = [0, *accumulate(entry.rows for entry in manifest.chunks)]
        self._indexes: dict[int, IndexFile] = {}
        self._deleted: dict[int, Rows] = {}
        self._inside = [(part, at) for part in self.parts for at in range(len(part.entries))]

    # Arrays.

    def read(self, position: int) -> Array:
        """Give the record at a position that was checked to exist."""
        if self._only is not None:
            return self._only.read(position)
        number = bisect_right(self.starts, position) - 1
        return self.parts[number].read(position - self.starts[number])

    def take(self, positions: Positions, out: Array | None = None) -> Array | list[Array]:
        """Give the records at these positions: stacked where they agree, else a list."""
        pieces = self._pieces(positions)
        kind = _common(pieces)
        if kind is None:
            if out is not None:
                raise UsageError("out= needs records of one dtype and shape; these differ")
            return [np.array(self.read(position)) for position in positions.tolist()]
        out = _output((len(positions), *kind.shape), kind, out)
        for part, where, local in pieces:
            if len(pieces) == 1:
                part.take_into(local, out)
            else:
                piece = np.empty((len(local), *kind.shape), kind.dtype)
                part.take_into(local, piece)
                out[where] = piece
        return out

    def _pieces(self, positions: Positions) -> list[tuple[Part, Any, Positions]]:
        if self._only is not None:
            return [(self._only, slice(None), positions)]
        numbers = self._bounds.searchsorted(positions, side="right")
        pieces: list[tuple[Part, Any, Positions]] = []
        for number in np.unique(numbers).tolist():
            where = np.flatnonzero(numbers == number)
            pieces.append((self.parts[number], where, positions[where] - self.starts[number]))
        return pieces

    # Chunks, keys and metadata.

    def chunk(self, number: int) -> Chunk:
        """Open a chunk by its number among the version's."""
        part, inside = self._inside[number]
        return part.chunk(inside)

    def chunks(self) -> Iterator[Chunk]:
        """Open each chunk in turn."""
        return (self.chunk(number) for number in range(len(self.manifest.chunks)))

    def find(self, key: Any) -> int | None:
        """Find the position of a key, None if there is none.

        Raises
        ------
        FormatError
            It is in none of the chunks that can be read, but others are damaged.
        """
        if self.manifest.key_type is None or key_type(key) != self.manifest.key_type:
            return None
        wanted, damage = key_bytes(key), None
        for number, start in enumerate(self.chunk_starts[:-1]):
            try:
                row = self.chunk(number).find(wanted)
                if row is not None and not self.is_deleted(number, row):
                    return start + row
            except FormatError as error:
                damage = damage or error
        if damage is not None:
            raise damage
        return None

    # Deletions.

    def deleted(self, number: int) -> Rows:
        """List the deleted rows of a chunk."""
        if number not in self._deleted:
            self._deleted[number] = read_deletions(self.root, self.manifest.chunks[number])
        return self._deleted[number]

    def is_deleted(self, number: int, row: int) -> bool:
        rows = self.deleted(number)
        place = int(rows.searchsorted(row))
        return place < len(rows) and bool(rows[place] == row)

    def live(self) -> Positions | None:
        """Give the positions that are not deleted, None where none is."""
        if all(entry.deleted is None for entry in self.manifest.chunks):
            return None
        alive = np.ones(self.rows, bool)
        for number, start in enumerate(self.chunk_starts[:-1]):
            alive[start + self.deleted(number).astype(np.int64)] = False
        return np.flatnonzero(alive)

    def place(self, position: int) -> tuple[int, int]:
        """Turn a position into the number of its chunk and its row there."""
        number = bisect_right(self.chunk_starts, position) - 1
        return number, position - self.chunk_starts[number]

    def keys(self) -> list[Key | None]:
        """List the keys of all records, in order."""
        kind = self.manifest.key_type
        if kind is None:
            return [None] * self.rows
        return [key for chunk in self.chunks() for key in chunk.keys(kind)]

    def index(self, number: int) -> IndexFile:
        """Open the index file of a chunk."""
        if number not in self._indexes:
            entry = self.manifest.chunks[number]
            self._indexes[number] = IndexFile(self.root, entry)
        return self._indexes[number]

    def index_paths(self) -> list[Path]:
        return [index_path(self.root, entry.id) for entry in self.manifest.chunks]

    def key(self, position: int) -> Key | None:
        """Give the key of a record, None if it has none."""
        kind = self.manifest.key_type
        if kind is None:
            return None
        number, row = self.place(position)
        text = self.chunk(number).key_text(row)
        return None if text is None else key_from_bytes(text, kind)

    def texts(self, positions: Sequence[int] | Positions) -> list[str]:
        """Give the metadata of some records as JSON."""
        wanted = np.asarray(positions, np.int64)
        numbers = np.searchsorted(np.array(self.chunk_starts[1:], np.int64), wanted, side="right")
        found: list[str] = [""] * len(wanted)
        for number in np.unique(numbers).tolist():
            texts, start = self.index(number).texts(), self.chunk_starts[number]
            for at in np.flatnonzero(numbers == number).tolist():
                found[at] = texts[int(wanted[at]) - start]
        return found

    def metadata(self, position: int) -> dict[Any, Any]:
        """Give one record's metadata."""
        number, row = self.place(position)
        return self.index(number).metadata(row)


def _common(pieces: list[tuple[Part, Any, Positions]]) -> Kind | None:
    """Say what these records share; the codec does not matter."""
    common: Kind | None = None
    for part, _, positions in pieces:
        kind = part.kind(positions)
        if kind is None:
            return None
        if common is not None and (common.dtype, common.shape) != (kind.dtype, kind.shape):
            return None
        common = kind
    return common


def _output(shape: tuple[int, ...], kind: Kind, out: Any) -> Array:
    if out is None:
        return np.empty(shape, kind.dtype)
    if not isinstance(out, np.ndarray) or not out.flags.writeable:
        raise UsageError(f"out must be an array that can be written, not this {type(out).__name__}")
    if out.shape != shape or out.dtype != kind.dtype or not out.flags.c_contiguous:
        raise UsageError(
            f"out must be C-contiguous, of dtype {kind.dtype} and shape {shape}, "
            f"not {out.dtype} and {out.shape}"
        )
    filled: Array = out
    return filled
