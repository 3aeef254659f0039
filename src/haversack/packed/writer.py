"""Write records into a packed dataset: many appends, published as one version."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np

from haversack.errors import (
    ExistsError,
    HaversackError,
    KeyExistsError,
    RecordNotFoundError,
    UsageError,
)
from haversack.packed.chunk import Chunk
from haversack.packed.chunkwriter import ChunkWriter, Sealed
from haversack.packed.codecs import canonical
from haversack.packed.deletions import read_deletions, with_deletions
from haversack.packed.keys import Key, KeyType, key_bytes, key_from_bytes, key_type
from haversack.packed.kinds import prepare
from haversack.packed.manifest import (
    FOLDER,
    ChunkEntry,
    Manifest,
    commit,
    empty_manifest,
    read_latest,
)
from haversack.packed.parts import chunk_path, open_chunk
from haversack.packed.snapshot import Snapshot
from haversack.packed.table import Written, index_path, plain_fields, write_index
from haversack.packed.values import dumps
from haversack.storage.maps import Reservation
from haversack.storage.publish import make_directory, storage_error, sync_directory

FOLDERS = (FOLDER, "chunks", "index")
_OURS = frozenset({*FOLDERS, "journal", "cache", "build"})


@dataclass(frozen=True, slots=True)
class _Pending:
    """A chunk that is whole on disk and waits for its manifest."""

    sealed: Sealed
    index: Written
    chunk: Chunk | None  # opened where it has keys, to find them

    def entry(self) -> ChunkEntry:
        return ChunkEntry(
            id=self.sealed.chunk_id,
            rows=self.sealed.rows,
            bytes=self.sealed.size,
            trailer=self.sealed.trailer_crc,
            index_bytes=self.index.size,
            index_crc32c=self.index.crc32c,
            keys=self.sealed.keys,
            dtype=self.sealed.dtype,
            shape=self.sealed.shape,
        )


class PackWriter:
    """Append records to a packed dataset, new or existing.

    Nothing is visible to readers before :meth:`flush` or :meth:`close` returns; what was appended
    since the last of them is dropped when the ``with`` block ends in an exception or the process
    dies. Any number of writers, in any processes, may write into one dataset at once.

    Parameters
    ----------
    path
        Directory of the dataset; made when missing.
    codec
        How payloads are encoded: ``none`` (fastest to read), ``blosc-lz4``, ``blosc-zstd``,
        ``zstd``, ``gzip``, each also in full as ``blosc-zstd-bitshuffle-5``.
    chunk_bytes
        Size at which a chunk file is closed and the next begun.

    Raises
    ------
    ExistsError
        The path holds something else.

    Examples
    --------
    >>> with PackWriter("chips") as writer:
    ...     writer.append(np.zeros((2, 3), "uint16"), key="a", label="007")
    ...     writer.append(np.ones(4), label=None)
    >>> from haversack.packed import open_packed
    >>> open_packed("chips").record("a").metadata
    {'label': '007'}
    """

    def __init__(
        self, path: str | os.PathLike[str], *, codec: str = "none", chunk_bytes: int = 1 << 30
    ) -> None:
        self._codec = canonical(codec)
        if chunk_bytes < 1:
            raise UsageError(f"chunk_bytes must be positive, not {chunk_bytes}")
        self.path = Path(path).absolute()
        self._chunk_bytes = chunk_bytes
        self._pid = os.getpid()
        self._open: ChunkWriter | None = None
        self._texts: list[str] = []
        self._fields: list[dict[str, Any]] = []
        self._pending: list[_Pending] = []
        self._doomed: dict[bytes, Key] = {}
        self._closed = False
        check_place(self.path)
        manifest = read_latest(self.path)
        self._base = Snapshot(self.path, manifest or empty_manifest())
        self._exists = manifest is not None
        self._key_type: KeyType | None = self._base.manifest.key_type
        for folder in FOLDERS:
            make_directory(self.path / folder)

    def append(
        self,
        array: Any,
        metadata: Mapping[Any, Any] | None = None,
        /,
        *,
        key: Any = None,
        **more: Any,
    ) -> None:
        """Add one record.

        Parameters
        ----------
        array
            Anything numpy takes for an array of numbers, booleans, dates, fixed-length text or
            structures of them, of any shape; its dtype is kept exactly.
        metadata
            A mapping, kept with its types (dates, None, nested values); also as keywords.
        key
            Text or a 64-bit integer that no other record has.

        Raises
        ------
        KeyExistsError
            The dataset has that key; nothing was added, and the writer can go on.
        UnsupportedError
            The array, the key or a metadata value is of a kind that cannot be kept exactly.
        StorageError
            The disk refuses; what was not flushed is dropped.
        """
        self._check_usable()
        record = prepare(array)
        given = {**metadata, **more} if metadata else more
        text = dumps(given)
        data = None if key is None else self._new_key(key)
        chunk = self._open or self._begin()
        chunk.append(record, data)
        self._texts.append(text)
        self._fields.append(plain_fields(given))
        if chunk.size >= self._chunk_bytes:
            self._seal()

    def delete(self, key: Any) -> None:
        """Delete the record of a key, as part of the version that the next flush publishes.

        A record of the same key may be appended after that, which replaces it.

        Raises
        ------
        RecordNotFoundError
            The dataset has no such key.
        """
        self._check_usable()
        data = key_bytes(key)
        if data in self._doomed or self._base.find(key) is None:
            raise RecordNotFoundError(f"{self.path} has no record of key {key!r}")
        self._doomed[data] = key

    def _begin(self) -> ChunkWriter:
        self._open = ChunkWriter(self.path / "chunks", self._codec)
        return self._open

    def _check_usable(self) -> None:
        if self._closed:
            raise UsageError(f"the writer of {self.path} is closed")
        if self._pid != os.getpid():
            raise UsageError("a writer belongs to the process that made it: make one in each")

    def _new_key(self, key: Any) -> bytes:
        kind = key_type(key)
        if self._key_type is None:
            self._key_type = kind
        elif kind != self._key_type:
            raise UsageError(
                f"the keys of {self.path} are {self._key_type}; {key!r} is {kind}: "
                "a dataset's keys are all text or all integers"
            )
        data = key_bytes(key)
        held = self._open is not None and data in self._open.keys
        if held or any(p.chunk and p.chunk.find(data) is not None for p in self._pending):
            raise KeyExistsError(f"{self.path}: the key {key!r} was appended before")
        if data not in self._doomed and self._base.find(key) is not None:
            raise KeyExistsError(f"{self.path} already has the key {key!r}")
        return data

    def _seal(self) -> None:
        """Close the open chunk and write its index file; it waits for a manifest."""
        chunk, self._open = self._open, None
        if chunk is None:
            return
        texts, self._texts = self._texts, []
        fields, self._fields = self._fields, []
        try:
            sealed = chunk.seal()
            path = index_path(self.path, chunk.chunk_id)
            index = write_index(path, texts, fields, chunk.keys, self._key_type)
            pending = _Pending(sealed, index, None)
            if sealed.keys:
                entry = pending.entry()
                opened = open_chunk(self.path, entry, Reservation(entry.bytes))
                pending = _Pending(sealed, index, opened)
        except BaseException:
            chunk_path(self.path, chunk.chunk_id).unlink(missing_ok=True)
            self.abandon()
            raise
        self._pending.append(pending)

    def flush(self) -> None:
        """Make all that was appended durable and visible, as one version.

        Raises
        ------
        KeyExistsError
            Another writer has committed one of the keys since; nothing of this flush is kept.
        StorageError
            The disk refuses; nothing of this flush is kept.
        """
        self._check_usable()
        self._seal()
        if not self._pending and not self._doomed and self._exists:
            return
        try:
            for folder in ("chunks", "index"):
                sync_directory(self.path / folder)
            published = commit(self.path, self._successor)
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError) and not isinstance(error, HaversackError):
                raise storage_error("publish", self.path, error) from error
            raise
        self._pending, self._doomed = [], {}
        self._base, self._exists = Snapshot(self.path, published), True

    def _successor(self, base: Manifest) -> Manifest:
        """Add the pending chunks to a version, which others may have moved on."""
        base = self._without_doomed(base)
        known = {entry.id for entry in self._base.manifest.chunks}
        self._check_keys(base, [entry for entry in base.chunks if entry.id not in known])
        columns = {name: list(types) for name, types in base.columns.items()}
        for pending in self._pending:
            for name, kind in pending.index.columns.items():
                types = columns.setdefault(name, [])
                if kind not in types:
                    types.append(kind)
        keyed = any(pending.sealed.keys for pending in self._pending)
        return msgspec.structs.replace(
            base,
            chunks=[*base.chunks, *(pending.entry() for pending in self._pending)],
            columns=columns,
            key_type=self._key_type if keyed else base.key_type,
        )

    def _without_doomed(self, base: Manifest) -> Manifest:
        """Delete what is to be deleted from a version, which others may have moved on."""
        if not self._doomed:
            return base
        current, rows = Snapshot(self.path, base), defaultdict[int, list[int]](list)
        for key in self._doomed.values():
            position = current.find(key)
            if position is None:
                raise RecordNotFoundError(
                    f"{self.path}: another writer has deleted {key!r} meanwhile"
                )
            number, row = current.place(position)
            rows[number].append(row)
        return with_deletions(self.path, base, rows)

    def _check_keys(self, base: Manifest, newer: list[ChunkEntry]) -> None:
        mine = [pending.chunk for pending in self._pending if pending.chunk is not None]
        if not mine:
            return
        if base.key_type is not None and base.key_type != self._key_type:
            raise UsageError(
                f"the keys of {self.path} are now {base.key_type}, not {self._key_type}: "
                "a dataset's keys are all text or all integers"
            )
        for entry in newer:
            if not entry.keys:
                continue
            theirs = open_chunk(self.path, entry, Reservation(entry.bytes))
            gone = set(read_deletions(self.path, entry).tolist())
            for chunk in mine:
                self._compare_keys(chunk, theirs, gone)

    def _compare_keys(self, mine: Chunk, theirs: Chunk, gone: set[int]) -> None:
        common = np.isin(mine.section("key_hash"), theirs.section("key_hash"))
        for row in mine.section("key_row")[common].tolist():
            text = mine.key_text(row)
            found = None if text is None else theirs.find(text)
            if text is not None and found is not None and found not in gone:
                key = key_from_bytes(text, self._key_type or "text")
                raise KeyExistsError(
                    f"{self.path}: another writer has committed the key {key!r} meanwhile"
                )

    def close(self) -> None:
        """Flush and end the writer; a dataset without records is made too."""
        if not self._closed and self._pid == os.getpid():
            self.flush()
            self._closed = True

    def abandon(self) -> None:
        """End the writer and drop what was not flushed."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        if self._open is not None:
            self._open.abandon()
        if not self._pending:
            return
        # A commit that failed may stand all the same: its files stay if it does.
        latest = read_latest(self.path) or empty_manifest()
        named = {entry.id for entry in latest.chunks}
        for chunk_id in {pending.sealed.chunk_id for pending in self._pending} - named:
            chunk_path(self.path, chunk_id).unlink(missing_ok=True)
            index_path(self.path, chunk_id).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def __repr__(self) -> str:
        waiting = len(self._texts) + sum(pending.sealed.rows for pending in self._pending)
        return f"<PackWriter {str(self.path)!r}: {waiting} records not yet flushed>"


def check_place(path: Path) -> None:
    """Refuse a place that holds anything but a packed dataset or the beginnings of one."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ExistsError(f"{path} is a file: give the path of a directory")
    strangers = sorted({entry.name for entry in path.iterdir()} - _OURS)
    if strangers:
        raise ExistsError(
            f"{path} is no packed dataset and not empty (it holds {strangers[0]}): choose another"
        )
