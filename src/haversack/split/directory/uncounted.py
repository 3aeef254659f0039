"""Rows that blocks of a growing array hold and its metadata does not count.

Metadata never falls behind by more than one slab that was being published, so where it counts less
it is older than the blocks: a backup was put back, or a copy brought an old file. A single whole
slab proves nothing: who wrote it may have been told that it was not appended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from haversack.errors import FormatError, StorageError
from haversack.split.blockfiles.tail import read_tail
from haversack.split.directory.growing import piece_bounds
from haversack.split.directory.journal import journal_name
from haversack.split.directory.metadata import METADATA, Stack, block_name, read_stack
from haversack.storage.damage import Damage
from haversack.storage.looking import exists
from haversack.storage.ranges import RangeFile


def rows_in_blocks(root: Path, stack: Stack) -> int:
    """Count the rows of an array as its blocks prove them, at least those that are counted.

    Raises
    ------
    IntegrityError, FormatError
        A block behind them is damaged, and may hold more.
    """
    per_slab, counted = stack.shape_block[0], stack.shape[0]
    end, is_older = counted, False
    while not exists(root / journal_name(end // per_slab)):
        slab, before = divmod(end, per_slab)
        try:
            rows = _rows_of(root, stack, slab)
        except FormatError as error:
            if before:  # it counts, and whoever reads it is told
                break
            raise type(error)(
                f"{error}. It lies behind the {counted} rows that are counted, and may hold more: "
                "bring it back, or move it elsewhere to go on without it"
            ) from error
        if rows <= before:
            break
        is_older |= before > 0 or rows < per_slab
        end = slab * per_slab + rows
        if rows < per_slab:
            break
    return end if is_older or end - counted > per_slab else counted


def verify_count(root: Path) -> Iterator[Damage]:
    """Tell of metadata that is older than the blocks."""
    stack = read_stack(root)
    while stack.growable:
        counted = stack.shape[0]
        try:
            held = rows_in_blocks(root, stack)
        except (FormatError, StorageError) as error:
            refused = isinstance(error, StorageError)
            yield Damage(root / METADATA, f"row {counted}", str(error), refused)
            return
        stack = read_stack(root)
        if stack.shape[0] == counted:  # else a writer went on meanwhile
            if held > counted:
                what = (
                    f"it counts {counted} rows and is older than the blocks, which hold {held}: "
                    "the next FrameWriter counts all of them again"
                )
                yield Damage(root / METADATA, f"row {counted}", what)
            return


def _rows_of(root: Path, stack: Stack, slab: int) -> int:
    """Count the rows that all blocks of a slab hold; none where one is missing or another's."""
    found: set[int] = set()
    for piece in range(stack.pieces):
        number = slab * stack.pieces + piece
        path = root / block_name(number, number + 1, growable=True)
        if not exists(path):
            return 0
        head = read_tail(RangeFile(path)).head
        inner = tuple([end - start for start, end in piece_bounds(stack, piece)])
        if (head.array, head.block, head.shape[1:]) != (stack.array, number, inner):
            return 0
        found.add(head.shape[0])
    return min(found)
