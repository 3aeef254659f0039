"""The records that are measured: three sizes, all alike or ragged, made from a seed."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

_BLOCK = 1 << 24  # elements made at once
_PERIOD = 16  # of the lengths of ragged zeros; it divides the rows of a chunk that is repeated


@dataclass(frozen=True, slots=True)
class Set:
    """So many records; of ragged ones ``shape`` is the mean, and the first axis differs.

    ``batches`` are the sizes of warm batches; the first is that of cold ones too.
    """

    name: str
    count: int
    shape: tuple[int, ...]
    dtype: str
    batches: tuple[int, ...] = (256,)
    ragged: bool = False

    @property
    def title(self) -> str:
        return f"{self.name} x {self.count:,}, {'ragged' if self.ragged else 'uniform'}"


SETS = (
    Set("784 B", 60_000, (28, 28), "|u1"),
    Set("12 kB", 20_000, (64, 64, 3), "|u1"),
    Set("600 kB", 1_000, (160, 160, 12), "<u2", (32, 256)),
)


def smaller(chosen: Set) -> Set:
    """Give a tenth of a set's records, for a quick look."""
    count = max(chosen.count // 10, 256)
    return replace(chosen, count=count)


class Source:
    """The records of a set, mapped from where :func:`make` wrote them; pickled as a path."""

    def __init__(self, home: Path, spec: dict[str, Any]) -> None:
        self.home, self.spec = home, spec
        self.count, self.ragged, self.checksum = spec["count"], spec["ragged"], spec["checksum"]
        self.dtype, self.shape = np.dtype(spec["dtype"]), tuple(spec["shape"])
        self.flat = np.memmap(home / "data.bin", self.dtype, mode="r").view(np.ndarray)
        self.starts = np.load(home / "starts.npy") if self.ragged else None
        self._rows = None if self.ragged else self.flat.reshape(self.count, *self.shape)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        if self._rows is not None:
            return self._rows[index]
        return self.flat[self.starts[index] : self.starts[index + 1]].reshape(-1, *self.shape[1:])

    @property
    def nbytes(self) -> int:
        return self.flat.nbytes

    def first_element(self, index: int) -> int:
        """Say where a record begins in the flat data, in elements."""
        return index * math.prod(self.shape) if self.starts is None else int(self.starts[index])

    def __reduce__(self) -> tuple:
        return Source, (self.home, self.spec)


class Zeros:
    """Like a Source, but no file: any number of records of zeros, for what an index costs alone.

    Ragged ones have a pattern of lengths that repeats.
    """

    checksum = 0

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.count, self.ragged = spec["count"], spec["ragged"]
        self.dtype, self.shape = np.dtype(spec["dtype"]), tuple(spec["shape"])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        mean, rest = self.shape[0], self.shape[1:]
        length = mean - 8 + index % _PERIOD if self.ragged else mean
        return np.zeros((length, *rest), self.dtype)

    @property
    def nbytes(self) -> int:
        """The size, of ragged records about."""
        return self.count * math.prod(self.shape) * self.dtype.itemsize

    def first_element(self, index: int) -> int:
        return index * math.prod(self.shape)

    def __reduce__(self) -> tuple:
        return Zeros, (self.spec,)


def load(home: Path) -> Source | Zeros:
    """Open the records that were made under ``home``."""
    spec = json.loads((home / "spec.json").read_text())
    return Source(home, spec) if (home / "data.bin").exists() else Zeros(spec)


def make(chosen: Set, home: Path) -> None:
    """Write a set's records under ``home``."""
    home.mkdir(parents=True)
    rng = np.random.default_rng(0)
    total = chosen.count * math.prod(chosen.shape)
    if chosen.ragged:
        starts = _starts(chosen, rng)
        np.save(home / "starts.npy", starts)
        total = int(starts[-1])
    checksum = 0
    with (home / "data.bin").open("wb") as file:
        for start in range(0, total, _BLOCK):
            size = min(_BLOCK, total - start)
            block = rng.integers(0, 200, size, np.dtype(chosen.dtype))
            checksum += words(block)
            file.write(block)
    _write_spec(chosen, home, checksum % (1 << 64))


def make_zeros(chosen: Set, home: Path) -> None:
    """Write down what records of zeros there are to be."""
    home.mkdir(parents=True)
    _write_spec(chosen, home, 0)


def _write_spec(chosen: Set, home: Path, checksum: int) -> None:
    spec = {
        "count": chosen.count,
        "shape": chosen.shape,
        "dtype": chosen.dtype,
        "ragged": chosen.ragged,
        "checksum": checksum,
    }
    (home / "spec.json").write_text(json.dumps(spec))


def _starts(chosen: Set, rng: np.random.Generator) -> np.ndarray:
    """Draw lengths of the first axis: even, so that every record is a number of whole words."""
    mean = chosen.shape[0]
    lengths = rng.integers(mean // 4, mean * 3 // 4, chosen.count, endpoint=True) * 2
    return np.concatenate([[0], np.cumsum(lengths * math.prod(chosen.shape[1:]))])


def words(array: np.ndarray) -> int:
    """Add up the 8-byte words of an array: what a scan does with what it reads."""
    return int(np.add.reduce(np.ascontiguousarray(array).reshape(-1).view("<u8")))
