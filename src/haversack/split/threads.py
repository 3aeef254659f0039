"""The threads that encode and decode chunks; each process has its own."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AHEAD = 64  # tasks handed out before their turn, so that a plan of millions is never held whole
_DEEP = 2  # tasks for each thread that wait while the caller does one itself
_CORES = min(8, os.cpu_count() or 1)
_pools: dict[int, ThreadPoolExecutor] = {}  # by how many threads they have
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # a child has none of its parent's threads


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
    with _ended(waiting):
        for item in chain(first, remaining):
            waiting.append(_submit(_CORES, work, item))
            if len(waiting) > _AHEAD:
                yield waiting[0].result()
                waiting.popleft()
        while waiting:
            yield waiting[0].result()
            waiting.popleft()


def do_all(work: Callable[[_Item], None], items: Iterable[_Item]) -> None:
    """Do all items, on all cores, in no particular order; this thread takes its share.

    Examples
    --------
    >>> found = []
    >>> do_all(found.append, [1, 2, 3])
    >>> sorted(found)
    [1, 2, 3]
    """
    others = max(1, _CORES - 1)
    waiting: deque[Future[None]] = deque()
    given: deque[_Item] = deque()
    with _ended(waiting):
        for item in items:
            while waiting and waiting[0].done():
                waiting.popleft().result()
                given.popleft()
            if len(waiting) < _DEEP * others:
                waiting.append(_submit(others, work, item))
                given.append(item)
            else:
                work(item)
        while waiting and waiting[-1].cancel():  # rather than wait for those who are busy
            waiting.pop()
            work(given.pop())
        while waiting:
            waiting[0].result()  # it counts as waited for until it has ended
            waiting.popleft()


@contextmanager
def _ended(waiting: deque[Future[Any]]) -> Iterator[None]:
    """Leave no task behind that still works for a caller who is gone."""
    try:
        yield
    finally:
        wait([task for task in waiting if not task.cancel()])


def _submit(workers: int, work: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
    try:
        return _pool(workers).submit(work, item)
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise
        # The interpreter is ending, and begins no work in threads.
        done: Future[_Result] = Future()
        done.set_result(work(item))
        return done


def _pool(workers: int) -> ThreadPoolExecutor:
    pool = _pools.get(workers)
    if pool is None:
        pool = _pools[workers] = ThreadPoolExecutor(workers, "haversack-split")
    return pool
