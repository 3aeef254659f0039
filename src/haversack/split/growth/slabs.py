"""Slabs of an array that grows: the one that is filled in a journal, and whole ones at once.

A slab is the blocks that begin at one row.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import ConflictError, ExistsError
from haversack.split.chunks.codec import Coding
from haversack.split.directory.growing import LOCK
from haversack.split.directory.journal import encode_header, journal_name
from haversack.split.directory.metadata import Stack, read_stack
from haversack.split.growth.publishing import part_of, publish_rows, taken_over
from haversack.split.growth.rows import encode_rows, from_journal, open_journal, rewrite
from haversack.storage import publish
from haversack.storage.calls import calls
from haversack.storage.lock import exclusive
from haversack.storage.looking import exists, state

_MOST_KEPT = 256 << 20  # bytes of a slab that is not read back from its journal


class OpenSlab:
    """A slab whose rows go to a journal.

    Parameters
    ----------
    root, stack
        The array.
    number
        Of the slab.
    rows
        How many rows the journal has.
    """

    def __init__(self, root: Path, stack: Stack, number: int, rows: int) -> None:
        self.root, self.stack, self.number, self.rows = root, stack, number, rows
        self.start = number * stack.shape_block[0]
        self.path = root / journal_name(number)
        self._is_unsure = False
        self._kept: NDArray[Any] | None = None  # the rows, where they are worth the memory
        self._descriptor = -1
        self._open()

    @classmethod
    def begin(cls, root: Path, stack: Stack, number: int) -> OpenSlab:
        """Make the journal of a new slab.

        Raises
        ------
        ConflictError
            Another writer made it.
        """
        start = number * stack.shape_block[0]
        with publish.telling("append to", root), exclusive(root / LOCK):
            # Another may have filled, published and removed a journal of this name.
            if read_stack(root).shape[0] > start:
                raise taken_over(root)
            try:
                publish.create(root / journal_name(number), encode_header(start, stack.array))
            except ExistsError as error:
                raise taken_over(root) from error
            slab = cls(root, stack, number, 0)  # before another can put its own in the place
        shape = (stack.shape_block[0], *stack.shape[1:])
        if stack.dtype is not None and math.prod(shape) * stack.dtype.itemsize <= _MOST_KEPT:
            slab._kept = np.empty(shape, stack.dtype)
        return slab

    @property
    def end(self) -> int:
        """The row after the last one."""
        return self.start + self.rows

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        with publish.telling("open", self.path):
            self._descriptor = os.open(self.path, flags)

    def append(self, frames: NDArray[Any], coding: Coding) -> None:
        """Write rows and make them durable.

        Raises
        ------
        ConflictError
            The journal is another writer's now.
        StorageError
            The disk refuses: nothing was appended.
        """
        data = b"".join(encode_rows(frames, self.stack, self.end, coding))
        with publish.telling("append to", self.path), exclusive(self.root / LOCK):
            self._check_own()
            if self._is_unsure:
                self._write_again()
            self._is_unsure = True
            self._write(data)
            self._is_unsure = False
        if self._kept is not None:
            self._kept[self.rows : self.rows + len(frames)] = frames
        self.rows += len(frames)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        (calls.fdatasync or os.fsync)(self._descriptor)

    def _write_again(self) -> None:
        """Replace the journal by its promised rows: what a failed sync did not write is lost."""
        rewrite(self.root, self.stack, self.number, self.rows)
        self.close()
        self._open()

    def _check_own(self) -> None:
        there = state(self.path)
        with publish.telling("look at", self.path):
            mine = os.fstat(self._descriptor)
        if there is None or there.st_ino != mine.st_ino:
            raise taken_over(self.root)

    def close(self) -> None:
        """Close the journal's file."""
        with suppress(OSError):
            os.close(self._descriptor)

    def publish(self, coding: Coding) -> None:
        """Make blocks of the rows, and remove the journal.

        Raises
        ------
        ConflictError
            Another writer took the array over.
        StorageError
            The disk refuses: the rows stay in the journal.
        """
        self._check_own()
        publish_rows(
            self.root,
            self.stack,
            self.start,
            self.rows,
            self._data(),
            coding,
            self._check_own,
            map,  # the threads are for the frames that come meanwhile
        )
        self.close()

    def _data(self) -> Callable[[int], NDArray[Any]]:
        """Give what reads the rows of a block."""
        if self._kept is not None:
            return partial(part_of, self._kept[: self.rows], self.stack)
        journal = open_journal(self.root, self.stack, self.number)
        return lambda piece: from_journal(journal, piece, self.stack, self.rows)

    def drop(self) -> None:
        """Remove a journal that has no rows."""
        with suppress(OSError, ConflictError), exclusive(self.root / LOCK):
            self._check_own()
            self.path.unlink()
        self.close()


def publish_slab(
    root: Path, stack: Stack, start: int, frames: NDArray[Any], coding: Coding
) -> None:
    """Publish a whole slab that never was in a journal.

    Raises
    ------
    ConflictError
        Another writer took the array over.
    StorageError
        The disk refuses: nothing was appended.
    """

    def check() -> None:
        number = start // stack.shape_block[0]
        if read_stack(root).shape[0] != start or exists(root / journal_name(number)):
            raise taken_over(root)

    publish_rows(root, stack, start, len(frames), partial(part_of, frames, stack), coding, check)
