"""Take over what a writer of a growing array left, and go on where it was.

A journal goes only where blocks hold all of its rows; where its array is unknown it is set aside.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from haversack.errors import HaversackError, IntegrityError, PathNotFoundError
from haversack.split.blockfiles.block import Place
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.split.chunks.codec import Coding
from haversack.split.directory.growing import LOCK, piece_bounds
from haversack.split.directory.journal import encode_header, holds_rows, journal_name
from haversack.split.directory.metadata import (
    METADATA,
    Stack,
    block_name,
    metadata_document,
    read_stack,
)
from haversack.split.directory.remains import journals, remove_blocks
from haversack.split.directory.uncounted import rows_in_blocks
from haversack.split.growth.rows import encode_rows, open_journal, rewrite
from haversack.split.growth.slabs import OpenSlab
from haversack.storage import publish
from haversack.storage.lock import exclusive
from haversack.storage.looking import exists
from haversack.storage.ranges import RangeFile

log = logging.getLogger("haversack.split")


def recover(root: Path, coding: Coding) -> tuple[Stack, list[OpenSlab]]:
    """Take over the slabs that a writer left in journals, the one to go on with last.

    The caller holds the array's lock.

    Raises
    ------
    IntegrityError
        Rows that were promised are damaged or gone.
    """
    stack = _with_all_blocks(root, read_stack(root))
    number = stack.shape[0] // stack.shape_block[0]
    for slab in journals(root):
        if slab < number:
            (root / journal_name(slab)).unlink(missing_ok=True)
    _check_full(root, stack, number)
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


def _with_all_blocks(root: Path, stack: Stack) -> Stack:
    """Count rows again that older metadata, put back in the place of the newest, does not count."""
    rows = rows_in_blocks(root, stack)
    if rows == stack.shape[0]:
        return stack
    log.warning(
        "%s counts %d rows and is older than the blocks, which hold %d: all are counted again",
        root / METADATA,
        stack.shape[0],
        rows,
    )
    whole = replace(stack, shape=(rows, *stack.shape[1:]))
    publish.replace(root / METADATA, metadata_document(whole))
    return whole


def _check_full(root: Path, stack: Stack, number: int) -> None:
    """Refuse to go on where rows in front of a journal are gone: new ones would mix with old."""
    last = max(journals(root), default=number)
    for slab in range(number, last):
        try:
            journal = open_journal(root, stack, slab)
            end = journal.start + journal.rows
        except PathNotFoundError:
            end = slab * stack.shape_block[0]
        if end < (slab + 1) * stack.shape_block[0]:
            raise IntegrityError(
                f"{root / journal_name(slab)} has lost rows from {end} on, for "
                f"{journal_name(last)} was begun behind them: bring it back, or move the journals "
                "behind it elsewhere to go on without what is in them"
            )


def make_room(root: Path) -> None:
    """Make room for a new array where there are journals of one whose metadata is lost.

    Those that hold frames are set aside, under names that nobody reads.
    """
    with publish.telling("write", root), exclusive(root / LOCK):
        if exists(root / METADATA):
            return
        # Journals are made under this lock, and only where there is metadata.
        for slab in journals(root):
            journal = root / journal_name(slab)
            if holds_rows(journal):
                set_aside(journal, f"the {METADATA} of their array is gone")
            else:
                journal.unlink(missing_ok=True)
        publish.sync_directory(root)  # also for one who died, or failed, before it came to this


def discard(root: Path, array: str) -> None:
    """Remove an array that is not to be, as far as the disk lets us, and nothing of another's.

    Of one that was not begun, whose ``array`` is empty, there may be a lock.
    """
    if array:
        with suppress(OSError, HaversackError), exclusive(root / LOCK):
            if exists(root / METADATA):
                if read_stack(root).array != array:
                    return
                (root / METADATA).unlink()  # first, for without it nobody reads the rest
            for slab in journals(root):
                (root / journal_name(slab)).unlink()
            remove_blocks(root, array)
    with suppress(OSError):
        if not exists(root / METADATA):
            (root / LOCK).unlink(missing_ok=True)


def set_aside(journal: Path, why: str) -> None:
    """Give a journal a name that nobody reads; its directory is not yet synced."""
    aside = journal.with_name(f"{journal.name}.lost-{secrets.token_hex(8)}")
    journal.rename(aside)
    log.warning(
        "%s may hold frames, but %s. It is set aside as %s: to read it, give it its name back "
        "where that is mended",
        journal,
        why,
        aside.name,
    )


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
        if not exists(path):
            raise PathNotFoundError(
                f"{path} does not exist: it held rows {start} to {start + rows - 1}, the last ones "
                "that count. Bring it back: without it the array reads, but does not grow"
            )
        found = OwnBlock(RangeFile(path), place, at_least=True).whole()[:rows]
        frames[(slice(None), *(slice(*pair) for pair in bounds))] = found
    records = encode_rows(frames, stack, start, coding)
    content = encode_header(start, stack.array) + b"".join(records)
    publish.replace(root / journal_name(number), content)
    return rows
