"""What one process has open of a DiskDataset: the images, and a writer that its threads share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from haversack.disk.place import IMAGES, check, make_place
from haversack.errors import KeyExistsError, RecordNotFoundError, UsageError
from haversack.packed import PackedDataset, PackWriter, is_packed, open_packed


class Opened:
    """The images as they are now, and commits to them.

    A process made by a fork begins anew: the writer, and the locks of threads that it does not
    have, are its parent's.
    """

    def __init__(self, base: Path, codec: str) -> None:
        self._base, self._codec = base, codec
        self._of_process: dict[int, _Mine] = {}

    @property
    def _mine(self) -> _Mine:
        pid = os.getpid()
        # Of threads that come at once one wins, as dicts are.
        return self._of_process.get(pid) or self._of_process.setdefault(pid, _Mine())

    def images(self) -> PackedDataset | None:
        """Open the images as they are now, None where none was ever added."""
        mine = self._mine
        before = mine.images
        if before is None and not is_packed(self._base / IMAGES):
            check(self._base)
            return None
        # Another thread may be reading what is open: it is replaced, never moved.
        now = open_packed(self._base / IMAGES) if before is None else before.latest()
        mine.images = now
        return now

    def commit(self, step: Callable[[PackWriter], None]) -> None:
        """Make one append, put or delete durable.

        Raises
        ------
        KeyExistsError, RecordNotFoundError
            It contradicts what was committed before it, by whomever.
        """
        mine = self._mine
        with mine.lock:
            writer = mine.writer or PackWriter(make_place(self._base), codec=self._codec)
            mine.writer = None  # until it is known that it can go on
            try:
                _commit(writer, step)
            except (KeyExistsError, RecordNotFoundError, UsageError):
                mine.writer = writer
                raise
            except BaseException:
                writer.abandon()
                raise
            mine.writer = writer

    @contextmanager
    def bulk(self) -> Iterator[PackWriter]:
        """Give a writer; what it got is published at the end of the block, or nothing of it."""
        with PackWriter(make_place(self._base), codec=self._codec) as writer:
            yield writer
            writer.flush()
            writer.close(seal=False)

    def close(self) -> None:
        """Seal what this process has committed, and let go of all files."""
        mine = self._mine
        with mine.lock:
            writer, mine.writer = mine.writer, None
            if writer is not None:
                writer.close()
            images, mine.images = mine.images, None
            if images is not None:
                images.close()


class _Mine:
    """What the threads of one process share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.images: PackedDataset | None = None
        self.writer: PackWriter | None = None


def _commit(writer: PackWriter, step: Callable[[PackWriter], None]) -> None:
    try:
        step(writer)
    except (KeyExistsError, RecordNotFoundError):
        # As far as the writer knows; others may have committed since.
        writer.rollback()
        step(writer)
    writer.flush()
