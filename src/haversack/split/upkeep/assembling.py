"""Make the metadata of an array again, of its blocks and journals, and of what somebody knows.

Nothing is guessed: what two arrays could have left behind is asked for, and what does not fit every
block and every journal is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from haversack.errors import FormatError, IntegrityError, UsageError
from haversack.split.blockfiles.block import Place, Shape
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.split.chunks.chunk import StoredChunk
from haversack.split.directory.about import describe
from haversack.split.directory.growing import piece_bounds, piece_shape
from haversack.split.directory.journal import journal_name
from haversack.split.directory.metadata import Stack, block_name
from haversack.split.directory.remains import Remains
from haversack.split.growth.rows import open_journal
from haversack.split.planning.blocks import Blocks
from haversack.split.planning.cutting import Pairs
from haversack.storage.ranges import RangeFile

Lengths = tuple[int | None, ...]


class Known(NamedTuple):
    """What is known of an array; None is not known, as is the None of an axis that grows."""

    shape: Lengths | None = None
    block: Lengths | None = None
    padding: Shape | None = None
    dtype: np.dtype[Any] | None = None
    is_fixed: bool = False  # whether metadata that are damaged say that it does not grow

    def or_else(self, other: Known) -> Known:
        """Complete what is known by what others say."""
        return Known(
            self.shape if self.shape is not None else other.shape,
            self.block if self.block is not None else other.block,
            self.padding if self.padding is not None else other.padding,
            self.dtype if self.dtype is not None else other.dtype,
            self.is_fixed or other.is_fixed,
        )


def assemble(remains: Remains, known: Known) -> Stack:
    """Make what the metadata said, and compare every block and journal with it.

    Raises
    ------
    UsageError
        More has to be known.
    FormatError
        What is known contradicts what is there.
    """
    _check_axes(remains, known)
    stack = _growing(remains, known) if _grows(remains, known) else _fixed(remains, known)
    _check_blocks(remains, stack)
    rows = _check_journals(remains, stack)
    if stack.growable:
        _check_rows(remains, known, stack, rows)
    return stack


def _check_axes(remains: Remains, known: Known) -> None:
    ndim = remains.ndim or len(known.shape or known.block or ())
    for name in ("shape", "block", "padding"):
        given: Sequence[Any] | None = getattr(known, name)
        if given is not None and len(given) != ndim:
            raise UsageError(
                f"{remains.root}: {name} {given} is not for {ndim} axes; what is there: "
                f"{remains.blocks}"
            )
    if remains.dtype is not None and known.dtype not in {None, remains.dtype}:
        raise UsageError(
            f"{remains.root}: dtype {known.dtype} contradicts what is there: {remains.blocks}"
        )


def _grows(remains: Remains, known: Known) -> bool:
    """Tell by names whether an array grows; those of very many blocks may belong to either kind."""
    if remains.starts or not remains.is_long:
        return bool(remains.starts)
    is_fixed = known.is_fixed or any(known.padding or ())
    return not (is_fixed and max(remains.heads) >= 10_000)


def _fixed(remains: Remains, known: Known) -> Stack:
    if known.shape is None:
        raise _asked(remains, "its shape")
    shape = tuple(n for n in known.shape if n is not None)
    if len(shape) != len(known.shape):
        raise UsageError(
            f"{remains.root}: shape {known.shape} lacks a length, but the array does not grow"
        )
    padding = known.padding or (0,) * len(shape)
    block = _fixed_block(remains, known.block, shape, padding)
    count = Blocks(shape, block, padding=padding).n_blocks
    if known.padding is None and known.block is None:
        _check_unpadded(remains, shape, block, count)
    return _stack(remains, shape, block, known.dtype, padding=padding)


def _check_unpadded(remains: Remains, shape: Shape, block: Shape, count: int) -> None:
    """See that the first block is not longer than what it owns, and the last ones are lost.

    A last block that is shorter than the first, on each axis that is cut, shows that.
    """
    missing = count - len(remains.heads)
    if missing > 0:
        raise _asked(
            remains, f"its padding (0 if it had none), for {missing} of {count} blocks are missing"
        )
    if any(n > b and not n % b for n, b in zip(shape, block, strict=True)):
        raise _asked(
            remains, "its padding (0 if it had none), for blocks behind the last may be missing"
        )


def _fixed_block(remains: Remains, given: Lengths | None, shape: Shape, padding: Shape) -> Shape:
    """Take the shape of a block that is given, or that of the first one without its padding."""
    if given is not None:
        return tuple(full if n is None else n for n, full in zip(given, shape, strict=True))
    first = remains.heads.get(0)
    if first is None:
        raise _asked(remains, "the shape of its blocks, for the first one is missing")
    block = []
    for length, reach, full in zip(first.shape, padding, shape, strict=True):
        if length - reach < 1 or (length == full and reach):
            raise _asked(remains, "the shape of its blocks, without their padding")
        block.append(length - reach)
    return tuple(block)


def _growing(remains: Remains, known: Known) -> Stack:
    if any(known.padding or ()):
        raise UsageError(f"{remains.root} holds an array that grows, which has no padding")
    frame = _frame(remains, known)
    inner = _inner(remains, known, frame)
    pieces = math.prod(-(-n // b) for n, b in zip(frame, inner, strict=True))
    rows = _slab_rows(remains, known, pieces)
    end = _end(remains, rows, pieces, _said_rows(known))
    return _stack(remains, (end, *frame), (rows, *inner), known.dtype, growable=True)


def _said_rows(known: Known) -> int:
    return (known.shape or (0,))[0] or 0


def _frame(remains: Remains, known: Known) -> Shape:
    """Find the shape of a frame: that of a block, where a journal shows that a slab is one."""
    if known.shape is not None:
        frame = tuple(n for n in known.shape[1:] if n)
        if len(frame) == len(known.shape) - 1:
            return frame
        raise UsageError(
            f"{remains.root}: shape {known.shape} lacks the length of an axis other than the first"
        )
    if remains.pieces != (True, 1) or not remains.heads:
        raise _asked(remains, "its shape (None for the first axis, along which it grows)")
    return next(iter(remains.heads.values())).shape[1:]


def _inner(remains: Remains, known: Known, frame: Shape) -> Shape:
    """Find the shape of a block without its rows: that of the first one, if it is there."""
    if known.block is not None:
        return tuple(
            full if n is None else n for n, full in zip(known.block[1:], frame, strict=True)
        )
    if 0 in remains.heads:
        return remains.heads[0].shape[1:]
    if remains.pieces == (True, 1):
        return frame
    raise _asked(remains, "the shape of its blocks, for the first one is missing")


def _slab_rows(remains: Remains, known: Known, pieces: int) -> int:
    """Find how many rows a whole slab has: there is one in front of the last."""
    if known.block is not None and known.block[0] is not None:
        return known.block[0]
    slab, start = max(remains.starts.items(), default=(0, 0))
    if slab:
        return max(1, start // slab)
    last = max((number // pieces for number in remains.heads), default=0)
    rows = [head.shape[0] for n, head in remains.heads.items() if not last or n // pieces < last]
    if not rows or (not last and remains.starts):
        raise _asked(remains, "the shape of its blocks, for none of them has all of its rows")
    return max(1, *rows)


def _end(remains: Remains, rows: int, pieces: int, said: int) -> int:
    """Find the row up to which blocks are published; the rows behind it are in journals.

    Where no journal is, what is said to have been there counts, if blocks do not reach so far:
    then those that are missing are told of, and no row is appended in their place.
    """
    last = max((number // pieces for number in remains.heads), default=0)
    there = [head.shape[0] for n, head in remains.heads.items() if n // pieces == last]
    # Where blocks of a slab are missing, it was being published, and its journal has all rows.
    is_published = bool(there) and (len(there) == pieces or last not in remains.starts)
    end = last * rows + (min(there) if is_published else 0)
    behind = sorted(slab for slab in remains.starts if slab >= end // rows)
    for before, slab in pairwise(behind):
        if slab != before + 1:
            path = remains.root / journal_name(slab)
            raise FormatError(
                f"{path} holds frames behind {journal_name(before + 1)}, which is missing: bring "
                f"that back, or move {path.name} elsewhere to repair what is in front of it. "
                "Nothing was changed"
            )
    return max(end, behind[0] * rows if behind else said)


def _stack(
    remains: Remains,
    shape: Shape,
    block: Shape,
    dtype: np.dtype[Any] | None,
    *,
    padding: Shape | None = None,
    growable: bool = False,
) -> Stack:
    found = remains.dtype or dtype
    if found is None:
        raise _asked(remains, "its dtype")
    return Stack(
        shape=shape,
        shape_block=block,
        padding=padding or (0,) * len(shape),
        about=describe(len(shape)),
        array=remains.array,
        dtype=found,
        growable=growable,
    )


def _check_blocks(remains: Remains, stack: Stack) -> None:
    """See that each block is one of this array's, by the rules of those who read it."""
    grid = Blocks(stack.shape, stack.shape_block, padding=stack.padding)
    for number, path in remains.files.items():
        if not stack.growable and number >= grid.n_blocks:
            raise _misfit(f"{path} is none of {grid.n_blocks} blocks", stack)
        if path.name != block_name(number, grid.n_blocks, growable=stack.growable):
            raise _misfit(f"{path} is not named as one of {grid.n_blocks} blocks", stack)
        rows = remains.heads[number].shape[0]
        if stack.growable and rows > stack.shape_block[0]:
            raise _misfit(f"{path} has {rows} rows", stack)
        bounds = _growing_bounds(stack, number, rows) if stack.growable else grid.bounds(number)
        place = Place(stack.array, number, stack.dtype, bounds)
        try:
            OwnBlock(RangeFile(path), place, at_least=stack.growable)
        except FormatError as error:
            raise _misfit(str(error), stack) from error


def _growing_bounds(stack: Stack, number: int, rows: int) -> Pairs:
    """Say where a block lies that has some rows, and of them at least those that are published."""
    slab, piece = divmod(number, stack.pieces)
    start = slab * stack.shape_block[0]
    published = min(stack.shape_block[0], stack.shape[0] - start)
    return (start, start + (published if published > 0 else rows)), *piece_bounds(stack, piece)


def _check_journals(remains: Remains, stack: Stack) -> int:
    """See that the records of each journal that counts are as large as such an array's.

    Returns where the last of them ends, 0 where there is none.
    """
    end = 0
    for slab, start in remains.starts.items():
        path = remains.root / journal_name(slab)
        if start != slab * stack.shape_block[0]:
            raise _misfit(f"{path} begins at row {start}", stack)
        if slab >= stack.shape[0] // stack.shape_block[0]:
            end = max(end, start + _check_journal(remains, stack, slab, path))
    return end


def _check_journal(remains: Remains, stack: Stack, slab: int, path: Path) -> int:
    is_exact, count = remains.pieces
    if count > stack.pieces or (is_exact and count < stack.pieces):
        raise _misfit(f"{path} is of {count} blocks at each row, not {stack.pieces}", stack)
    journal = open_journal(remains.root, stack, slab)
    if journal.rows > stack.shape_block[0]:
        raise _misfit(f"{path} has {journal.rows} rows", stack)
    assert stack.dtype is not None
    for piece in range(stack.pieces if journal.rows else 0):
        size = math.prod(piece_shape(stack, piece)[1:]) * stack.dtype.itemsize
        with suppress(IntegrityError):  # a row that is damaged, as its reader will be told
            header = StoredChunk(journal.payload(0, piece)).header
            if (header.nbytes, header.typesize) != (size, stack.dtype.itemsize):
                raise _misfit(
                    f"{path} has frames of {header.nbytes} bytes, {header.typesize} for an "
                    f"element, where {size} belong",
                    stack,
                )
    return journal.rows


def _check_rows(remains: Remains, known: Known, stack: Stack, in_journals: int) -> None:
    """See that no row is said to be behind those in journals, where it would be written anew."""
    said, end = _said_rows(known), max(stack.shape[0], in_journals)
    if said > end:
        lengths = (None, *stack.shape[1:])
        raise FormatError(
            f"{remains.root}: rows {end} to {said - 1} of {said} are gone, behind those that its "
            "journals hold. Nothing was changed: bring back what held them, or give the shape "
            f"{lengths}, with None for the first axis, to repair the array without them"
        )


def _misfit(what: str, stack: Stack) -> FormatError:
    padded = f" with a padding of {stack.padding}" if any(stack.padding) else ""
    unknown = " (None for a first axis whose length is to be found)" if stack.growable else ""
    return FormatError(
        f"{what}: it does not fit an array of {stack.dtype} and shape {stack.shape} in blocks of "
        f"{stack.shape_block}{padded}. Nothing was changed: give the shape{unknown}, block and "
        "padding that it had"
    )


def _asked(remains: Remains, what: str) -> UsageError:
    return UsageError(
        f"{remains.root} cannot be repaired without {what}; what is there: {remains.blocks}"
    )
