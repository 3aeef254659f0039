"""A chunk and its index file in the making, until both stand on disk and wait for a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from haversack.packed.chunk import Chunk
from haversack.packed.chunkwriter import ChunkWriter, Sealed
from haversack.packed.encoding import Stored
from haversack.packed.keys import KeyType
from haversack.packed.manifest import FOLDER as MANIFESTS
from haversack.packed.manifest import ChunkEntry
from haversack.packed.parts import chunk_path, open_chunk, reserve
from haversack.packed.table import Written, index_path, plain_fields, write_index
from haversack.packed.values import loads
from haversack.storage.publish import make_directory

FOLDERS: Final = (MANIFESTS, "index", "chunks")


def make_folders(root: Path) -> None:
    """Make the directories of a dataset."""
    for folder in FOLDERS:
        make_directory(root / folder)


@dataclass(frozen=True, slots=True)
class Finished:
    """A chunk whose files are whole and synced: its entry, and the types of its columns."""

    entry: ChunkEntry
    columns: dict[str, str]
    chunk: Chunk | None  # opened where it has keys, to find them


class Draft:
    """Records that become one chunk with its index file.

    With ``dedupe``, payloads that are equal are kept once.
    """

    def __init__(self, root: Path, *, dedupe: bool = False) -> None:
        # Each time: a build that failed beside this one may have removed them, empty.
        make_folders(root)
        self._root, self._dedupe = root, dedupe
        self._writer = ChunkWriter(root / "chunks")
        self._texts: list[str] = []
        self._fields: list[dict[str, Any]] = []

    @property
    def rows(self) -> int:
        return len(self._texts)

    @property
    def size(self) -> int:
        """Bytes of payload so far."""
        return self._writer.size

    def __contains__(self, key: bytes) -> bool:
        return key in self._writer.keys

    @property
    def chunk_id(self) -> str:
        return self._writer.chunk_id

    def forget(self, key: bytes) -> int:
        """Take the key from its record, which is to be deleted; give its row."""
        return self._writer.keys.pop(key)

    def append(
        self, stored: Stored, key: bytes | None, text: str, metadata: Mapping[Any, Any]
    ) -> None:
        """Add a record with its metadata, as JSON and as it was given."""
        # The digest is trusted: nobody can make two payloads of one BLAKE2b of 128 bits.
        same = blake2b(stored.payload.data, digest_size=16).digest() if self._dedupe else None
        self._add(stored, key, text, metadata, same)

    def _add(
        self,
        stored: Stored,
        key: bytes | None,
        text: str,
        metadata: Mapping[Any, Any],
        same: Any,
    ) -> None:
        self._writer.append(stored, key, same)
        self._texts.append(text)
        self._fields.append(plain_fields(metadata))

    def copy(self, chunk: Chunk, row: int, text: str) -> None:
        """Add a record of another chunk as it is stored, after checking it.

        Records that share a payload there share it here.
        """
        chunk.check(row)
        start, stop = chunk.table.span(row)
        stored = Stored(chunk.kind_of(row), chunk.raw[start:stop])
        same = (chunk.path.name, start) if chunk.slots < chunk.rows else None
        self._add(stored, chunk.key_text(row), text, loads(text), same)

    def finish(self, key_type: KeyType | None) -> Finished:
        """Write what is missing and sync it; on failure nothing of it is left."""
        chunk_id = self._writer.chunk_id
        try:
            make_folders(self._root)
            sealed = self._writer.seal()
            path = index_path(self._root, chunk_id)
            index = write_index(path, self._texts, self._fields, self._writer.keys, key_type)
            entry = _entry(sealed, index)
            place = reserve(self._root, entry.bytes)
            chunk = open_chunk(self._root, entry, place) if entry.keys else None
        except BaseException:
            discard(self._root, [chunk_id])
            raise
        return Finished(entry, index.columns, chunk)

    def abandon(self) -> None:
        """Remove what was written."""
        self._writer.abandon()


def _entry(sealed: Sealed, index: Written) -> ChunkEntry:
    return ChunkEntry(
        id=sealed.chunk_id,
        rows=sealed.rows,
        bytes=sealed.size,
        trailer=sealed.trailer_crc,
        index_bytes=index.size,
        index_crc32c=index.crc32c,
        keys=sealed.keys,
        dtype=sealed.dtype,
        shape=sealed.shape,
    )


def discard(root: Path, chunk_ids: Iterable[str]) -> None:
    """Remove the files of chunks that no manifest names."""
    for chunk_id in chunk_ids:
        chunk_path(root, chunk_id).unlink(missing_ok=True)
        index_path(root, chunk_id).unlink(missing_ok=True)
