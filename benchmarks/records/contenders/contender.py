"""What a contender is: one way to keep records."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.records.sets import Source

Batch = list[np.ndarray] | np.ndarray


class NotOfferedError(Exception):
    """A contender has nothing like this; the message says why."""


class WrongError(Exception):
    """A contender gave something that was not put into it."""


class Contender:
    """One way to keep records; heavy imports wait until a method needs them.

    ``environment`` is where its packages are (ours, or one of environments.sh); ``packages`` are
    the distributions whose versions the report names; ``modules`` are imported before any clock
    starts, ``writing`` before a build.
    """

    name: ClassVar[str]
    environment: ClassVar[str] = "ours"
    packages: ClassVar[tuple[str, ...]] = ()
    modules: ClassVar[tuple[str, ...]] = ()
    writing: ClassVar[tuple[str, ...]] = ()
    block_bytes: ClassVar[int] = 1 << 22

    def __init__(self, source: Source, home: Path) -> None:
        self.source, self.home = source, home

    @classmethod
    def load(cls) -> None:
        """Import what reading needs."""
        for module in cls.modules:
            import_module(module)

    @classmethod
    def load_to_write(cls) -> None:
        """Import what building needs too."""
        cls.load()
        for module in cls.writing:
            import_module(module)

    # Building: in one go, or in shares that may be written at once and are then joined.

    def build(self) -> None:
        self.begin()
        self.join([self.share(range(len(self.source)), 0)])

    @classmethod
    def has_many_writers(cls) -> bool:
        """Say whether several processes can build it."""
        return cls.share is not Contender.share or cls.build_by is not Contender.build_by

    def build_by(self, executor: Executor, workers: int) -> None:
        """Build in several processes, which are started."""
        self.begin()
        bounds = [len(self.source) * number // workers for number in range(workers + 1)]
        rows = [range(*pair) for pair in pairwise(bounds)]
        self.join(list(executor.map(self.share, rows, range(workers))))

    def begin(self) -> None:
        self.home.mkdir()

    def share(self, rows: range, number: int) -> Any:
        """Write some of the records, in whatever process; what it gives goes to ``join``."""
        raise NotImplementedError

    def join(self, shares: list[Any]) -> None:
        """Make one of what the shares wrote."""

    def build_index(self) -> None:
        """Build of many tiny records of zeros what opening needs."""
        self.build()

    # Reading. A record may be a view; a batch of uniform records fills ``out``.

    def open(self) -> None:
        raise NotImplementedError

    def get(self, index: int) -> np.ndarray:
        raise NotImplementedError

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        if out is None:
            return [_own(self.get(index)) for index in indices.tolist()]
        for slot, index in enumerate(indices.tolist()):
            out[slot] = self.get(index)
        return out

    def scan(self) -> Iterator[np.ndarray]:
        """Yield all records in order, one by one or stacked."""
        return map(self.get, range(len(self.source)))

    def close(self) -> None:
        """Let go of all files; forgetting the contender must do the same."""

    # What few offer.

    def epoch(self, size: int, threads: int) -> Iterator[np.ndarray]:
        """Yield all records in batches, in an order drawn anew; in so many threads besides."""
        raise NotOfferedError("it draws no batches")

    def verify(self) -> None:
        """Read everything and raise if anything is damaged."""
        raise NotOfferedError("it checks nothing")

    def appender(self) -> Callable[[np.ndarray], None]:
        """Give a function that makes one record durable."""
        raise NotOfferedError("no durable append")

    def appended(self) -> int:
        """Count, opened anew, what was appended."""
        raise NotImplementedError

    def blocks(self, rows: range | None = None) -> Iterator[range]:
        """Cut rows into blocks of about ``block_bytes``, for contenders that take many at once."""
        rows = range(len(self.source)) if rows is None else rows
        size = max(1, self.block_bytes * len(self.source) // self.source.nbytes)
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def array(self, data: object) -> np.ndarray:
        """View the bytes of a record as the array that it is."""
        return np.frombuffer(data, self.source.dtype).reshape(-1, *self.source.shape[1:])


def _own(array: np.ndarray) -> np.ndarray:
    return array if array.base is None else array.copy()


def stacked(arrays: Iterable[np.ndarray], out: np.ndarray | None) -> Batch:
    """Put records, or stacks of them, into ``out``; without it, list copies of them."""
    if out is None:
        return [array.copy() for array in arrays]
    slot, single = 0, out.ndim - 1
    for array in arrays:
        count = 1 if array.ndim == single else len(array)
        out[slot : slot + count] = array
        slot += count
    return out
