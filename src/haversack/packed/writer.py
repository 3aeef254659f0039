"""Write records into a packed dataset: many appends, published as one version."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from haversack.errors import (
    ExistsError,
    HaversackError,
    KeyExistsError,
    RecordNotFoundError,
    UsageError,
)
from haversack.packed.change import Change
from haversack.packed.drafts import Draft
from haversack.packed.encoding import Encoder
from haversack.packed.keys import KeyType, key_bytes, key_type
from haversack.packed.manifest import (
    FOLDER,
    Manifest,
    already_there,
    commit,
    empty_manifest,
    is_packed,
    read_latest,
)
from haversack.packed.merge import SMALL
from haversack.packed.snapshot import Snapshot
from haversack.packed.values import dumps
from haversack.storage.publish import make_directory, storage_error

FOLDERS = (FOLDER, "index", "chunks")
_OURS = frozenset({*FOLDERS, "journal", "cache", "build"})


class PackWriter:
    """Append records to a packed dataset, new or existing.

    Nothing is visible to readers before :meth:`flush` or :meth:`close` returns; what was appended
    since the last of them is dropped when the ``with`` block ends in an exception or the process
    dies. Any number of writers, in any processes, may write into one dataset at once, and threads
    may share one writer: their records follow each other in the order in which they come.

    Parameters
    ----------
    path
        Directory of the dataset; made when missing.
    codec
        How payloads are encoded: ``none`` (fastest to read), ``blosc-lz4``, ``blosc-zstd``,
        ``zstd``, ``gzip``, each also in full as ``blosc-zstd-bitshuffle-5``.
    chunk_bytes
        Size at which a chunk file is closed and the next begun.
    new
        Make a dataset that is not there yet, and refuse to add to one.

    Raises
    ------
    ExistsError
        The path holds something else, or with ``new`` a dataset.

    Examples
    --------
    >>> import numpy as np
    >>> with PackWriter("chips") as writer:
    ...     writer.append(np.zeros((2, 3), "uint16"), key="a", label="007")
    ...     writer.append(np.ones(4), label=None)
    >>> from haversack.packed import open_packed
    >>> open_packed("chips").record("a").metadata
    {'label': '007'}
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        codec: str = "none",
        chunk_bytes: int = 1 << 30,
        new: bool = False,
    ) -> None:
        self._encoder = Encoder(codec)
        if chunk_bytes < 1:
            raise UsageError(f"chunk_bytes must be positive, not {chunk_bytes}")
        self.path = Path(path).absolute()
        self._chunk_bytes = chunk_bytes
        self._new = new
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._open: Draft | None = None
        self._closed = False
        check_place(self.path)
        manifest = read_latest(self.path)
        if new and manifest is not None:
            raise already_there(self.path)
        self._base = Snapshot(self.path, manifest or empty_manifest())
        self._exists = manifest is not None
        self._key_type: KeyType | None = self._base.manifest.key_type
        self._change = self._new_change()
        self._make_folders()

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
        UsageError
            The metadata is no mapping, or the key is not of the type of the dataset's keys.
        StorageError
            The disk refuses; what was not flushed is dropped.
        """
        self._check_process()
        if metadata is not None and not isinstance(metadata, Mapping):
            raise UsageError(
                f"metadata is a mapping of names to values, not {type(metadata).__name__}; "
                "the key of a record is given as key=..."
            )
        given = {**metadata, **more} if metadata else more
        text = dumps(given)
        with self._lock:
            self._check_open()
            data = None if key is None else self._new_key(key)
            stored = self._encoder.encode(array)
            draft = self._open or self._begin()
            draft.append(stored, data, text, given)
            if draft.size >= self._chunk_bytes:
                self._seal()

    def delete(self, key: Any) -> None:
        """Delete the record of a key, as part of the version that the next flush publishes.

        A record of the same key may be appended after that, which replaces it.

        Raises
        ------
        RecordNotFoundError
            The dataset has no such key.
        """
        self._check_process()
        data = key_bytes(key)
        with self._lock:
            self._check_open()
            if data in self._change.doomed or self._base.find(key) is None:
                raise RecordNotFoundError(f"{self.path} has no record of key {key!r}")
            self._change.doomed[data] = key

    def _new_change(self) -> Change:
        # What fills a chunk as large as was asked for is not small.
        return Change(self.path, self._base.manifest, small=min(SMALL, self._chunk_bytes))

    def _make_folders(self) -> None:
        # Again for each chunk: a build that failed beside this one may have removed them, empty.
        for folder in FOLDERS:
            make_directory(self.path / folder)

    def _begin(self) -> Draft:
        self._make_folders()
        self._open = Draft(self.path)
        return self._open

    def _check_process(self) -> None:
        # Before the lock, which a thread of the other process may have held when this one was made.
        if self._pid != os.getpid():
            raise UsageError("a writer belongs to the process that made it: make one in each")

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"the writer of {self.path} is closed")

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
        held = self._open is not None and data in self._open
        if held or self._change.holds(data):
            raise KeyExistsError(f"{self.path}: the key {key!r} was appended before")
        if data not in self._change.doomed and self._base.find(key) is not None:
            raise KeyExistsError(f"{self.path} already has the key {key!r}")
        return data

    def _seal(self) -> None:
        """Finish the open chunk; it waits for a manifest."""
        self._make_folders()
        draft, self._open = self._open, None
        if draft is None:
            return
        try:
            self._change.finished.append(draft.finish(self._key_type))
        except BaseException:
            self.abandon()
            raise

    def flush(self) -> None:
        """Make all that was appended durable and visible, as one version.

        Raises
        ------
        KeyExistsError
            Another writer has committed one of the keys since; nothing of this flush is kept.
        StorageError
            The disk refuses; nothing of this flush is kept.
        """
        self._check_process()
        with self._lock:
            self._check_open()
            self._seal()
            if not self._change and self._exists:
                return
            published = self._published()
            self._change.drop_unnamed(published)
            self._base, self._exists = Snapshot(self.path, published), True
            self._change = self._new_change()

    def _published(self) -> Manifest:
        first = self._new and not self._exists
        try:
            return commit(
                self.path, lambda base: self._change.applied(base, self._key_type), first=first
            )
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError) and not isinstance(error, HaversackError):
                raise storage_error("publish", self.path, error) from error
            raise

    def close(self) -> None:
        """Flush and end the writer; a dataset without records is made too."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if not self._closed:
                self.flush()
                self._closed = True

    def abandon(self) -> None:
        """End the writer and drop what was not flushed."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._open is not None:
                self._open.abandon()
            self._change.drop_unnamed()

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
        draft, change = self._open, self._change
        waiting = (draft.rows if draft else 0) + sum(new.entry.rows for new in change.finished)
        return f"<PackWriter {str(self.path)!r}: {waiting} records not yet flushed>"


def check_place(path: Path) -> None:
    """Refuse a place that holds anything but a packed dataset or the beginnings of one."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ExistsError(f"{path} is a file: give the path of a directory")
    if is_packed(path):
        return
    names = {entry.name for entry in path.iterdir()} - _OURS
    # File managers and the like leave names that begin with a dot anywhere.
    strangers = sorted(name for name in names if not name.startswith("."))
    if strangers:
        raise ExistsError(
            f"{path} is no packed dataset and not empty (it holds {strangers[0]}): choose another"
        )
