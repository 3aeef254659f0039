"""Write lost or damaged metadata of a split array anew; its blocks and journals stay as they are.

What was damaged is kept beside, under a name that nobody reads. No element comes of a guess: what
is there has to fit what is written, and what is not known is asked for.
"""

from __future__ import annotations

import json
import logging
import operator
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsIndex

import numpy as np
from numpy.typing import DTypeLike

from haversack.errors import ExistsError, FormatError, IntegrityError, NewerFormatError, UsageError
from haversack.split.blockfiles.block import Shape, as_dtype
from haversack.split.directory.growing import LOCK
from haversack.split.directory.journal import check_header, journal_name
from haversack.split.directory.metadata import (
    LONGEST_METADATA,
    METADATA,
    Stack,
    block_name,
    is_unfinished,
    metadata_document,
    read_stack,
    stack_of,
)
from haversack.split.directory.remains import Remains, find_remains, has_remains, journals
from haversack.split.growth.recovery import set_aside
from haversack.split.growth.rows import open_journal
from haversack.split.planning.blocks import Blocks
from haversack.split.planning.cutting import Numbers, for_each_axis
from haversack.split.upkeep.assembling import Known, Lengths, assemble
from haversack.split.upkeep.reviving import described, mended, parsed, said_in
from haversack.storage import publish
from haversack.storage.checksum import crc32c
from haversack.storage.damage import Damage
from haversack.storage.lock import exclusive
from haversack.storage.looking import as_path, exists, read_file, state
from haversack.storage.ranges import RangeFile

log = logging.getLogger("haversack.split")
_MOST_MISSING = 1000  # blocks that are told of one by one
_ABOUT = "resolution, axes, units, frequency, metadata"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair has done, or would do.

    Attributes
    ----------
    shape, shape_block, dtype
        The array, with the frames that are still in journals.
    lost
        What is not there any more, such as blocks; and what else is uncertain.
    rebuilt
        The files that were lost or damaged and are written anew; none where nothing was wrong.
    kept_as
        Where the metadata that were damaged are kept.
    """

    shape: Shape
    shape_block: Shape
    dtype: np.dtype[np.generic] | None
    lost: list[Damage]
    rebuilt: list[Path]
    kept_as: Path | None


@dataclass(frozen=True, slots=True)
class _Plan:
    stack: Stack
    content: bytes | None = None  # of the new metadata; None where they are whole
    damaged: bytes | None = None
    unsure: str = ""
    unreadable: tuple[Path, ...] = ()  # journals


def repair(
    path: str | os.PathLike[str],
    shape: Sequence[SupportsIndex | None] | None = None,
    *,
    block_size: Sequence[SupportsIndex | None] | None = None,
    padding: Numbers | None = None,
    dtype: DTypeLike | None = None,
    dry_run: bool = False,
) -> Repaired:
    """Write the metadata of a split array anew, if they are lost or damaged.

    A flipped bit is found by the checksum. Otherwise what the blocks and journals say of themselves
    is put together with what the damaged metadata say, or the caller, and every one of them has to
    fit it. Blocks and journals stay as they are; what was damaged is kept as
    ``stack_metadata.json.damaged-`` and 8 hexadecimal digits. Where the metadata are whole,
    journals whose header is damaged are set aside, so that all else reads.

    Parameters
    ----------
    path
        Directory of an array that haversack wrote.
    shape
        Length of each axis; None for the first of an array that grows, where it is to be found:
        blocks that were lost behind the last are not told of then. Needed where neither the
        metadata nor a journal tell it.
    block_size
        Shape of a block, None for a full length, or for the first axis of an array that grows. By
        default what the metadata say, or the first block.
    padding
        How far blocks reach into the next one: one number, or one for each axis. By default what
        the metadata say, or none, where what is there could not have any.
    dtype
        Of an array that has journals alone.
    dry_run
        Change nothing, and say what would be done.

    Raises
    ------
    UsageError
        More has to be known; nothing was changed.
    FormatError
        Another program wrote the array; or a block or journal is damaged, or does not fit; nothing
        was changed.
    StorageError
        The disk refuses. The metadata are as they were.

    Examples
    --------
    >>> from haversack.split import SplitDataset, save_to_split_dataset
    >>> made = save_to_split_dataset(np.arange(24).reshape(6, 4), "numbers", block_size=(2, None))
    >>> (made.root / "stack_metadata.json").unlink()
    >>> done = repair("numbers", shape=(6, 4), padding=0)
    >>> print(done.lost[0].what)
    not known any more: only the lost file had them
    >>> SplitDataset("numbers")[-1]
    array([20, 21, 22, 23])
    """
    root = as_path(path)
    known = Known(
        _lengths("shape", shape, 0),
        _lengths("block_size", block_size, 1),
        dtype=None if dtype is None else as_dtype(dtype),
    )
    plan = _plan(root, known, padding)
    if dry_run or (plan.content is None and not plan.unreadable):
        return _told(root, plan)
    with publish.telling("repair", root), exclusive(root / LOCK):
        plan = _plan(root, known, padding)  # another may have been here meanwhile
        _write(root, plan)
        for journal in plan.unreadable:
            set_aside(journal, "its header is damaged, and tells of no array")
        publish.sync_directory(root)
        return _told(root, plan)


def _lengths(name: str, given: Sequence[SupportsIndex | None] | None, least: int) -> Lengths | None:
    if given is None:
        return None
    try:
        lengths = tuple(None if n is None else operator.index(n) for n in given)
    except TypeError:
        lengths = (-1,)
    if any(n is not None and n < least for n in lengths):
        raise UsageError(f"{name} {given!r} is not a length >= {least}, or None, for each axis")
    return lengths


def _plan(root: Path, known: Known, padding: Numbers | None) -> _Plan:
    """See what is to be written, changing nothing."""
    try:
        stack = read_stack(root)
        if stack.array or not has_remains(root):
            return _Plan(stack, unreadable=_unreadable_journals(root, stack))
        wrong = FormatError(f"{root} has blocks of haversack, of which its {METADATA} is silent")
    except FormatError as error:
        wrong = error
    path, damaged = root / METADATA, _damaged(root / METADATA)
    whole = mended(damaged) if damaged else None
    if whole is not None:
        return _Plan(stack_of(parsed(whole), path), whole, damaged)
    if isinstance(wrong, NewerFormatError) or is_unfinished(root):
        raise wrong
    remains = find_remains(root)
    if remains is None:
        raise wrong
    if padding is not None:
        ndim = remains.ndim or len(known.shape or ())
        known = known._replace(padding=for_each_axis(padding, ndim, "padding"))
    return _assembled(remains, known, damaged)


def _unreadable_journals(root: Path, stack: Stack) -> tuple[Path, ...]:
    """List those of which nobody can tell what array they are of."""
    found: list[Path] = []
    for slab in journals(root) if stack.growable else ():
        path = root / journal_name(slab)
        try:
            check_header(RangeFile(path), slab * stack.shape_block[0], stack.array)
        except IntegrityError:
            found.append(path)
    return tuple(found)


def _damaged(path: Path) -> bytes | None:
    about = state(path)
    if about is not None and about.st_size > LONGEST_METADATA:
        raise FormatError(f"{path} is too large for metadata: move it elsewhere, and repair again")
    try:
        return None if about is None else read_file(path)
    except FormatError as error:  # no file
        raise FormatError(f"{error}: move it elsewhere, and repair again") from error


def _assembled(remains: Remains, known: Known, damaged: bytes | None) -> _Plan:
    """Put the metadata together of what is there, what they still say, and what the caller says."""
    document = parsed(damaged or b"")
    said = said_in(document, remains.ndim)
    if remains.dtype is not None:  # what blocks say has a checksum
        said = said._replace(dtype=None)
    stack = described(assemble(remains, known.or_else(said)), document)
    content = metadata_document(stack)
    stack_of(json.loads(content), remains.root / METADATA)  # as reading will
    unsure = "not known any more: only the lost file had them"
    if document.get("haversack") or document.get("resolution"):
        unsure = "as they stand in the damaged file, where they may be wrong: look at them"
    elif damaged:
        unsure = "not known: the damaged file does not have them"
    return _Plan(stack, content, damaged, unsure)


def _write(root: Path, plan: _Plan) -> None:
    if plan.content is None:
        return
    path, kept = root / METADATA, _kept_as(root, plan)
    if plan.damaged is None:
        publish.create(path, plan.content)
    else:
        assert kept is not None
        with suppress(ExistsError):  # by a repair that was killed
            publish.create(kept, plan.damaged)
        publish.replace(path, plan.content)
    log.info("%s is written anew%s", path, f"; what it was is kept as {kept.name}" if kept else "")


def _kept_as(root: Path, plan: _Plan) -> Path | None:
    if plan.damaged is None:
        return None
    return root / f"{METADATA}.damaged-{crc32c(plan.damaged):08x}"


def _told(root: Path, plan: _Plan) -> Repaired:
    stack, path = plan.stack, root / METADATA
    lost = [Damage(path, _ABOUT, plan.unsure)] if plan.unsure else []
    for journal in plan.unreadable:
        what = "its header is damaged: it is set aside, and the frames in it are not there"
        lost.append(Damage(journal, "header", what))
    if plan.content is not None and stack.array:
        lost += _missing(root, stack)
    return Repaired(
        shape=(_rows(root, stack), *stack.shape[1:]),
        shape_block=stack.shape_block,
        dtype=stack.dtype,
        lost=lost,
        rebuilt=[] if plan.content is None else [path],
        kept_as=_kept_as(root, plan),
    )


def _missing(root: Path, stack: Stack) -> list[Damage]:
    """Name the blocks that are not there."""
    count = Blocks(stack.shape, stack.shape_block, padding=stack.padding).n_blocks
    names = {*publish.names_in(root)}
    lost: list[Damage] = []
    for number in range(count):
        name = block_name(number, count, growable=stack.growable)
        if name not in names and journal_name(number // stack.pieces) not in names:
            if len(lost) == _MOST_MISSING:
                lost.append(Damage(root, "", "more blocks are missing"))
                break
            lost.append(Damage(root / name, f"block {number}", "it is missing"))
    return lost


def _rows(root: Path, stack: Stack) -> int:
    """Count the rows with those in journals."""
    rows, slab = stack.shape[0], stack.shape[0] // stack.shape_block[0]
    while stack.growable and exists(root / journal_name(slab)):
        with suppress(FormatError):  # which verify tells of
            journal = open_journal(root, stack, slab)
            rows = max(rows, journal.start + journal.rows)
        slab += 1
    return rows
