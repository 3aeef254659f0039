"""Fill arrays from blocks: each chunk is read and decoded once, on all cores."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple

from haversack.errors import FormatError
from haversack.split.block import Block, Fetch, Shape, Wanted
from haversack.split.layout import Job
from haversack.split.plan import Part, copy, divide, from_row, rows_of
from haversack.split.threads import do_all

_WORTH_A_THREAD = 1 << 20  # bytes to decode that are handed to a thread at once
# Decoded bytes that the disk is told of before they are read, and tasks, each with an open file.
_EXPECTED, _MOST_EXPECTED = 64 << 20, 24

OfBlocks = Iterable[tuple[int, list[Job]]]  # numbers of blocks, and what is wanted of each


class _Task(NamedTuple):
    """Some chunks of a block, and where what is wanted of each goes."""

    fetch: Fetch
    jobs: list[list[Job]]
    nbytes: int


def fill(of_blocks: OfBlocks, block: Callable[[int], Block]) -> None:
    """Fill targets; a block is opened when its turn comes."""
    tasks = (task for number, jobs in of_blocks for task in _tasks(block(number), jobs))
    first = [*islice(tasks, 2)]
    if len(first) == 2:
        do_all(_do, _expected(chain(first, tasks)), _is_locked)
    elif first:
        (task,) = first
        if len(task.jobs) > 1:
            task.fetch.expect()
        _do(task)


def _is_locked(task: _Task) -> bool:
    return task.fetch.is_locked


def _do(task: _Task) -> None:
    for data, jobs in zip(task.fetch.arrays(), task.jobs, strict=True):
        for target, part in jobs:
            copy(data, part, target)


def _expected(tasks: Iterable[_Task]) -> Iterator[_Task]:
    """Tell the disk of tasks some time before they are done."""
    waiting: deque[_Task] = deque()
    ahead = 0
    for task in tasks:
        task.fetch.expect()
        waiting.append(task)
        ahead += task.nbytes
        while ahead > _EXPECTED or len(waiting) > _MOST_EXPECTED:
            ahead -= waiting[0].nbytes
            yield waiting.popleft()
    yield from waiting


def _tasks(block: Block, jobs: list[Job]) -> Iterator[_Task]:
    """Cut what is wanted of a block into tasks that are worth a thread's while."""
    inner = math.prod(block.chunk_shape[1:]) * block.dtype.itemsize
    wanted: list[Wanted] = []
    parts: list[list[Job]] = []
    nbytes = 0
    for cell, of_chunk in sorted(_chunks(block, jobs).items(), key=itemgetter(0)):
        rows = _rows(of_chunk)
        wanted.append((cell, rows))
        parts.append([(target, from_row(part, rows.start)) for target, part in of_chunk])
        nbytes += len(rows) * inner
        if nbytes >= _WORTH_A_THREAD:
            yield _Task(block.fetch(wanted), parts, nbytes)
            wanted, parts, nbytes = [], [], 0
    if wanted:
        yield _Task(block.fetch(wanted), parts, nbytes)


def _chunks(block: Block, jobs: list[Job]) -> dict[Shape, list[Job]]:
    """Find which chunks of a block are wanted, and what of each."""
    chunks: dict[Shape, list[Job]] = {}
    for target, wanted in jobs:
        _check_reach(block, wanted)
        for cell, part in divide(wanted, block.chunk_shape):
            chunks.setdefault(cell, []).append((target, part))
    return chunks


def _rows(jobs: list[Job]) -> range:
    """Find the rows of a chunk between which all that is wanted of it lies."""
    if len(jobs) == 1:
        return rows_of(jobs[0][1])
    each = [rows_of(part) for _, part in jobs]
    return range(min(rows.start for rows in each), max(rows.stop for rows in each))


def _check_reach(block: Block, wanted: Part) -> None:
    """Refuse to read beyond the end of a block that is smaller than it should be."""
    for axis, length in zip(wanted.axes, block.shape, strict=True):
        if type(axis) is range and axis.stop <= length:
            continue
        last = axis[-1] if isinstance(axis, range) else int(axis.max())
        if last >= length:
            raise FormatError(
                f"{block.path} has shape {block.shape}, too small for what its array has there: "
                "the recording may have been stopped early"
            )
