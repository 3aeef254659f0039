"""Write records into a packed dataset: many appends, published as one version."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from haversack.errors import (
    FormatError,
    HaversackError,
    KeyExistsError,
    NotFoundError,
    RecordNotFoundError,
    UsageError,
)
from haversack.events import Progress, task
from haversack.packed.encoding.auto import Auto
from haversack.packed.encoding.encoder import AUTO, CodecChoice, Encoder
from haversack.packed.encoding.keys import key_bytes, key_type
from haversack.packed.encoding.metadata import dumps
from haversack.packed.extending import OnConflict, chosen, extend
from haversack.packed.writing.change import Chunking
from haversack.packed.writing.committing import Committer
from haversack.packed.writing.pending import Step
from haversack.packed.writing.place import check_place
from haversack.storage.looking import as_path
from haversack.storage.publish import storage_error


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
        How arrays are encoded: ``none`` (fastest to read), ``blosc-lz4``, ``blosc-zstd``,
        ``zstd``, ``gzip``, each also in full as ``blosc-zstd-bitshuffle-5``; ``auto``, which finds
        one for each sort of records and is ``none`` unless they shrink by 15 %; or a function
        that is called with each array and gives such a name.
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
        codec: CodecChoice = "none",
        chunk_bytes: int = 1 << 30,
        dedupe: bool = False,
        new: bool = False,
    ) -> None:
        self._encoder = Encoder(codec)
        if chunk_bytes < 1:
            raise UsageError(f"chunk_bytes must be positive, not {chunk_bytes}")
        self.path = as_path(path).absolute()
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._closed = False
        check_place(self.path)
        chunking = Chunking(chunk_bytes, Auto() if codec == AUTO else None, dedupe)
        self._committer = Committer(self.path, chunking, new=new)

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
            structures of them, of any shape; its dtype is kept exactly. Or the bytes of a JPEG,
            PNG or TIFF file, which are kept as they are and decoded when they are read.
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
        FormatError
            The image is damaged.
        MissingExtraError
            It is an image, and imagecodecs is not installed.
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
            if key_type(key) != self._committer.key_type or not self._committer.has(data):
                raise RecordNotFoundError(f"{self.path} has no record of key {key!r}")
            self._take(Step("delete", data, key))

    def extend(
        self,
        source: Any,
        *,
        on_conflict: OnConflict = "error",
        progress: Progress = None,
    ) -> int:
        """Add the records of another packed dataset as they are stored, each checked.

        Payloads, keys and metadata stay what they are, whatever this writer's codec. All of them
        are added, or none.

        Parameters
        ----------
        source
            A dataset, or a selection of one.
        on_conflict
            What to do where a record has a key that is there already: ``error``, ``skip`` the new
            record, or ``replace`` the old one.
        progress
            True draws a bar; a callable gets events.

        Returns
        -------
        int
            How many records were added.

        Raises
        ------
        KeyExistsError
            A key is there already; nothing was added, and the writer can go on.
        UsageError
            The keys of one are text, those of the other integers; or a record that has a key is
            chosen more than once.
        IntegrityError
            A record of the source is damaged; nothing was added, and the writer can go on.

        Examples
        --------
        >>> import numpy as np
        >>> from haversack.packed import open_packed, pack
        >>> clouds = pack([(np.zeros(2), {"cloud": c}) for c in (5, 40, 8)], "clouds")
        >>> with PackWriter("clear") as writer:
        ...     writer.extend(clouds.filter("cloud < 10"))
        2
        """
        self._check_process()
        snapshot, rows = chosen(source)
        with self._lock, task(progress, "extend", total=len(rows), unit="record") as work:
            self._check_open()
            try:
                return extend(self._committer, snapshot, rows, on_conflict, work)
            except (FormatError, NotFoundError):
                raise  # the source's
            except BaseException as error:
                self._end_after(error)
                raise

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
        stored = self._encoder.encode(array)
        with self._lock:
            self._check_open()
            data = None if key is None else self._key(key)
            if data is not None and op == "add" and self._committer.has(data):
                raise KeyExistsError(f"{self.path} already has the key {key!r}")
            if key is not None:
                self._committer.key_type = key_type(key)
            self._take(Step(op, data, key, stored, text, given))

    def _key(self, key: Any) -> bytes:
        kind = key_type(key)
        known = self._committer.key_type
        if known is not None and kind != known:
            raise UsageError(
                f"the keys of {self.path} are {known}; {key!r} is {kind}: "
                "a dataset's keys are all text or all integers"
            )
        return key_bytes(key)

    def _take(self, step: Step) -> None:
        try:
            self._committer.take(step)
        except BaseException as error:
            self._end_after(error)
            raise

    def _end_after(self, error: BaseException) -> None:
        """End the writer, unless it can go on because another was merely faster."""
        if isinstance(error, KeyExistsError | RecordNotFoundError | UsageError):
            return
        self.abandon()
        if isinstance(error, OSError) and not isinstance(error, HaversackError):
            raise storage_error("write", self.path, error) from error

    def _check_process(self) -> None:
        # Before the lock, which a thread of the other process may have held when this one was made.
        if self._pid != os.getpid():
            raise UsageError("a writer belongs to the process that made it: make one in each")

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"the writer of {self.path} is closed: make another")

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
            try:
                self._committer.commit()
            except BaseException as error:
                self._end_after(error)
                raise

    def rollback(self) -> None:
        """Drop what was appended, put and deleted since the last flush; the writer goes on.

        It then knows what others have committed so far: what :meth:`append` and :meth:`delete`
        say of keys is as of the last flush or rollback.
        """
        self._check_process()
        with self._lock:
            self._check_open()
            try:
                self._committer.rollback()
            except BaseException as error:
                self._end_after(error)
                raise

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
            try:
                self._committer.close(seal=seal)
            except BaseException as error:
                self._end_after(error)
                raise
            finally:
                self._closed = True

    def abandon(self) -> None:
        """End the writer and drop what was not flushed."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                self._committer.drop()

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
        return f"<PackWriter {str(self.path)!r}: {self._committer.rows} records not yet flushed>"
