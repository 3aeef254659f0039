"""Rows of a growing array as records of a journal, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import IntegrityError, UnsupportedError
from haversack.split.chunks.chunk import LARGEST_CHUNK
from haversack.split.chunks.codec import Coding, encode
from haversack.split.chunks.threads import in_threads
from haversack.split.directory.growing import piece_bounds, piece_shape
from haversack.split.directory.journal import (
    Journal,
    JournalBlock,
    encode_header,
    encode_record,
    journal_name,
)
from haversack.split.directory.metadata import Stack
from haversack.storage import publish

_BLOSC_BLOCK = 64 << 10


def check_frame(stack: Stack) -> None:
    """See that a journal can take a frame, where blocks have more than one: each is a chunk there.

    Raises
    ------
    UnsupportedError
        What a block has of it is larger than a chunk may be.
    """
    rows, *of_frame = stack.shape_block
    nbytes = math.prod(of_frame) * np.dtype(stack.dtype).itemsize
    if rows > 1 and nbytes > LARGEST_CHUNK:
        raise UnsupportedError(
            f"a block has {nbytes} bytes of each frame, more than {LARGEST_CHUNK}: give a "
            "block_size of one frame, or of smaller parts"
        )


def encode_rows(frames: NDArray[Any], stack: Stack, start: int, coding: Coding) -> Iterable[bytes]:
    """Make the records of some rows, of which the first has the number ``start``.

    Raises
    ------
    UnsupportedError
        As :func:`check_frame`.
    """
    check_frame(stack)
    bounds = [piece_bounds(stack, piece) for piece in range(stack.pieces)]
    wheres = [tuple(slice(*pair) for pair in each) for each in bounds]
    jobs = [(row, piece) for row in range(len(frames)) for piece in range(len(wheres))]

    def record(job: tuple[int, int]) -> bytes:
        row, piece = job
        part = np.ascontiguousarray(frames[row][wheres[piece]])
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
        data[row] = block.chunk((row, *(0,) * (len(shape) - 1)))[0]
    return data


def open_journal(root: Path, stack: Stack, number: int) -> Journal:
    """Open the journal of a slab."""
    start = number * stack.shape_block[0]
    return Journal(root / journal_name(number), stack.array, start, stack.pieces)


def rewrite(root: Path, stack: Stack, number: int, rows: int | None = None) -> int:
    """Write the rows of a journal again, and nothing of what follows them; say how many.

    Raises
    ------
    IntegrityError
        A row that was promised is damaged.
    """
    journal = open_journal(root, stack, number)
    journal.check_whole()
    kept = journal.rows if rows is None else rows
    if journal.rows < kept:
        raise IntegrityError(f"{journal.path}: row {journal.start + journal.rows} is damaged")
    header = encode_header(journal.start, stack.array)
    publish.replace(journal.path, header + journal.content(kept))
    return kept
