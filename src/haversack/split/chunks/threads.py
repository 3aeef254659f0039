"""The threads that encode and decode chunks; each process has its own.

A signal's handler may interrupt any line of a program, and read an array. So nothing here waits for
a lock that the interrupted line may hold, as ``concurrent.futures`` does, where all executors of a
process hand out their tasks under one lock. For the same reason no task may wait for such a lock.
"""

from __future__ import annotations

import os
import threading
from _thread import allocate_lock, start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AHEAD = 64  # tasks handed out before their turn, so that a plan of millions is never held whole
_DEEP = 2  # tasks for each thread that wait while the caller does one itself
CORES = min(8, os.cpu_count() or 1)


class _Task(Generic[_Item, _Result]):
    """Work that a thread of a crew does, unless its caller takes it back before."""

    def __init__(self, work: Callable[[_Item], _Result], item: _Item) -> None:
        self._work, self._item = work, [item]
        self._found: list[_Result] = []
        self._error: BaseException | None = None
        self._pending = allocate_lock()
        self._pending.acquire()

    def do(self) -> None:
        """Do it, in a thread of a crew."""
        if not (taken := self.take()):
            return
        try:
            self._found.append(self._work(*taken))
        except BaseException as error:  # noqa: BLE001 (the caller is told)
            self._error = error
        finally:
            taken.clear()
            self._pending.release()

    def take(self) -> list[_Item]:
        """Take the item away, so that nobody else can; it is there only once."""
        try:
            return [self._item.pop()]
        except IndexError:
            return []

    @property
    def has_ended(self) -> bool:
        """Whether a thread has done it."""
        return not self._pending.locked()

    def wait(self) -> None:
        """Wait until a thread has done it."""
        with self._pending:
            pass

    def result(self) -> _Result:
        """Wait for what a thread finds."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._found.pop()


_Crew = SimpleQueue[_Task[Any, Any] | None]
_crews: dict[str, _Crew] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crews.clear)  # a child has none of its parent's threads


def in_threads(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Do as ``map`` does, on all cores; the results come in order.

    Examples
    --------
    >>> list(in_threads(abs, [-1, 2]))
    [1, 2]
    """
    remaining = iter(items)
    first = list(islice(remaining, 2))
    crew = _crew("encoding", CORES) if len(first) > 1 else None
    if crew is None:
        yield from map(work, chain(first, remaining))
        return
    waiting: deque[_Task[_Item, _Result]] = deque()
    with _ended(waiting):
        for item in chain(first, remaining):
            _hand_out(crew, work, item, waiting)
            if len(waiting) > _AHEAD:
                yield waiting[0].result()
                waiting.popleft()
        while waiting:
            yield waiting[0].result()
            waiting.popleft()


def do_all(
    work: Callable[[_Item], None],
    items: Iterable[_Item],
    here: Callable[[_Item], bool] = lambda _: False,
) -> None:
    """Do all items, on all cores, in no particular order; this thread takes its share.

    With ``here`` it alone does those for which that is true.

    Examples
    --------
    >>> found = []
    >>> do_all(found.append, [1, 2, 3])
    >>> sorted(found)
    [1, 2, 3]
    """
    others = max(1, CORES - 1)
    crew = _crew("decoding", others)
    waiting: deque[_Task[_Item, None]] = deque()
    with _ended(waiting):
        for item in items:
            while waiting and waiting[0].has_ended:
                waiting.popleft().result()
            if crew is None or here(item) or len(waiting) >= _DEEP * others:
                work(item)
            else:
                _hand_out(crew, work, item, waiting)
        while waiting:
            last = waiting.pop()
            if not (taken := last.take()):
                waiting.append(last)  # it counts as waited for until it has ended
                break
            work(*taken)
        while waiting:
            waiting[0].result()
            waiting.popleft()


@contextmanager
def _ended(waiting: deque[_Task[_Item, _Result]]) -> Iterator[None]:
    """Leave no task behind that still works for a caller who is gone."""
    try:
        yield
    finally:
        for task in [task for task in waiting if not task.take()]:
            task.wait()


def _hand_out(
    crew: _Crew,
    work: Callable[[_Item], _Result],
    item: _Item,
    waiting: deque[_Task[_Item, _Result]],
) -> None:
    task = _Task(work, item)
    waiting.append(task)
    crew.put(task)


def _crew(name: str, size: int) -> _Crew | None:
    """Find the threads of that name, or start them; None if the system gives none."""
    if name in _crews:
        return _crews[name]
    made: _Crew = SimpleQueue()
    started = 0
    with suppress(RuntimeError):  # there are too many threads, or the interpreter is ending
        for _ in range(size):
            start_new_thread(_serve, (made,))
            started += 1
    crew = _crews.setdefault(name, made) if started else None
    if crew is not made:  # another caller was faster
        for _ in range(started):
            made.put(None)
    return crew


def _serve(crew: _Crew) -> None:
    # Once, before anybody waits for this thread: it takes a lock.
    threading.current_thread().name = "haversack-split"
    while (task := crew.get()) is not None:
        task.do()
        del task  # it may hold an array
