"""Publish finished parts in batches: sync them, rename them all, sync the names, remember them.

One thread does this while another moves bytes. What stands under a final name is whole at any
moment, also after a power cut (but for ``fsync="none"``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from haversack.download.ledger import Entry, Ledger
from haversack.download.outcome import Request
from haversack.storage.calls import calls
from haversack.storage.publish import storage_error, sync_directory

Sync = Literal["batch", "each", "none"]
_MOST = 1000
_SECONDS = 0.2
_WORTH_A_SYNCFS = 16
_QUEUED = 4 * _MOST


@dataclass(frozen=True, slots=True)
class Whole:
    """A part that has all its bytes and was checked, waiting for its name."""

    request: Request
    part: str
    status: os.stat_result
    checksum: str
    etag: str | None
    last_modified: str | None
    leftovers: tuple[str, ...]
    made: tuple[Path, ...]  # directories with new subdirectories on the way to it
    source: Any  # what the mover wants back with the answer


Published = tuple[Whole, OSError | None]


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
        self._published: list[Published] = []
        self._failure: BaseException | None = None
        self._urgent = self._closed = False
        self.open = 0
        self._thread = threading.Thread(target=self._run, name="haversack-commit", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether the disk has fallen behind the network."""
        return self.open >= _QUEUED

    def put(self, whole: Whole) -> None:
        """Queue a part."""
        self.open += 1
        with self._change:
            self._waiting.append(whole)
            if len(self._waiting) in (1, _MOST):
                self._change.notify_all()

    def published(self, timeout: float = 0.0) -> list[Published]:
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
                    done = self._commit(batch)
                except OSError as error:
                    raise storage_error(
                        "publish files in", batch[0].request.path.parent, error
                    ) from error
                with self._change:
                    self._published += done
                    self._change.notify_all()
        except BaseException as error:  # noqa: BLE001 (raised again in the mover's thread)
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _next_batch(self) -> list[Whole]:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            self._change.wait_for(
                lambda: len(self._waiting) >= _MOST or self._urgent or self._closed, _SECONDS
            )
            batch = self._waiting[:_MOST]
            del self._waiting[:_MOST]
            self._urgent = self._urgent and bool(self._waiting)
        return batch

    def _commit(self, batch: list[Whole]) -> list[Published]:
        try:
            self._sync_parts(batch)
        except OSError:
            # After a failed sync nobody knows what is in them.
            for whole in batch:
                with suppress(OSError):
                    Path(whole.part).unlink()
            raise
        done = [(whole, _rename(whole)) for whole in batch]
        self._sync_names(batch)
        self._remember([whole for whole, error in done if error is None])
        for whole in batch:
            for name in whole.leftovers:
                whole.request.path.with_name(name).unlink(missing_ok=True)
        return done

    def _sync_parts(self, batch: list[Whole]) -> None:
        if self._at_once(batch):
            _sync_file_systems(batch)
        elif self._sync != "none":
            for whole in batch:
                _sync_file(whole.part)

    def _sync_names(self, batch: list[Whole]) -> None:
        if self._at_once(batch):
            _sync_file_systems(batch)
        elif self._sync != "none":
            made = {directory for whole in batch for directory in whole.made}
            for directory in made | {whole.request.path.parent for whole in batch}:
                sync_directory(directory)

    def _at_once(self, batch: list[Whole]) -> bool:
        return self._sync == "batch" and len(batch) >= _WORTH_A_SYNCFS and calls.syncfs is not None

    def _remember(self, published: list[Whole]) -> None:
        if self._ledger is None:
            return
        name = self._ledger.name
        self._ledger.add(
            Entry(
                name(whole.request.path),
                whole.status.st_size,
                whole.status.st_mtime_ns,
                whole.checksum,
                whole.etag,
                whole.last_modified,
            )
            for whole in published
        )


def _rename(whole: Whole) -> OSError | None:
    try:
        os.replace(whole.part, whole.request.path)  # noqa: PTH105 (done for every file)
    except FileNotFoundError as error:
        # Another run took the part over, by mistake: fetch it again.
        return error
    except OSError as error:
        Path(whole.part).unlink(missing_ok=True)
        return error
    return None


def _sync_file(path: str) -> None:
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file_systems(batch: Iterable[Whole]) -> None:
    """Sync each file system that one of the files is on, once."""
    devices = {whole.status.st_dev: whole for whole in batch}
    for whole in devices.values():
        descriptor = os.open(whole.request.path.parent, os.O_RDONLY)
        try:
            calls.syncfs(descriptor)
        finally:
            os.close(descriptor)
