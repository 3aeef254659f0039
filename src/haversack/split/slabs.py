"""Slabs of an array that grows: the one that is filled in a journal, and how one is published.

A slab is the blocks that begin at one row. Order of a publication: the blocks under temporary
names, then their names, then the metadata, then the journal goes. Whatever is interrupted is done
again by the next writer, from the journal.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from haversack.errors import (
    ConflictError,
    ExistsError,
    IntegrityError,
    PathNotFoundError,
    UnsupportedError,
)
from haversack.split.block import Encoder, OwnBlock, Place, encode_block
from haversack.split.chunk import LARGEST_CHUNK
from haversack.split.codec import Coding, encode
from haversack.split.growing import LOCK, piece_bounds, piece_shape
from haversack.split.journal import (
    Journal,
    JournalBlock,
    encode_header,
    encode_record,
    journal_name,
)
from haversack.split.metadata import METADATA, Stack, block_name, metadata_document, read_stack
from haversack.split.threads import in_threads
from haversack.storage import publish
from haversack.storage.calls import calls
from haversack.storage.lock import exclusive

_BLOSC_BLOCK = 64 << 10
_PIECE = 4 << 20
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
                raise _taken_over(root)
            try:
                publish.create(root / journal_name(number), encode_header(start, stack.array))
            except ExistsError as error:
                raise _taken_over(root) from error
        slab = cls(root, stack, number, 0)
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
        try:
            there = self.path.stat().st_ino
        except FileNotFoundError:
            there = -1
        if there != os.fstat(self._descriptor).st_ino:
            raise _taken_over(self.root)

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
            return partial(_part, self._kept[: self.rows], self.stack)
        journal = _journal(self.root, self.stack, self.number)
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
        if read_stack(root).shape[0] != start or (root / journal_name(number)).exists():
            raise _taken_over(root)

    publish_rows(root, stack, start, len(frames), partial(_part, frames, stack), coding, check)


def _part(frames: NDArray[Any], stack: Stack, piece: int) -> NDArray[Any]:
    """Cut the rows of one block out of frames."""
    return frames[(slice(None), *(slice(*pair) for pair in piece_bounds(stack, piece)))]


def _taken_over(root: Path) -> ConflictError:
    return ConflictError(f"another writer took {root} over: open it again to go on after its rows")


def _journal(root: Path, stack: Stack, number: int) -> Journal:
    start = number * stack.shape_block[0]
    return Journal(root / journal_name(number), stack.array, start, stack.pieces)


def encode_rows(frames: NDArray[Any], stack: Stack, start: int, coding: Coding) -> Iterable[bytes]:
    """Make the records of some rows, of which the first has the number ``start``.

    Raises
    ------
    UnsupportedError
        A row of a block is larger than a chunk may be.
    """
    bounds = [piece_bounds(stack, piece) for piece in range(stack.pieces)]
    wheres = [tuple(slice(*pair) for pair in each) for each in bounds]
    jobs = [(row, piece) for row in range(len(frames)) for piece in range(len(wheres))]

    def record(job: tuple[int, int]) -> bytes:
        row, piece = job
        part = np.ascontiguousarray(frames[row][wheres[piece]])
        if part.nbytes > LARGEST_CHUNK:
            raise UnsupportedError(
                f"a frame of a block has {part.nbytes} bytes, more than {LARGEST_CHUNK}: "
                "give a smaller block_size"
            )
        payload = encode(part, coding, _BLOSC_BLOCK)
        return encode_record(piece, start + row, start, payload)

    return in_threads(record, jobs)


def from_journal(journal: Journal, piece: int, stack: Stack, rows: int) -> NDArray[Any]:
    """Read the rows of one block of a slab."""
    assert stack.dtype is not None
    shape = (rows, *piece_shape(stack, piece)[1:])
    data = np.empty(shape, stack.dtype)
    block = JournalBlock(journal, piece, shape, stack.dtype)
    for row in range(rows):
        data[row] = block.chunk((row, *(0,) * (len(shape) - 1)), range(1))[0]
    return data


def publish_rows(
    root: Path,
    stack: Stack,
    start: int,
    rows: int,
    data_of: Callable[[int], NDArray[Any]],
    coding: Coding,
    check: Callable[[], None],
    encode_all: Encoder = in_threads,
) -> None:
    """Publish the blocks of a slab, then the metadata that names them, then drop its journal.

    ``check`` is called when no other writer can come between: it raises where one came before.
    """
    slab = start // stack.shape_block[0]
    written: list[tuple[Path, Path]] = []
    try:
        with publish.telling("publish blocks in", root):
            for piece in range(stack.pieces):
                number = slab * stack.pieces + piece
                bounds = ((start, start + rows), *piece_bounds(stack, piece))
                place = Place(stack.array, number, stack.dtype, bounds)
                content = encode_block(data_of(piece), place, coding, encode_all)
                final = root / block_name(number, number + 1, growable=True)
                temporary = publish.temporary_beside(final)
                with publish.writing(temporary) as file:
                    _write_gently(file, content)
                written.append((temporary, final))
            with exclusive(root / LOCK):
                check()
                _commit(root, start + rows, written)
    finally:
        for temporary, _ in written:
            with suppress(OSError):
                temporary.unlink()


def _write_gently(file: BinaryIO, content: bytes) -> None:
    """Write in pieces, each synced, so that no sync of a journal waits for all of a block."""
    for start in range(0, len(content), _PIECE):
        if start:
            file.flush()
            (calls.fdatasync or os.fsync)(file.fileno())
        file.write(content[start : start + _PIECE])


def _commit(root: Path, end: int, written: list[tuple[Path, Path]]) -> None:
    stack = read_stack(root)
    for temporary, final in written:
        temporary.replace(final)
    publish.sync_directory(root)
    if stack.shape[0] < end:
        grown = replace(stack, shape=(end, *stack.shape[1:]))
        publish.replace(root / METADATA, metadata_document(grown))
    (root / journal_name((end - 1) // stack.shape_block[0])).unlink(missing_ok=True)


def rewrite(root: Path, stack: Stack, number: int, rows: int | None = None) -> int:
    """Write the rows of a journal again, and nothing of what follows them; say how many.

    Raises
    ------
    IntegrityError
        A row that was promised is damaged.
    """
    journal = _journal(root, stack, number)
    if rows is None:
        journal.check_end()
    kept = journal.rows if rows is None else rows
    if journal.rows < kept:
        raise IntegrityError(f"{journal.path}: row {journal.start + journal.rows} is damaged")
    header = encode_header(journal.start, stack.array)
    publish.replace(journal.path, header + journal.content(kept))
    return kept


def recover(root: Path, coding: Coding) -> tuple[Stack, list[OpenSlab]]:
    """Take over the slabs that a writer left in journals, the one to go on with last.

    The caller holds the array's lock.
    """
    stack = read_stack(root)
    number = stack.shape[0] // stack.shape_block[0]
    for name in publish.names_in(root):
        if name.endswith(".journal") and name < journal_name(number):
            (root / name).unlink(missing_ok=True)
    slabs: list[OpenSlab] = []
    while not slabs or slabs[-1].rows == stack.shape_block[0]:
        try:
            rows = rewrite(root, stack, number)
        except PathNotFoundError:
            rows = 0 if slabs else _unpublish(root, stack, number, coding)
            if not rows:
                break
        slabs.append(OpenSlab(root, stack, number, rows))
        number += 1
    return stack, slabs


def _unpublish(root: Path, stack: Stack, number: int, coding: Coding) -> int:
    """Copy the rows of a last slab that is not full into a journal."""
    rows = stack.shape[0] % stack.shape_block[0]
    if not rows:
        return 0
    start = number * stack.shape_block[0]
    frames = np.empty((rows, *stack.shape[1:]), stack.dtype)
    for piece in range(stack.pieces):
        bounds = piece_bounds(stack, piece)
        block = number * stack.pieces + piece
        place = Place(stack.array, block, stack.dtype, ((start, start + rows), *bounds))
        path = root / block_name(block, block + 1, growable=True)
        found = OwnBlock(path, place, at_least=True).whole()[:rows]
        frames[(slice(None), *(slice(*pair) for pair in bounds))] = found
    records = encode_rows(frames, stack, start, coding)
    content = encode_header(start, stack.array) + b"".join(records)
    publish.replace(root / journal_name(number), content)
    return rows
