"""Publish files in batches: check and write them, sync them, rename them all, sync the names.

One thread does this while another moves bytes. What stands under a final name is whole at any
moment, also after a power cut (but for ``fsync="none"``).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from haversack.download.digest import Digest, Expected
from haversack.download.ledger import Entry, Ledger
from haversack.download.outcome import Request
from haversack.download.parts import Part, sync_file
from haversack.storage.calls import calls
from haversack.storage.publish import storage_error, sync_directory

Sync = Literal["batch", "each", "none"]
_MOST = 1000
_AT_ONCE = 64
_SECONDS = 0.2
_WORTH_A_SYNCFS = 16
_QUEUED = 4 * _MOST
_QUEUED_BYTES = 32 << 20


@dataclass(slots=True)
class Whole:
    """A file that has all its bytes, waiting for its name.

    ``content`` is what still has to be hashed and written to the part. ``error`` or ``wrong`` is
    why it gets no name: the disk refused it, or its bytes are not those that were meant; ``lost``
    that its part is gone, so that it has to come again.
    """

    request: Request
    path: str
    part: Part
    content: bytes
    digest: Digest
    etag: str | None
    last_modified: str | None
    leftovers: Sequence[str]
    made: Sequence[str]  # directories with new subdirectories on the way to it
    source: Any  # what the mover wants back with the answer
    is_begun: bool = False  # some of it has been given to the writer
    is_settled: bool = False
    error: OSError | None = None
    wrong: Expected | None = None
    lost: bool = False

    @property
    def named(self) -> bool:
        return self.error is None and self.wrong is None

    @property
    def size(self) -> int:
        return self.part.size

    @property
    def status(self) -> os.stat_result:
        assert self.part.status is not None
        return self.part.status


class Committer:
    """The thread that publishes.

    Parameters
    ----------
    sync
        ``"batch"`` syncs many files at once, ``"each"`` every file by itself, ``"none"`` leaves it
        to the system.
    ledger
        Where published files are remembered; None for nowhere.
    """

    def __init__(self, sync: Sync, ledger: Ledger | None) -> None:
        self._sync, self._ledger = sync, ledger
        self._change = threading.Condition()
        self._waiting: list[Whole] = []
        self._published: list[Whole] = []
        self._failure: BaseException | None = None
        self._urgent = self._closed = False
        self._unwritten = 0
        self.open = 0
        self._thread = threading.Thread(target=self._run, name="haversack-commit", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether the disk has fallen behind the network."""
        return self.open >= _QUEUED or self._unwritten >= _QUEUED_BYTES

    def expect(self, count: int) -> None:
        """Count files that will be put: so many more have to come out."""
        self.open += count

    def put(self, files: list[Whole]) -> None:
        """Queue files, from any thread."""
        size = sum(len(whole.content) for whole in files)
        with self._change:
            empty = not self._waiting
            self._waiting += files
            self._unwritten += size
            if empty or len(self._waiting) >= _AT_ONCE:
                self._change.notify_all()

    def published(self, timeout: float = 0.0) -> list[Whole]:
        """Give what has come out since the last call, each with why it was not published.

        With a timeout, publish what is queued without waiting for more, and wait for that.

        Raises
        ------
        StorageError
            The disk refuses a sync: nothing of that batch is published.
        """
        with self._change:
            if timeout and not self._published:
                self._urgent = True
                self._change.notify_all()
                self._change.wait_for(lambda: self._published or self._failure, timeout)
            done, self._published = self._published, []
            self.open -= len(done)
            if self._failure is not None and not done:
                raise self._failure
        return done

    def close(self) -> None:
        """Publish what is queued and end the thread."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                try:
                    self._commit(batch)
                except OSError as error:
                    raise storage_error(
                        "publish files in", batch[0].request.path.parent, error
                    ) from error
                with self._change:
                    self._published += batch
                    self._urgent = False
                    self._change.notify_all()
        except BaseException as error:  # noqa: BLE001 (raised again in the mover's thread)
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _next_batch(self) -> list[Whole]:
        """Write files as they come, until they are worth a sync."""
        batch: list[Whole] = []
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
        until = time.monotonic() + _SECONDS
        while files := self._take(until):
            for whole in files:
                settle(whole)
            batch += files
            if len(batch) >= _MOST or time.monotonic() >= until:
                break
        return batch

    def _take(self, until: float) -> list[Whole]:
        with self._change:
            self._change.wait_for(
                lambda: len(self._waiting) >= _AT_ONCE or self._urgent or self._closed,
                max(0.0, until - time.monotonic()),
            )
            files = self._waiting[:_AT_ONCE]
            del self._waiting[:_AT_ONCE]
            self._unwritten -= sum(len(whole.content) for whole in files)
        return files

    def _commit(self, batch: list[Whole]) -> None:
        named = [whole for whole in batch if whole.named]
        try:
            self._sync_parts(named)
        except OSError:
            # After a failed sync nobody knows what is in them.
            for whole in named:
                whole.part.remove()
            raise
        for whole in named:
            _rename(whole)
        self._sync_names(batch)
        self._remember([whole for whole in named if whole.named])

    def _sync_parts(self, named: list[Whole]) -> None:
        if self._at_once(named):
            _sync_file_systems(_folders(named))
        elif self._sync != "none":
            for whole in named:
                with suppress(FileNotFoundError):
                    sync_file(whole.part.path)

    def _sync_names(self, batch: list[Whole]) -> None:
        """Sync the names of files, and those of directories that any file of the batch brought.

        A directory that came with a file that gets no name may hold others that have theirs.
        """
        named = [whole for whole in batch if whole.named]
        made = {Path(directory) for whole in batch for directory in whole.made}
        if self._at_once(named):
            _sync_file_systems(_folders(named) | {each.stat().st_dev: each for each in made})
        elif self._sync != "none":
            for directory in made | {whole.request.path.parent for whole in named}:
                sync_directory(directory)

    def _at_once(self, named: list[Whole]) -> bool:
        return self._sync == "batch" and len(named) >= _WORTH_A_SYNCFS and calls.syncfs is not None

    def _remember(self, published: list[Whole]) -> None:
        if self._ledger is None:
            return
        name = self._ledger.name
        self._ledger.add(
            Entry(
                name(whole.path),
                whole.size,
                whole.status.st_mtime_ns,
                whole.digest.checksum,
                whole.etag,
                whole.last_modified,
            )
            for whole in published
        )


def settle(whole: Whole) -> None:
    """Check and write what is not in the part yet, unless that has been done."""
    if whole.is_settled:
        return
    whole.is_settled = True
    content, whole.content = whole.content, b""
    if whole.part.error is None:  # else bytes are missing in it, whatever they hash to
        whole.digest.update(content)
        whole.wrong = whole.digest.mismatch()
    try:
        if whole.wrong is None:
            whole.part.finish(content)
            return
    except OSError as error:
        whole.error = error
    whole.part.remove()


def _rename(whole: Whole) -> None:
    try:
        # First, for nobody looks at them once the file is there.
        for name in whole.leftovers:
            whole.request.path.with_name(name).unlink(missing_ok=True)
        os.replace(whole.part.path, whole.path)  # noqa: PTH105 (done for every file)
    except OSError as error:
        whole.error = error
        # Where it is gone, another run took it over, by mistake.
        whole.lost = isinstance(error, FileNotFoundError)
        whole.part.remove()


def _folders(named: Iterable[Whole]) -> dict[int, Path]:
    """Give a directory on each file system that one of the files is on."""
    some = {whole.status.st_dev: whole for whole in named}
    return {device: whole.request.path.parent for device, whole in some.items()}


def _sync_file_systems(folders: Mapping[int, Path]) -> None:
    for folder in folders.values():
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            calls.syncfs(descriptor)
        finally:
            os.close(descriptor)
