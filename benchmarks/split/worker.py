"""One contender in a process of its own, answering as :mod:`benchmarks.records.worker` does."""

import gc
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import memory, resident
from benchmarks.records import cache
from benchmarks.records.contenders.contender import NotOfferedError, WrongError
from benchmarks.records.worker import serve, versions
from benchmarks.split.contenders import CONTENDERS
from benchmarks.split.contenders.contender import Contender
from benchmarks.split.reads import AT_ONCE, FULL, READS, Index, Plan, plan
from benchmarks.split.volume import Source

_FEW = 2  # places of each kind of read that are compared with the source


class Worker:
    """The commands; each public method is one."""

    def __init__(self, contender: Contender) -> None:
        self._contender, self._source = contender, contender.source
        self._private = self._resident = 0  # bytes of this process before it opened anything

    def load(self) -> dict[str, Any]:
        """Import what the contender needs."""
        found = versions(self._contender.packages)
        self._contender.load()
        self._private, self._resident = memory()["private"], resident()
        return {"versions": found, "memory": memory()}

    def write(self) -> dict[str, float]:
        """Write anew; tell when the call was over, and when all was on the disk."""
        shutil.rmtree(self._contender.home, ignore_errors=True)
        cache.warm(self._source.home)
        os.sync()  # what others have not yet written must not hold this one up
        start = time.perf_counter()
        self._contender.write()
        written = time.perf_counter() - start
        os.sync()
        return {"seconds": written, "synced": time.perf_counter() - start}

    def open(self) -> dict[str, float]:
        """Open and read one element."""
        shape = self._source.recording.shape
        index = tuple(length * 2 // 3 for length in shape)
        start = time.perf_counter()
        self._contender.open()
        found = self._contender.read(index)
        spent = time.perf_counter() - start
        self._compare(index, found)
        return {"ms": spent * 1e3}

    def check(self) -> dict[str, Any]:
        """Compare reads of every kind, and the whole, with the source."""
        for what in READS:
            places = self._plan(what, _FEW, seed=0).places
            try:
                for index, found in zip(places, self._each(what, places), strict=True):
                    self._compare(index, found)
            except NotOfferedError:
                continue
        return {}

    def _compare(self, index: Index, found: np.ndarray) -> None:
        wanted = np.asarray(self._source.data[index])
        if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
            raise WrongError(f"{index} is {found.dtype}{list(found.shape)}")
        if not np.array_equal(found, wanted):
            raise WrongError(f"{index} has other values")

    def read(self, what: str, count: int, seed: int) -> dict[str, float]:
        """Read at so many places; tell the time of one, or of all where they belong together."""
        chosen = self._plan(what, count, seed)
        start = time.perf_counter()
        for _ in self._each(what, chosen.places):
            pass
        spent = time.perf_counter() - start
        return {"ms": spent * 1e3 / (1 if chosen.together else len(chosen.places))}

    def _plan(self, what: str, count: int, seed: int) -> Plan:
        return plan(what, self._source.recording.shape, count, seed)

    def _each(self, what: str, places: Sequence[Index]) -> Iterator[np.ndarray]:
        if what == AT_ONCE:
            return iter(self._contender.read_all(places))
        return map(self._contender.read, places)

    def held(self) -> dict[str, float]:
        """Tell the memory held after reads, and the most during a full one beside its result."""
        gc.collect()
        private = memory()["private"] - self._private
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        (index,) = self._plan(FULL, 1, seed=0).places
        found = self._contender.read(index)
        peak = resident(most=True) - self._resident - found.nbytes
        return {"held": private / 1e6, "peak": peak / 1e6}

    def size(self) -> dict[str, float]:
        bytes_, files = cache.size(self._contender.home)
        return {"bytes": bytes_, "files": files}

    def drop(self) -> dict[str, float]:
        """Have the page cache drop the files, which must not be open."""
        return {"held": cache.drop(self._contender.home)}

    def chill(self) -> dict[str, float]:
        """Close, have the page cache drop the files, and open again; nothing is read."""
        self._contender.close()
        self._contender = type(self._contender)(self._source, self._contender.home)
        gc.collect()
        found = self.drop()
        self._contender.open()
        return found

    def warm(self) -> dict[str, Any]:
        cache.warm(self._contender.home)
        return {}


def _start(name: str, source: Path, home: Path) -> Worker:
    return Worker(CONTENDERS[name](Source(source), home))


if __name__ == "__main__":
    serve(_start)
