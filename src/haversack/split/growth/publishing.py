"""Publish a slab: blocks under temporary names, their names, the metadata; then the journal goes.

Whatever is interrupted is done again by the next writer, from the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from haversack.errors import ConflictError
from haversack.split.blockfiles.block import Place
from haversack.split.blockfiles.encoding import Encoder, encode_block
from haversack.split.chunks.codec import Coding
from haversack.split.chunks.threads import in_threads
from haversack.split.directory.growing import LOCK, piece_bounds
from haversack.split.directory.journal import journal_name
from haversack.split.directory.metadata import (
    METADATA,
    Stack,
    block_name,
    metadata_document,
    read_stack,
)
from haversack.storage import publish
from haversack.storage.calls import calls
from haversack.storage.lock import exclusive

_PIECE = 4 << 20


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


def part_of(frames: NDArray[Any], stack: Stack, piece: int) -> NDArray[Any]:
    """Cut the rows of one block out of frames."""
    return frames[(slice(None), *(slice(*pair) for pair in piece_bounds(stack, piece)))]


def taken_over(root: Path) -> ConflictError:
    """Tell a writer that another one goes on with its array."""
    return ConflictError(f"another writer took {root} over: open it again to go on after its rows")
