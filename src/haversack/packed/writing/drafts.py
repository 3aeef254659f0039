"""A chunk and its index file in the making, until both stand on disk and wait for a manifest."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import StorageError
from haversack.packed.chunks.reader import Chunk
from haversack.packed.chunks.settling import OVERHEAD, Settler
from haversack.packed.chunks.writer import ChunkWriter, Sealed
from haversack.packed.encoding.auto import Auto
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.keys import KeyType
from haversack.packed.encoding.kinds import Kind
from haversack.packed.encoding.metadata import loads
from haversack.packed.manifests.index import Written, plain_fields, write_index
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.manifests.places import FOLDERS, chunk_path, index_path
from haversack.packed.reading.mapped import open_chunk, reserve
from haversack.storage.looking import exists
from haversack.storage.publish import make_directory, storage_error


def make_folders(root: Path) -> None:
    """Make the directories of a dataset."""
    for folder in FOLDERS:
        make_directory(root / folder)


@contextmanager
def folders_of(root: Path) -> Iterator[None]:
    """Remove, should the block fail, those folders of a dataset that were not there before it."""
    ours = [root / folder for folder in reversed(FOLDERS)]
    made = [folder for folder in (*ours, root, *root.parents) if not exists(folder)]
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # it holds something, or was never made
                folder.rmdir()
        raise


@dataclass(frozen=True, slots=True)
class Finished:
    """A chunk whose files are whole and synced: its entry, and the types of its columns."""

    entry: ChunkEntry
    columns: dict[str, str]
    chunk: Chunk | None  # opened where it has keys, to find them


class Draft:
    """Records that become one chunk with its index file.

    With ``auto``, raw ones are encoded as it finds best; with ``dedupe``, payloads that are equal
    are kept once.
    """

    def __init__(
        self,
        root: Path,
        auto: Auto | None = None,
        *,
        dedupe: bool = False,
        chunk_id: str | None = None,
    ) -> None:
        # Each time: a build that failed beside this one may have removed them, empty.
        make_folders(root)
        self._root, self._dedupe = root, dedupe
        chunk_id = chunk_id or secrets.token_hex(16)
        self._writer = ChunkWriter(chunk_path(root, chunk_id), chunk_id)
        self._sink = self._writer if auto is None else Settler(self._writer, auto)
        self._texts: list[str] = []
        self._fields: list[dict[str, Any]] = []

    @property
    def rows(self) -> int:
        return len(self._texts)

    @property
    def size(self) -> int:
        """Bytes of payload so far."""
        return self._sink.size

    def stays_below(self, limit: int, size: int, rows: int) -> bool:
        """Tell whether it does with so many more bytes and rows, however these are stored.

        They may wait for their codec, be padded, or be of bytes that their codec makes more.
        """
        return self.size + size + (size >> 8) + OVERHEAD * rows < limit

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
        same = _digest(stored.payload) if self._dedupe else None
        self._sink.append(stored, key, same)
        self._texts.append(text)
        self._fields.append(plain_fields(metadata))

    def append_stored(self, stored: Stored, key: bytes | None, text: str, same: Any = None) -> None:
        """Add a record whose metadata is there as JSON only.

        ``same`` is what it has in common with all that share its payload where it comes from.
        """
        self._writer.append(stored, key, same)
        self._texts.append(text)
        self._fields.append(plain_fields(loads(text)))

    def append_block(
        self, stored: Stored, crcs: NDArray[Any], keys: list[bytes | None], texts: list[str]
    ) -> None:
        """Add raw records of one kind, whose payloads lie one behind the other."""
        self._writer.append_block(stored, crcs, keys)
        self._texts += texts
        self._fields += [plain_fields(loads(text)) for text in texts]

    def extend(
        self,
        kinds: Sequence[Kind],
        payloads: Sequence[Any],
        keys: Sequence[bytes | None],
        texts: Sequence[str],
        fields: Sequence[dict[str, Any]],
    ) -> None:
        """Add records, column by column; the fields are plain already."""
        if self._sink is self._writer and not self._dedupe:
            self._writer.extend(kinds, payloads, keys)
        else:
            for kind, payload, key in zip(kinds, payloads, keys, strict=True):
                same = _digest(payload) if self._dedupe else None
                self._sink.append(Stored(kind, np.frombuffer(payload, np.uint8)), key, same)
        self._texts.extend(texts)
        self._fields.extend(fields)

    def finish(self, key_type: KeyType | None) -> Finished:
        """Write what is missing and sync it; on failure nothing of it is left."""
        chunk_id = self._writer.chunk_id
        try:
            make_folders(self._root)
            sealed = self._sink.seal()
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


def _digest(payload: Any) -> bytes:
    # It is trusted: nobody can make two payloads of one BLAKE2b of 128 bits.
    return blake2b(memoryview(payload), digest_size=16).digest()


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


def touch(root: Path, chunk_id: str) -> None:
    """Tell who removes old files that these are about to be published.

    Raises
    ------
    StorageError
        They are gone, as they were left unpublished for too long.
    """
    for path in (chunk_path(root, chunk_id), index_path(root, chunk_id)):
        try:
            os.utime(path)
        except FileNotFoundError as error:
            raise StorageError(
                f"{path} is gone: what is not flushed for more than a day may be removed; "
                "write its records again"
            ) from error
        except OSError as error:
            raise storage_error("touch", path, error) from error


def discard(root: Path, chunk_ids: Iterable[str]) -> None:
    """Remove the files of chunks that no manifest names."""
    for chunk_id in chunk_ids:
        chunk_path(root, chunk_id).unlink(missing_ok=True)
        index_path(root, chunk_id).unlink(missing_ok=True)
