"""Epochs of shuffled batches, brought to a GPU and summed up there."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import haversack
from benchmarks.figures import Figures
from benchmarks.report import compared, missing, table

_BATCH = 256
_SETS = {
    "784 B": ((28, 28), 60_000),
    "12 kB": ((3, 64, 64), 60_000),
    "614 kB": ((4, 384, 400), 3000),
}
LIMIT, OURS = "a tensor in memory", "TorchIterable"
_RATE = "records/s on the GPU"
Feed = Callable[[int], Iterable[Any]]  # of the number of an epoch: its batches, on the GPU


class Suite:
    """One run over scratch space; no other environment is needed."""

    def __init__(self, scratch: Path, environments: Path, *, quick: bool) -> None:
        del environments
        self._scratch, self._rounds = scratch, 1 if quick else 5
        self._figures = Figures(_RATE)

    def run(self) -> dict[str, Any]:
        """Measure everything, and give all raw figures; nothing where there is no GPU."""
        device, versions = _device()
        if device is None:
            print("no GPU: nothing was measured\n")
            return {"versions": {}, "tables": {}}
        print(f"- GPU: {device}\n")
        names: list[str] = []
        for title, (shape, count) in _SETS.items():
            array = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
            feeds = _feeds(array, self._scratch / title.replace(" ", "_"))
            names = list(feeds)
            for number in range(self._rounds + 1):  # the first one warms up
                for name, feed in feeds.items():
                    rate = _epoch(feed, number, array)
                    if number or self._rounds == 1:
                        self._figures.add(title, name, rate)
        print(table(self._figures, _RATE, names, list(_SETS), compared(LIMIT, OURS)))
        print(missing(self._figures))
        return {"versions": versions, "tables": {_RATE: self._figures.plain()}}


def _device() -> tuple[str | None, dict[str, dict[str, str]]]:
    try:
        import torch
    except ImportError:
        return None, {}
    if not torch.cuda.is_available():
        return None, {}
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    return torch.cuda.get_device_name(0), {OURS: versions}


def _feeds(array: NDArray[np.uint8], home: Path) -> dict[str, Feed]:
    """Make the ways to bring records to the GPU."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from haversack.loader import TorchDataset, TorchIterable, collate

    dataset = haversack.pack(array, home)
    ours, samples = TorchIterable(dataset, _BATCH, shuffle=True, seed=1), TorchDataset(dataset)
    whole = torch.from_numpy(array)

    def of_tensor(number: int) -> Iterator[Any]:
        order = torch.from_numpy(np.random.default_rng(number).permutation(len(array)))
        return (whole[some].cuda() for some in order.split(_BATCH))

    def pinned(loader: Any) -> Feed:
        return lambda _: (_tensor(batch).cuda(non_blocking=True) for batch in loader)

    workers: dict[str, Any] = {"num_workers": 8, "pin_memory": True, "batch_size": _BATCH}
    mapped = DataLoader(samples, shuffle=True, collate_fn=collate, **workers)
    return {
        LIMIT: of_tensor,
        OURS: lambda _: (batch.cuda() for batch in ours),
        f"{OURS}, pinned": pinned(DataLoader(ours, batch_size=None, pin_memory=True)),
        "TorchDataset, 8 workers, pinned": pinned(mapped),
        "TensorDataset, 8 workers, pinned": pinned(
            DataLoader(TensorDataset(whole), shuffle=True, **workers)
        ),
    }


def _tensor(batch: Any) -> Any:
    return batch[0] if isinstance(batch, list | tuple) else batch


def _epoch(feed: Feed, number: int, array: NDArray[np.uint8]) -> float:
    """Draw an epoch, see that all of it came, and give its records a second."""
    import torch

    torch.cuda.synchronize()
    start, count = time.perf_counter(), 0
    total = torch.zeros((), dtype=torch.int64, device="cuda")
    for batch in feed(number):
        total += batch.sum(dtype=torch.int64)
        count += len(batch)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    if count != len(array) or int(total) != int(array.sum(dtype=np.int64)):
        raise ValueError(f"an epoch gave {count} records whose sum is not right")
    return len(array) / seconds
