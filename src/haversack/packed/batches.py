"""Draw batches: in order or shuffled, filled ahead by threads, always in the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from haversack.errors import UsageError
from haversack.packed.records import Batch
from haversack.packed.shuffle import Permutation

if TYPE_CHECKING:
    from haversack.packed.dataset import PackedDataset

_BLOCK = 1 << 16  # indices shuffled at once: fewer would cost more each
_AHEAD = 2  # batches that each thread may be ahead


def batches(
    dataset: PackedDataset,
    size: int,
    *,
    shuffle: bool,
    seed: int,
    epoch: int,
    threads: int,
    drop_last: bool,
) -> Iterator[Batch]:
    """Yield the batches of one epoch; see :meth:`PackedDataset.batches`."""
    if size < 1:
        raise UsageError(f"a batch has at least one record, not {size}")
    if threads < 0:
        raise UsageError(f"threads must not be negative, not {threads}")
    parts = _cut(_order(len(dataset), shuffle=shuffle, seed=seed, epoch=epoch), size, drop_last)
    return _filled(dataset, parts, threads) if threads else _direct(dataset, parts)


def _order(count: int, *, shuffle: bool, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Yield all indices in blocks."""
    order = Permutation(count, seed=seed, epoch=epoch) if shuffle else None
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        yield np.arange(start, stop, dtype=np.int64) if order is None else order[start:stop]


def _cut(
    blocks: Iterator[NDArray[np.int64]], size: int, drop_last: bool
) -> Iterator[NDArray[np.int64]]:
    """Cut blocks of indices into batches, whose sizes need not divide the blocks'."""
    rest = np.empty(0, np.int64)
    for block in blocks:
        rest = np.concatenate([rest, block]) if len(rest) else block
        whole = len(rest) - len(rest) % size
        for start in range(0, whole, size):
            yield rest[start : start + size]
        rest = rest[whole:]
    if len(rest) and not drop_last:
        yield rest


def _direct(dataset: PackedDataset, parts: Iterator[NDArray[np.int64]]) -> Iterator[Batch]:
    for part in parts:
        yield Batch(dataset.take(part), part, dataset)


def _filled(
    dataset: PackedDataset, parts: Iterator[NDArray[np.int64]], threads: int
) -> Iterator[Batch]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="haversack-batches")
    waiting: deque[tuple[Future[object], NDArray[np.int64]]] = deque()
    try:
        for part in parts:
            waiting.append((pool.submit(dataset.take, part), part))
            if len(waiting) > threads * _AHEAD:
                yield _next(waiting, dataset)
        while waiting:
            yield _next(waiting, dataset)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _next(
    waiting: deque[tuple[Future[object], NDArray[np.int64]]], dataset: PackedDataset
) -> Batch:
    future, part = waiting.popleft()
    return Batch(future.result(), part, dataset)
