"""Fill batches: in the caller's thread, or ahead of it in others.

What is read at once is a *group*: one batch, or several small ones, as handing over from thread to
thread costs more than reading a few kilobytes. The records of a large group are read in pieces by
several threads, so that the threads of a loader hold no more memory than one.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import HaversackError, UsageError
from haversack.packed.batches.buffers import Buffers
from haversack.packed.batches.shuffle import Numbers
from haversack.packed.reading.records import Batch

if TYPE_CHECKING:
    from haversack.packed.dataset import PackedDataset

_GROUP = 1 << 20  # bytes that are worth handing over
_PIECE = 1 << 19
_PARALLEL = 1 << 16  # bytes of a record from which several threads gain more than they wait
_MOST_THREADS = 4
_LARGE = 1 << 25  # bytes of a batch of which one is kept ahead, not two

Layout = tuple[tuple[int, ...], np.dtype[Any]]
Task = Callable[[], None]


@dataclass(slots=True)
class Filler:
    """What filling batches needs; ``layout`` is what the records are expected to share."""

    dataset: PackedDataset
    size: int
    threads: int
    ahead: int  # groups
    whole: int  # batches of a group
    transform: Callable[[Batch], Any] | None
    buffers: Buffers
    layout: Layout | None

    def fill(self, blocks: Iterator[tuple[range, Numbers]]) -> Iterator[Any]:
        """Yield the batches of blocks in their order."""
        groups = (group for numbers, indices in blocks for group in self._cut(numbers, indices))
        if not self.threads:
            return self._here(groups)
        return self._in_threads(groups)

    def _cut(self, numbers: range, indices: Numbers) -> Iterator[_Group]:
        step = self.whole * self.size
        for at, start in enumerate(range(0, len(indices), step)):
            part = numbers[at * self.whole : (at + 1) * self.whole]
            yield _Group(self, part, indices[start : start + step])

    def _here(self, groups: Iterator[_Group]) -> Iterator[Any]:
        for group in groups:
            for task in group.tasks(1):
                task()
            yield from _handed_over(group.found.result())

    def _in_threads(self, groups: Iterator[_Group]) -> Iterator[Any]:
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="haversack-batches")
        owner, waiting = os.getpid(), deque[Future[list[Any]]]()
        try:
            for group in groups:
                for task in group.tasks(self.threads):
                    pool.submit(task)
                waiting.append(group.found)
                if len(waiting) > self.ahead:
                    yield from _handed_over(waiting.popleft().result())
                _check_process(owner)
            while waiting:
                yield from _handed_over(waiting.popleft().result())
                _check_process(owner)
        finally:
            pool.shutdown(wait=os.getpid() == owner, cancel_futures=True)


def _check_process(owner: int) -> None:
    if os.getpid() != owner:
        raise UsageError("this epoch was begun in another process: begin one in this process")


@dataclass(slots=True)
class _Raised:
    """Stands for a batch, the last one to be drawn."""

    error: BaseException


def _handed_over(found: list[Any]) -> Iterator[Any]:
    """Yield batches without holding on to them."""
    found.reverse()
    while found:
        if isinstance(found[-1], _Raised):
            raise found.pop().error
        yield found.pop()


class _Group:
    """Batches that are read together; ``found`` will be what became of them."""

    def __init__(self, filler: Filler, numbers: range, indices: Numbers) -> None:
        self._filler, self._numbers, self._indices = filler, numbers, indices
        self.found: Future[list[Any]] = Future()
        self._lock = threading.Lock()
        self._left = 0
        self._data: NDArray[Any] | None = None

    def tasks(self, threads: int) -> list[Task]:
        """Make room for the records, and say what is to be done."""
        layout, count = self._filler.layout, len(self._indices)
        if layout is None:
            return [partial(self._do, self._read_apart)]
        shape, dtype = layout
        try:
            self._data = self._filler.buffers.array((count, *shape), dtype)
        except MemoryError as error:
            self.found.set_result([_Raised(error)])
            return []
        pieces = max(1, min(threads, self._data.nbytes // _PIECE, count))
        bounds = [count * piece // pieces for piece in range(pieces + 1)]
        self._left = pieces
        return [
            partial(self._do, partial(self._read, start, stop)) for start, stop in pairwise(bounds)
        ]

    def _do(self, work: Task) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (whoever waits for the batch is told)
            with self._lock:
                if not self.found.done():
                    self.found.set_result([_Raised(error)])

    def _read(self, start: int, stop: int) -> None:
        data = self._data
        try:
            if data is not None:
                self._filler.dataset.take(self._indices[start:stop], data[start:stop])
        except HaversackError:
            self._data = None  # a record is damaged, or not like those before
        del data
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            whole, self._data = self._data, None
            if whole is None:
                self._read_apart()
            else:
                self._finish(self._cut(whole))

    def _cut(self, array: Any) -> list[Any]:
        size = self._filler.size
        return [array[start : start + size] for start in range(0, len(self._indices), size)]

    def _read_apart(self) -> None:
        """Read batches one by one: what each gives depends on its own records alone."""
        arrays: list[Any] = []
        try:
            for part in self._cut(self._indices):
                arrays.append(self._filler.dataset.take(part))
                self._filler.layout = layout_of(arrays[-1])
        except HaversackError as error:
            arrays.append(_Raised(error))
        self._finish(arrays)

    def _finish(self, arrays: list[Any]) -> None:
        parts, dataset = self._cut(self._indices), self._filler.dataset
        self.found.set_result(
            [
                array
                if isinstance(array, _Raised)
                else self._transformed(number, Batch(array, part, dataset))
                for number, part, array in zip(self._numbers, parts, arrays, strict=False)
            ]
        )

    def _transformed(self, number: int, batch: Batch) -> Any:
        if self._filler.transform is None:
            return batch
        try:
            return self._filler.transform(batch)
        except Exception as error:
            chosen = np.array2string(batch.indices, threshold=8, separator=", ")
            error.add_note(f"in the transform of batch {number}, of records {chosen}")
            raise


def layout_of(data: Any) -> Layout | None:
    """Say what the records of a batch share: shape and dtype, None if nothing."""
    return (data.shape[1:], data.dtype) if isinstance(data, np.ndarray) else None


def first_layout(dataset: PackedDataset, indices: Numbers) -> Layout | None:
    """Read a record to learn its layout; an error is left to the batch that it belongs to."""
    try:
        return layout_of(dataset.take(indices[:1])) if len(indices) else None
    except HaversackError:
        return None


def size_of(layout: Layout | None) -> int | None:
    """Count the bytes of a record."""
    return None if layout is None else math.prod(layout[0]) * layout[1].itemsize


def threads_that_help(layout: Layout | None, processors: int) -> int:
    """Choose how many threads fill batches.

    Python runs one thread at a time between the records: with small ones, two threads take twice as
    long as one.
    """
    each = size_of(layout)
    return 1 if each is None or each < _PARALLEL else max(1, min(_MOST_THREADS, processors))


def batches_of_a_group(layout: Layout | None, size: int, transformed: bool) -> int:
    """Choose how many batches are read at once."""
    each = size_of(layout)
    return 1 if each is None or transformed else max(1, _GROUP // max(1, each * size))


def groups_ahead(layout: Layout | None, size: int, threads: int, transformed: bool) -> int:
    """Choose how many groups are read ahead."""
    each = size_of(layout)
    if transformed or each is None or each * size < _PIECE * threads:
        return threads + 1
    return 1 if each * size > _LARGE else 2
