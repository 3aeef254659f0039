"""Fill arrays from blocks, on all cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from haversack.split.blockfiles.block import Block
from haversack.split.chunks.threads import do_all
from haversack.split.planning.layout import Job
from haversack.split.results.tasks import Task, tasks

# Decoded bytes that the disk is told of before they are read, and tasks, each with an open file.
_EXPECTED, _MOST_EXPECTED = 64 << 20, 24

OfBlocks = Iterable[tuple[int, list[Job]]]  # numbers of blocks, and what is wanted of each


def fill(of_blocks: OfBlocks, block: Callable[[int], Block]) -> None:
    """Fill targets; a block is opened when its turn comes."""
    found = (task for number, jobs in of_blocks for task in tasks(block(number), jobs))
    first = [*islice(found, 2)]
    if len(first) == 2:
        do_all(_do, _expected(chain(first, found)), _is_locked)
    elif first:
        (task,) = first
        if task.n_chunks > 1:
            task.expect()
        task.read()
        task.do()


def _expected(of_tasks: Iterable[Task]) -> Iterator[Task]:
    """Tell the disk of tasks some time before they are done."""
    waiting: deque[Task] = deque()
    ahead = 0
    for task in of_tasks:
        task.expect()
        waiting.append(task)
        ahead += task.nbytes
        while ahead > _EXPECTED or len(waiting) > _MOST_EXPECTED:
            ahead -= waiting[0].nbytes
            yield _read(waiting.popleft())
    yield from map(_read, waiting)


def _read(task: Task) -> Task:
    task.read()
    return task


def _do(task: Task) -> None:
    task.do()


def _is_locked(task: Task) -> bool:
    return task.is_locked
