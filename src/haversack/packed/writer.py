"""Write records into a packed dataset: many appends, published as one version."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeGuard

import msgspec

from haversack.errors import (
    ExistsError,
    HaversackError,
    KeyExistsError,
    RecordNotFoundError,
    StorageError,
    UsageError,
)
from haversack.packed.change import Change
from haversack.packed.drafts import FOLDERS, make_folders
from haversack.packed.encoding import Encoder
from haversack.packed.journal import Journal
from haversack.packed.keys import key_bytes, key_type
from haversack.packed.manifest import already_there, empty_manifest, is_packed, read_latest
from haversack.packed.pending import Pending, Step, contradiction
from haversack.packed.replay import Outcome
from haversack.packed.sealing import publish, start_journal
from haversack.packed.snapshot import Snapshot, open_latest
from haversack.packed.values import dumps, loads
from haversack.storage.filesystem import appends_atomically
from haversack.storage.publish import storage_error

_OURS = frozenset({*FOLDERS, "journal", "cache", "build"})
_TURN, _TURNS = 0.002, 50  # seconds between looks for the next journal, and how many


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
    dedupe
        Keep equal arrays once in each chunk. It takes about 200 bytes of memory for each that
        differs, 200 MB at most, and a hash of each; small flushes, which share a journal, keep all.
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
        dedupe: bool = False,
        new: bool = False,
    ) -> None:
        self._encoder = Encoder(codec)
        if chunk_bytes < 1:
            raise UsageError(f"chunk_bytes must be positive, not {chunk_bytes}")
        self.path = Path(path).absolute()
        self._chunk_bytes = chunk_bytes
        self._dedupe = dedupe
        self._new = new
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._closed = False
        check_place(self.path)
        snapshot = open_latest(self.path)
        if new and snapshot is not None:
            raise already_there(self.path)
        self._exists = snapshot is not None
        self._base = snapshot or Snapshot(self.path, empty_manifest())
        self._key_type = self._base.key_type
        self._journal: Journal | None = None
        make_folders(self.path)
        self._may_journal = appends_atomically(self.path)
        self._start()

    def _start(self) -> None:
        """Wait for records with nothing pending."""
        self._change = Change(
            self.path,
            self._base.manifest,
            chunk_bytes=self._chunk_bytes,
            dedupe=self._dedupe,
        )
        # The first version is a chunk; later ones begin small, and may go to the journal.
        self._pending = Pending() if self._exists and self._may_journal else None

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
        self._record("add", array, metadata, more, key)

    def put(
        self,
        array: Any,
        metadata: Mapping[Any, Any] | None = None,
        /,
        *,
        key: Any,
        **more: Any,
    ) -> None:
        """Add one record, which replaces the one that has its key, if there is one.

        As :meth:`append`. The record that is replaced keeps its place on disk, and in versions
        that are open; the new one is the last.
        """
        self._record("put", array, metadata, more, key)

    def delete(self, key: Any) -> None:
        """Delete the record of a key, as part of the version that the next flush publishes.

        Raises
        ------
        RecordNotFoundError
            The dataset has no such key.
        """
        self._check_process()
        data = key_bytes(key)
        with self._lock:
            self._check_open()
            if not self._has(data, key):
                raise RecordNotFoundError(f"{self.path} has no record of key {key!r}")
            self._take(Step("delete", data, key))

    def _record(
        self,
        op: Literal["add", "put"],
        array: Any,
        metadata: Mapping[Any, Any] | None,
        more: dict[str, Any],
        key: Any,
    ) -> None:
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
            data = None if key is None else self._key(key)
            if data is not None and op == "add" and self._has(data, key):
                raise KeyExistsError(f"{self.path} already has the key {key!r}")
            stored = self._encoder.encode(array)
            if key is not None:
                self._key_type = key_type(key)
            self._take(Step(op, data, key, stored, text, given))

    def _key(self, key: Any) -> bytes:
        kind = key_type(key)
        if self._key_type is not None and kind != self._key_type:
            raise UsageError(
                f"the keys of {self.path} are {self._key_type}; {key!r} is {kind}: "
                "a dataset's keys are all text or all integers"
            )
        return key_bytes(key)

    def _has(self, data: bytes, key: Any) -> bool:
        """Whether a record has the key once all that is pending is done."""
        held = self._pending.holds(data) if self._pending is not None else self._change.holds(data)
        if held is not None:
            return held
        if self._journal is not None:
            return self._journal.replay.holder(data, self._base.find_row(data)) is not None
        return self._base.find(key) is not None

    def _take(self, step: Step) -> None:
        """Keep one step for the next flush: in memory while there are few, else in chunks."""
        if self._pending is not None and self._pending.has_room(step):
            self._pending.add(step)
            return
        self._spill()
        self._to_change(step)

    def _spill(self) -> None:
        pending, self._pending = self._pending, None
        for step in pending.steps if pending is not None else ():
            self._to_change(step._replace(metadata=loads(step.text)))

    def _to_change(self, step: Step) -> None:
        try:
            if step.key is not None and step.op != "add":
                self._change.delete(step.key, step.given_key, required=step.op == "delete")
            if step.stored is not None:
                self._change.add(step.stored, step.key, step.text, step.metadata, self._key_type)
        except StorageError:
            self.abandon()
            raise

    def _check_process(self) -> None:
        # Before the lock, which a thread of the other process may have held when this one was made.
        if self._pid != os.getpid():
            raise UsageError("a writer belongs to the process that made it: make one in each")

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"the writer of {self.path} is closed")

    def flush(self) -> None:
        """Make all that was appended, put and deleted durable and visible, as one commit.

        A small commit is one frame of the dataset's journal, which takes one write and one sync; a
        large one, or the first, is a version of its own.

        Raises
        ------
        KeyExistsError, RecordNotFoundError
            Another writer has committed something since that contradicts it. Nothing of this
            flush is kept, and the writer can go on.
        StorageError
            The disk refuses; nothing of this flush is acknowledged, and the writer is closed.
        """
        self._check_process()
        with self._lock:
            self._check_open()
            if self._pending is not None and self._pending.steps:
                self._to_journal(self._pending)
            elif self._change or not self._exists:
                self._publish()

    def _to_journal(self, pending: Pending) -> None:
        try:
            journal, outcome = self._appended(pending)
        except BaseException as error:
            self.abandon()
            if _is_plain(error):
                raise storage_error("write", self.path, error) from error
            raise
        self._key_type = journal.replay.key_type or self._key_type
        self._start()
        if outcome is not Outcome.APPLIED:
            raise contradiction(self.path, outcome, pending)
        if journal.is_full:
            # The commit stands; should this fail, the next one will meet the same and tell of it.
            with suppress(HaversackError, OSError):
                self._open_journal(journal.id)

    def _appended(self, pending: Pending) -> tuple[Journal, Outcome]:
        while True:
            journal = self._journal or self._open_journal()
            outcome = journal.append(*pending.operations(self._base.find_row))
            if outcome is not Outcome.ENDED:
                return journal, outcome
            self._leave_journal(journal)

    def _open_journal(self, ended: str | None = None) -> Journal:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        journal = self._journal = start_journal(self.path, ended)
        self._base = Snapshot(self.path, msgspec.structs.replace(journal.manifest, journal=None))
        return journal

    def _leave_journal(self, journal: Journal) -> None:
        """Go on in the next journal, which whoever ended this one is about to publish."""
        for _ in range(_TURNS):
            latest = read_latest(self.path)
            if latest is None or latest.journal != journal.id:
                break
            time.sleep(_TURN)
        self._open_journal(journal.id)

    def _publish(self) -> None:
        try:
            self._change.finish(self._key_type)
            first = self._new and not self._exists
            published = publish(
                self.path, lambda base: self._change.applied(base, self._key_type), first=first
            )
        except (KeyExistsError, RecordNotFoundError):
            self._change.drop_unnamed()
            self._reopen()
            raise
        except BaseException as error:
            self.abandon()
            if _is_plain(error):
                raise storage_error("publish", self.path, error) from error
            raise
        self._change.drop_unnamed(published)
        self._exists = True
        self._reopen()

    def _reopen(self) -> None:
        """Go on from the current version."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        latest = open_latest(self.path)
        self._base = latest or self._base
        self._key_type = self._base.key_type
        self._start()

    def close(self, *, seal: bool = True) -> None:
        """Flush and end the writer; a dataset without records is made too.

        Parameters
        ----------
        seal
            Make a chunk of the journal, if there is one. Left as it is, it is read all the same;
            other writers go on in it, and the next that closes seals it.
        """
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._closed:
                return
            if self._journal is None:
                self._spill()
            self.flush()
            if seal and not self._closed:
                self._seal()
            self._end()

    def _seal(self) -> None:
        publish(self.path, lambda base: base, unless=lambda base: base.journal is None)

    def _end(self) -> None:
        self._closed = True
        if self._journal is not None:
            self._journal.close()

    def abandon(self) -> None:
        """End the writer and drop what was not flushed."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if not self._closed:
                self._end()
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
        waiting = self._change.rows + (self._pending.rows if self._pending else 0)
        return f"<PackWriter {str(self.path)!r}: {waiting} records not yet flushed>"


def _is_plain(error: BaseException) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and not isinstance(error, HaversackError)


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
