"""Ways to draw shuffled epochs of a contender's records: our loader's, and a DataLoader's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records.contenders import CONTENDERS
from benchmarks.records.contenders.contender import Contender, NotOfferedError
from benchmarks.records.contenders.ours import Haversack
from benchmarks.records.contenders.streams import Stream
from benchmarks.records.sets import load

LOADER, TENSORS, NO_WORKERS, TWO_WORKERS = (
    "ds.batches",
    "TorchIterable",
    "DataLoader, 0 workers",
    "DataLoader, 2 workers",
)
WAYS = (LOADER, TENSORS, NO_WORKERS, TWO_WORKERS)
_WORKERS = {NO_WORKERS: 0, TWO_WORKERS: 2}
_SPAWNED = {"Lance"}  # which dies in a forked worker


class Samples:
    """A map-style torch dataset that reads a batch at once; each process opens the files itself."""

    def __init__(self, name: str, source: Path, home: Path) -> None:
        self._name, self._where, self._home = name, source, home
        self._count = len(load(source))
        self._contender: Contender | None = None

    def __len__(self) -> int:
        return self._count

    def __getitems__(self, indices: Sequence[int]) -> Any:
        import torch

        if self._contender is None:
            self._contender = CONTENDERS[self._name](load(self._where), self._home)
            self._contender.open()
        source = self._contender.source
        out = np.empty((len(indices), *source.shape), source.dtype)
        found = self._contender.batch(np.array(indices), out)
        return torch.from_numpy(found if isinstance(found, np.ndarray) else np.stack(found))


def as_it_is(batch: Any) -> Any:
    """Collate a batch that is one already."""
    return batch


def feed(contender: Contender, source: Path, way: str, size: int) -> Iterable[Any]:
    """Make what gives one epoch of batches, arrays or tensors, each time it is iterated over."""
    if isinstance(contender, Haversack):
        contender.open()
        if way == LOADER:
            return map_data(contender.ds.batches(size, shuffle=True))
        if way == TENSORS:
            from haversack.loader import TorchIterable

            return TorchIterable(contender.ds, size, shuffle=True)
    elif way in (LOADER, TENSORS):
        raise NotOfferedError("it has no such loader")
    if isinstance(contender, Stream):
        return contender.loader(size, _WORKERS[way])
    return _data_loader(contender, source, _WORKERS[way], size)


class map_data:  # noqa: N801 (like map, but for each epoch anew)
    """The arrays of batches."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Any:
        return (batch.data for batch in self._batches)


def _data_loader(contender: Contender, source: Path, workers: int, size: int) -> Iterable[Any]:
    from torch.utils.data import DataLoader

    samples: Any = Samples(contender.name, source, contender.home)
    collate: Any = as_it_is
    if isinstance(contender, Haversack):
        from haversack.loader import TorchDataset, collate

        samples = TorchDataset(contender.ds)
    start = "spawn" if contender.name in _SPAWNED else "fork"
    loader: Iterable[Any] = DataLoader(
        samples,
        batch_size=size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context=start if workers else None,
        collate_fn=collate,
    )
    return loader
