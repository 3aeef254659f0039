"""Go over an array piece by piece, each small enough for memory, each chunk decoded once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from haversack.split.view import SplitView

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")
Region = tuple[slice, ...]

_PIECE, _LARGEST = 32 << 20, 256 << 20  # bytes
_ROWS = 8  # that are rather read together, for chunks are of some
_PART = 1 << 18  # elements, which fit into a processor's cache as doubles


def pieces(view: SplitView) -> Iterator[Region]:
    """Cut a view along the blocks of its source, and those along rows where they are large.

    The regions are in the view's own coordinates, and cover it once.
    """
    if 0 in view.shape:
        return
    source = view.source
    source.look_at_ends([range(s, s + 1) if isinstance(s, int) else s for s in view.seen])
    for region in _product(_cutters(view)):
        yield from _in_rows(region, view.dtype.itemsize)


def cuts(view: SplitView) -> list[list[slice]]:
    """Cut each axis of a view where it goes from one block of its source into another."""
    return [list(each()) for each in _cutters(view)]


def _cutters(view: SplitView) -> list[Callable[[], Iterator[slice]]]:
    """Make what cuts each axis: one at a time, for a file may claim millions of blocks."""
    source = view.source
    return [
        partial(cut, seen, size, count)
        for seen, size, count in zip(view.seen, source.shape_block, source.shape_grid, strict=True)
        if isinstance(seen, range)
    ]


def cut(seen: range, size: int, count: int) -> Iterator[slice]:
    """Cut a range where it goes from one block into another."""
    start = 0
    while start < len(seen):
        block = min(seen[start] // size, count - 1)
        low = block * size
        if seen.step > 0:
            last = (low + size - 1 - seen[start]) // seen.step if block < count - 1 else len(seen)
        else:
            last = (seen[start] - low) // -seen.step
        stop = min(len(seen), start + max(0, last) + 1)
        yield slice(start, stop)
        start = stop


def _product(cuts: list[Callable[[], Iterator[slice]]]) -> Iterator[Region]:
    if not cuts:
        yield ()
        return
    for first in cuts[0]():
        for rest in _product(cuts[1:]):
            yield (first, *rest)


def _in_rows(region: Region, itemsize: int) -> Iterator[Region]:
    """Cut a region along its first axis, and further ones, into pieces that are not too large."""
    if not region:
        yield region
        return
    first, *rest = region
    row = math.prod(each.stop - each.start for each in rest) * itemsize
    inner = [tuple(rest)]
    step = max(_ROWS, _PIECE // max(1, row) // _ROWS * _ROWS)
    most = min(step, first.stop - first.start)
    is_large = most * row > _LARGEST
    for start in range(first.start, first.stop, step):
        rows = slice(start, min(first.stop, start + step))
        for each in _in_rows(tuple(rest), itemsize * most) if is_large else inner:
            yield (rows, *each)


def parts(shape: Sequence[int], order: Iterable[int]) -> Iterator[Region]:
    """Cut what is in memory into parts to compute in wider types, along the given axes in turn.

    Examples
    --------
    >>> [region[0] for region in parts((2, 1000, 1000), (0, 1, 2))][-1], len([*parts((9,), [0])])
    (slice(1, 2, None), 1)
    """
    sizes = [*shape]
    for axis in order:
        if (size := math.prod(sizes)) <= _PART:
            break
        sizes[axis] = max(1, sizes[axis] * _PART // size)
    cut = (range(0, n, max(1, most)) for n, most in zip(shape, sizes, strict=True))
    for starts in product(*cut):
        yield tuple(
            slice(start, min(n, start + most))
            for start, n, most in zip(starts, shape, sizes, strict=True)
        )


def in_order(
    work: Callable[[_Job], _Result], jobs: Iterator[_Job], executor: Executor, ahead: int
) -> Iterator[tuple[_Job, _Result]]:
    """Do jobs in an executor, no more than ``ahead`` at once; the results come in order."""
    waiting: list[tuple[_Job, Future[_Result]]] = []
    try:
        for job in jobs:
            waiting.append((job, executor.submit(work, job)))
            if len(waiting) >= ahead:
                done, future = waiting.pop(0)
                yield done, future.result()
        while waiting:
            done, future = waiting.pop(0)
            yield done, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
