"""Many small arrays: batches, single reads and builds, beside a memmap, the limit, and files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import haversack
from benchmarks.table import Row, once, speeds

SETS = {
    "784 B": (20_000, (28, 28), np.uint8),
    "12 kB": (10_000, (3, 64, 64), np.uint8),
    "600 kB": (500, (12, 160, 160), np.uint16),
}
BATCH = 256


def run(directory: Path) -> Iterator[Row]:
    for name, (count, shape, dtype) in SETS.items():
        yield from _one_set(directory / name.replace(" ", ""), name, count, shape, dtype)


def _one_set(directory: Path, name: str, count: int, shape: tuple, dtype: type) -> Iterator[Row]:
    directory.mkdir()
    rng = np.random.default_rng(0)
    data = rng.integers(0, 200, (count, *shape)).astype(dtype)
    yield Row(f"build, {name}", "records/s", _build(directory, data))
    memmap = np.load(directory / "memmap.npy", mmap_mode="r")
    with haversack.open(directory / "packed") as packed:
        assert np.array_equal(packed.take(range(count)), data)
        yield Row(f"batches of {BATCH}, {name}, warm", "records/s", _batches(memmap, packed, rng))
        yield Row(
            f"single reads, {name}, warm", "records/s", _singles(directory, memmap, packed, rng)
        )


def _build(directory: Path, data: np.ndarray) -> dict[str, float]:
    def memmap() -> None:
        np.save(directory / "memmap.npy", data)

    def packed() -> None:
        with haversack.PackWriter(directory / "packed") as writer:
            for array in data:
                writer.append(array)

    def files() -> None:
        for number, array in enumerate(data):
            np.save(directory / f"{number}.npy", array)

    return {work.__name__: len(data) / once(work) for work in (memmap, packed, files)}


def _batches(memmap: np.ndarray, packed: haversack.PackedDataset, rng: np.random.Generator) -> dict:
    choices = [rng.integers(0, len(memmap), BATCH) for _ in range(64)]
    turn = iter(range(1 << 60))

    def from_memmap() -> int:
        return len(memmap.take(choices[next(turn) % 64], axis=0))

    def from_packed() -> int:
        return len(packed.take(choices[next(turn) % 64]))

    return speeds({"memmap": from_memmap, "haversack": from_packed})


def _singles(
    directory: Path, memmap: np.ndarray, packed: haversack.PackedDataset, rng: np.random.Generator
) -> dict[str, float]:
    choices = rng.integers(0, len(memmap), 1000).tolist()
    out = np.empty(memmap.shape[1:], memmap.dtype)

    def from_memmap() -> int:
        for choice in choices:
            out[...] = memmap[choice]
        return len(choices)

    def from_packed() -> int:
        for choice in choices:
            out[...] = packed[choice].data
        return len(choices)

    def from_files() -> int:
        for choice in choices:
            out[...] = np.load(directory / f"{choice}.npy")
        return len(choices)

    return speeds({"memmap": from_memmap, "haversack": from_packed, "npy files": from_files})
