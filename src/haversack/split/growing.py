"""What a reader sees of an array that grows: published blocks, and rows still in journals."""

from __future__ import annotations

from pathlib import Path

from haversack.errors import PathNotFoundError
from haversack.split.journal import Journal, JournalBlock, journal_name
from haversack.split.metadata import METADATA, Stack, read_stack
from haversack.storage.looking import state

LOCK = ".lock"


class Growth:
    """The published part of a growing array and the journals behind it, at one moment.

    Parameters
    ----------
    root
        Directory of the array.
    prefix
        What its file names begin with.
    """

    def __init__(self, root: Path, prefix: str = "") -> None:
        self._root, self._prefix = root, prefix
        self.journals: dict[int, Journal] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again; only a row that was never promised may be gone."""
        while True:
            mark = self._mark()
            self.stack = read_stack(self._root, self._prefix)
            if self.stack.growable:
                self._look()
            if self._mark() == mark:
                return

    def _mark(self) -> tuple[int, ...]:
        """Tell one version of the metadata from the next."""
        found = state(self._root / (self._prefix + METADATA))
        return () if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)

    def _look(self) -> None:
        rows = self.stack.shape_block[0]
        slab, found = self.stack.shape[0] // rows, {}
        while (journal := self._journal(slab)) is not None:
            found[slab] = journal
            if journal.rows < rows:
                break
            slab += 1
        self.journals = found

    def _journal(self, slab: int) -> Journal | None:
        path = self._root / journal_name(slab)
        known = self.journals.get(slab)
        try:
            there = state(path)
            if known is not None and there is not None and there.st_ino == known.inode:
                known.refresh()
                return known
            start = slab * self.stack.shape_block[0]
            return Journal(path, self.stack.array, start, self.stack.pieces)
        except (FileNotFoundError, PathNotFoundError):
            return None

    @property
    def rows(self) -> int:
        """Length of the first axis: what is published, or further, what is in journals."""
        ends = (journal.start + journal.rows for journal in self.journals.values())
        return max(self.stack.shape[0], *ends, 0)

    def block(self, number: int) -> JournalBlock | None:
        """Give a block that is still in a journal."""
        if not self.journals:
            return None
        slab, piece = divmod(number, self.stack.pieces)
        journal = self.journals.get(slab)
        if journal is None:
            return None
        stack = self.stack
        assert stack.dtype is not None
        return JournalBlock(journal, piece, piece_shape(stack, piece), stack.dtype)


def piece_shape(stack: Stack, piece: int) -> tuple[int, ...]:
    """Shape of a whole block, by its place among the blocks that begin at one row."""
    return (stack.shape_block[0], *(end - start for start, end in piece_bounds(stack, piece)))


def piece_bounds(stack: Stack, piece: int) -> tuple[tuple[int, int], ...]:
    """Start and end of such a block on all axes but the first."""
    bounds = []
    for length, size in zip(stack.shape[:0:-1], stack.shape_block[:0:-1], strict=True):
        piece, place = divmod(piece, -(-length // size))
        bounds.append((place * size, min(length, (place + 1) * size)))
    return tuple(bounds[::-1])
