"""Publish files: check and write them, sync them, give them their names, sync the names.

What stands under a final name is whole at any moment, also after a power cut (but for
``fsync="none"``). The mover's thread does all but wait for the disk: that is for a thread of its
own, which brings the parts of some files and the names of those before them there in one go. More
threads would cost small files more than they bring, for each takes the interpreter from the others
at every call.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from haversack.download.ending import Ending
from haversack.download.ledger import Entry, Ledger
from haversack.download.syncing import Disk
from haversack.download.whole import Whole, abandon, rename, settle_in_time
from haversack.errors import StorageError
from haversack.storage.publish import storage_error

_MOST = 1000
_SECONDS = 0.2
_QUEUED = 4 * _MOST


@dataclass(slots=True)
class _Syncing:
    """What the disk is busy with: parts that then get their names, and names that got them."""

    parts: list[Whole]
    names: list[Whole]
    done: Future[None]


class Committer:
    """Gives files their names; used by one thread, but for :meth:`arrive`.

    Parameters
    ----------
    disk
        What files and their names are brought to.
    ledger
        Where published files are remembered; None for nowhere.
    ending
        When it is over, nothing more is written or synced.

    Attributes
    ----------
    open
        How many files are still to come out.
    """

    def __init__(self, disk: Disk, ledger: Ledger | None, ending: Ending) -> None:
        self._disk, self._ledger, self._ending = disk, ledger, ending
        self._thread = ThreadPoolExecutor(1, "haversack-sync")
        self._arrived: SimpleQueue[Whole] = SimpleQueue()
        self._settled: list[Whole] = []
        self._named: list[Whole] = []  # their names are still to be synced
        self._syncing: _Syncing | None = None
        self._failure: StorageError | None = None
        self._last = time.monotonic()
        self.open = 0

    @property
    def full(self) -> bool:
        """Whether the disk has fallen behind the network."""
        return self.open >= _QUEUED

    def put(self, whole: Whole) -> None:
        """Take in a file whose bytes are in memory."""
        self.open += 1
        settle_in_time(whole, self._ending)
        self._settled.append(whole)

    def expect(self) -> None:
        """Count a file that will arrive."""
        self.open += 1

    def arrive(self, whole: Whole) -> None:
        """Take in a file that is settled, from any thread."""
        self._arrived.put(whole)

    def published(self, timeout: float = 0.0) -> list[Whole]:
        """Give what has come out since the last call, each with why it was not published.

        With a timeout, publish what is queued without waiting for more, and wait for that.

        Raises
        ------
        StorageError
            The disk refuses a sync: nothing that waited for it is published.
        """
        if self._failure is not None:
            raise self._failure
        self._gather()
        if self._syncing is None:
            self._begin(urgent=timeout > 0)
        if self._syncing is None:
            self._wait_for_arrival(timeout)
            return []
        if timeout:
            wait([self._syncing.done], timeout)
        return self._end() if self._syncing.done.done() else []

    def close(self) -> None:
        """Publish what is queued, as far as there is time, and end the thread.

        Raises
        ------
        StorageError
            The disk refuses a sync.
        """
        try:
            self._gather()
            while self._failure is None and (self._syncing or self._settled or self._named):
                if self._ending.is_over() and self._syncing is None:
                    self._abandon()
                else:
                    self.published(1.0)
        finally:
            self._thread.shutdown()
            for whole in self._settled:  # it came after a sync had failed
                whole.part.remove()

    def _abandon(self) -> None:
        for whole in self._settled:
            if whole.named:
                abandon(whole)
        self._settled, self._named = [], []

    def _gather(self) -> None:
        while not self._arrived.empty():
            self._settled.append(self._arrived.get())

    def _wait_for_arrival(self, timeout: float) -> None:
        if timeout and self.open:
            try:
                self._settled.append(self._arrived.get(timeout=timeout))
            except Empty:
                return

    def _begin(self, *, urgent: bool) -> None:
        """Have the disk do what waits for it, where that is enough or has waited for long."""
        waiting, now = len(self._settled) + len(self._named), time.monotonic()
        due = urgent or len(self._settled) >= _MOST or now - self._last >= _SECONDS
        if not waiting:
            self._last = now
        elif due:
            parts, names = self._settled, self._named
            self._settled, self._named = [], []
            done = self._thread.submit(self._bring, parts, names)
            self._syncing = _Syncing(parts, names, done)

    def _bring(self, parts: list[Whole], names: list[Whole]) -> None:
        """Sync, and then remember what has its name for good; in the thread."""
        named = [whole for whole in names if whole.named]
        self._disk.bring([whole for whole in parts if whole.named], named)
        if self._ledger is not None and named:
            self._ledger.add(_entries(self._ledger, named))

    def _end(self) -> list[Whole]:
        """Give names to what is on the disk now; give back what had its name before."""
        assert self._syncing is not None
        ended, self._syncing = self._syncing, None
        self._last = time.monotonic()
        try:
            ended.done.result()
        except OSError as error:
            self._fail(ended, error)
        for whole in ended.parts:
            if whole.named:
                rename(whole)
        self._named = ended.parts
        self.open -= len(ended.names)
        return ended.names

    def _fail(self, ended: _Syncing, error: OSError) -> None:
        """Give up all that has no name: a later sync would not tell again what was lost."""
        waiting = [*ended.parts, *self._settled]
        self._settled = []
        for whole in waiting:
            whole.part.remove()
        folder = (waiting or ended.names)[0].folder
        self._failure = storage_error("publish files in", folder, error)
        raise self._failure from error


def _entries(ledger: Ledger, published: Iterable[Whole]) -> Iterable[Entry]:
    return (
        Entry(
            ledger.name(whole.path),
            whole.part.size,
            whole.part.modified,
            whole.checksum,
            whole.etag,
            whole.last_modified,
        )
        for whole in published
    )
