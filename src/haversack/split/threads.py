"""The threads that encode and decode chunks; each process has its own."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AHEAD = 64  # tasks handed out before their turn, so that a plan of millions is never held whole
_pools: dict[int, ThreadPoolExecutor] = {}


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Do as ``map`` does, on all cores; the results come in order.

    Examples
    --------
    >>> list(in_threads(abs, [-1, 2]))
    [1, 2]
    """
    remaining = iter(items)
    first = list(islice(remaining, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in chain(first, remaining):
            waiting.append(_pool().submit(work, item))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for task in waiting:
            task.cancel()


def _pool() -> ThreadPoolExecutor:
    # A forked child has none of its parent's threads.
    pool = _pools.get(os.getpid())
    if pool is None:
        _pools.clear()
        workers = min(8, os.cpu_count() or 1)
        pool = _pools[os.getpid()] = ThreadPoolExecutor(workers, "haversack-split")
    return pool
