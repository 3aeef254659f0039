"""What a reader sees of an array that grows: published blocks, and rows still in journals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from haversack.errors import ConflictError, PathNotFoundError
from haversack.split.directory.journal import Journal, JournalBlock, journal_name
from haversack.split.directory.metadata import METADATA, Stack, read_stack
from haversack.storage.damage import Damage
from haversack.storage.looking import exists, state

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
        # Replaced at once, for other threads may be reading.
        self._seen: tuple[Stack, dict[int, Journal]] = self._look({})

    @property
    def stack(self) -> Stack:
        """What is published."""
        return self._seen[0]

    @property
    def journals(self) -> dict[int, Journal]:
        """The journals of the slabs behind it."""
        return self._seen[1]

    def refresh(self) -> None:
        """Look again; only a row that was never promised may be gone; raises as check_same."""
        self._seen = self._look(self.journals, self.stack)

    def check_same(self) -> None:
        """See that this array is still there.

        Raises
        ------
        ConflictError
            Another one was put in its place.
        """
        _check_same(self._root, self.stack, read_stack(self._root, self._prefix))

    def _look(
        self, known: dict[int, Journal], before: Stack | None = None
    ) -> tuple[Stack, dict[int, Journal]]:
        while True:
            mark = self._mark()
            stack = read_stack(self._root, self._prefix)
            _check_same(self._root, before or stack, stack)
            journals = self._journals(stack, known) if stack.growable else {}
            if self._mark() == mark:
                return stack, journals

    def _mark(self) -> tuple[int, ...]:
        """Tell one version of the metadata from the next."""
        found = state(self._root / (self._prefix + METADATA))
        return () if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)

    def _journals(self, stack: Stack, known: dict[int, Journal]) -> dict[int, Journal]:
        rows = stack.shape_block[0]
        slab, found = stack.shape[0] // rows, {}
        while True:
            journal = self._journal(stack, slab, known.get(slab))
            is_full = journal is not None and journal.rows == rows
            # A next one is begun behind a full one: where there is one, this one was filled
            # meanwhile, or some of it is lost, and to read that is an error.
            goes_on = is_full or exists(self._root / journal_name(slab + 1))
            if goes_on and not is_full:
                journal = self._journal(stack, slab, journal)
            if journal is not None:
                found[slab] = journal
            if not goes_on:
                return found
            slab += 1

    def _journal(self, stack: Stack, slab: int, known: Journal | None) -> Journal | None:
        path = self._root / journal_name(slab)
        try:
            there = state(path)
            if known is not None and there is not None and there.st_ino == known.inode:
                known.refresh()
                return known
            start = slab * stack.shape_block[0]
            return Journal(path, stack.array, start, stack.pieces)
        except (FileNotFoundError, PathNotFoundError):
            return None

    @property
    def rows(self) -> int:
        """Length of the first axis: what is published, or further, what is in journals."""
        stack, journals = self._seen
        ends = (journal.start + journal.rows for journal in journals.values())
        return max(stack.shape[0], *ends, 0)

    def block(self, number: int) -> JournalBlock | None:
        """Give a block that is still in a journal."""
        stack, journals = self._seen
        if not journals:
            return None
        slab, piece = divmod(number, stack.pieces)
        journal = journals.get(slab)
        if journal is None:
            return None
        assert stack.dtype is not None
        return JournalBlock(journal, piece, piece_shape(stack, piece), stack.dtype)

    def verify(self) -> Iterator[Damage]:
        """Compare what is in journals with its checksums, and find where rows are gone."""
        stack, journals = self._seen
        for slab, journal in journals.items():
            yield from journal.verify()
            end = journal.start + journal.rows
            if slab + 1 in journals and journal.rows < stack.shape_block[0]:
                what = f"its last rows are gone: {journal_name(slab + 1)} was begun behind them"
                yield Damage(journal.path, f"row {end}", what)


def _check_same(root: Path, opened: Stack, there: Stack) -> None:
    if opened.array != there.array:
        raise ConflictError(
            f"the array at {root} was replaced by another (opened: {opened.array or 'no id'}, "
            f"there now: {there.array or 'no id'}): open it anew"
        )


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
