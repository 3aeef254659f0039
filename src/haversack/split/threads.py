"""The threads that encode and decode chunks; each process has its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_BATCH = 256  # tasks handed out at once, so that a plan of millions is never held whole
_pools: dict[int, ThreadPoolExecutor] = {}


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Do as ``map`` does, on all cores; the results come in order.

    Examples
    --------
    >>> list(in_threads(abs, [-1, 2]))
    [1, 2]
    """
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        if len(batch) == 1:
            yield work(batch[0])
        else:
            yield from _pool().map(work, batch)


def _pool() -> ThreadPoolExecutor:
    # A forked child has none of its parent's threads.
    pool = _pools.get(os.getpid())
    if pool is None:
        _pools.clear()
        workers = min(8, os.cpu_count() or 1)
        pool = _pools[os.getpid()] = ThreadPoolExecutor(workers, "haversack-split")
    return pool
