"""One contender in a process of its own: ``python -m benchmarks.records.worker NAME SOURCE HOME``.

It takes one JSON request a line, ``{"do": name, ...}``, and answers with one line each: what the
command found, or ``{"error": why}``.
"""

import gc
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import memory
from benchmarks.records import cache
from benchmarks.records.contenders import CONTENDERS
from benchmarks.records.contenders.contender import Contender, NotOfferedError, WrongError
from benchmarks.records.sets import load, words

_CHECKED = 64  # records compared with the source, spread over all
_AT_ONCE = 32  # single reads between two looks at the clock


class Worker:
    """The commands; each public method is one."""

    def __init__(self, contender: Contender) -> None:
        self._contender, self._source = contender, contender.source
        self._turn = 0

    def load(self) -> dict[str, Any]:
        """Import what the contender needs."""
        found = versions(self._contender.packages)
        self._contender.load()
        return {"versions": found, "memory": memory()}

    def build(self, index_alone: bool = False) -> dict[str, float]:
        """Build anew, or only what opening needs."""
        self._contender.load_to_write()
        shutil.rmtree(self._contender.home, ignore_errors=True)
        os.sync()  # what others have not yet written must not hold this one up
        work = self._contender.build_index if index_alone else self._contender.build
        return {"seconds": _seconds(work)}

    def build_by(self, workers: int) -> dict[str, float]:
        """Build beside it in several processes, started before the clock; compare, and remove."""
        home = self._contender.home.with_name(self._contender.home.name + "-by-several")
        contender = type(self._contender)(self._source, home)
        if not contender.has_many_writers():
            raise NotOfferedError("one process writes")
        try:
            with ProcessPoolExecutor(workers, get_context("spawn")) as executor:
                list(executor.map(_started, [contender.name] * workers * 2))
                os.sync()
                seconds = _seconds(lambda: contender.build_by(executor, workers))
            contender.open()
            Worker(contender).check(8)
            contender.close()
        finally:
            shutil.rmtree(home, ignore_errors=True)
        return {"seconds": seconds}

    def open(self) -> dict[str, Any]:
        """Open and read one record; tell what memory that took."""
        before = memory()
        index, start = len(self._source) * 2 // 3, time.perf_counter()
        self._contender.open()
        opened = time.perf_counter()
        record = np.array(self._contender.get(index))
        first = time.perf_counter()
        after = memory()
        self._compare(index, record)
        grown = {name: after[name] - before[name] for name in after}
        return {"opened": opened - start, "first": first - start, "grown": grown}

    def touch(self, count: int) -> dict[str, Any]:
        """Read so many records, spread over all; tell the time and all memory after it."""
        indices = np.linspace(0, len(self._source) - 1, count).astype(int).tolist()
        start = time.perf_counter()
        for index in indices:
            self._contender.get(index)
        return {"seconds": time.perf_counter() - start, **memory()}

    def check(self, batch: int) -> dict[str, Any]:
        """Compare records and a batch with the source."""
        spread = np.linspace(0, len(self._source) - 1, _CHECKED).astype(int).tolist()
        for index in spread:
            self._compare(index, self._contender.get(index))
        indices = np.random.default_rng(1).integers(0, len(self._source), batch)
        for index, found in zip(
            indices.tolist(), self._contender.batch(indices, self._out(batch)), strict=True
        ):
            self._compare(index, found)
        return {}

    def _compare(self, index: int, found: np.ndarray) -> None:
        wanted = self._source[index]
        if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
            raise WrongError(f"record {index} is {found.dtype}{list(found.shape)}")
        if not np.array_equal(found, wanted):
            raise WrongError(f"record {index} has other values")

    def single(self, seconds: float, once: bool) -> dict[str, float]:
        """Read records one by one, each into memory of the caller's."""
        get, out = self._contender.get, np.empty(self._source.shape, self._source.dtype)

        def alike(indices: list[int]) -> int:
            for index in indices:
                out[...] = get(index)
            return len(indices)

        def ragged(indices: list[int]) -> int:
            for index in indices:
                get(index).copy()
            return len(indices)

        parts = (part.tolist() for part in self._choices(_AT_ONCE, once))
        return {"rate": _rate(ragged if self._source.ragged else alike, parts, seconds)}

    def batch(self, size: int, seconds: float, once: bool) -> dict[str, float]:
        """Read batches of random records into one array; of ragged ones, a list of copies."""
        return {"rate": self._batches(size, seconds, once), "private": memory()["private"]}

    def _batches(self, size: int, seconds: float, once: bool) -> float:
        out = self._out(size)

        def one(indices: np.ndarray) -> int:
            return len(self._contender.batch(indices, None if out is None else out[: len(indices)]))

        return _rate(one, self._choices(size, once), seconds)

    def scan(self, seconds: float) -> dict[str, float]:
        """Read all in order and add up what is read, in bytes a second; compare a whole pass."""
        total, done, start = 0, 0, time.perf_counter()
        for array in self._contender.scan():
            total += words(array)
            done += array.nbytes
            if (spent := time.perf_counter() - start) > seconds:
                break
        else:
            spent = time.perf_counter() - start
        if done == self._source.nbytes and total % (1 << 64) != self._source.checksum:
            raise WrongError("what a scan gives is not what was put in")
        return {"rate": done / spent}

    def epochs(self, size: int, threads: int, seconds: float) -> dict[str, float]:
        """Draw shuffled batches of whole epochs."""

        def one(_: int) -> int:
            return sum(len(array) for array in self._contender.epoch(size, threads))

        return {"rate": _rate(one, iter(range(1 << 30)), seconds)}

    def verify(self) -> dict[str, float]:
        """Have everything checked, in bytes a second."""
        bytes_, _ = cache.size(self._contender.home)
        return {"rate": bytes_ / _seconds(self._contender.verify)}

    def append(self, seconds: float) -> dict[str, float]:
        """Make a dataset by single durable appends; the first, which makes it, is not timed."""
        append, done = self._contender.appender(), 1
        append(self._source[0])

        def one(index: int) -> int:
            nonlocal done
            append(self._source[index])
            done += 1
            return 1

        rate = _rate(one, iter(range(1, len(self._source))), seconds)
        if (found := self._contender.appended()) != done:
            raise WrongError(f"{found} records after {done} appends")
        return {"rate": rate}

    def drop(self) -> dict[str, float]:
        """Have the page cache drop the files, which must be closed."""
        return {"held": cache.drop(self._contender.home)}

    def warm(self) -> dict[str, Any]:
        cache.warm(self._contender.home)
        return {}

    def close(self) -> dict[str, Any]:
        self._contender.close()
        self._contender = type(self._contender)(self._source, self._contender.home)
        gc.collect()
        return {}

    def _out(self, size: int) -> np.ndarray | None:
        return (
            None
            if self._source.ragged
            else np.empty((size, *self._source.shape), self._source.dtype)
        )

    def _choices(self, size: int, once: bool) -> Iterator[np.ndarray]:
        """Choose random records; with ``once`` each at most once, until there are no more."""
        self._turn += 1
        rng, count = np.random.default_rng(self._turn), len(self._source)
        if once:
            order = rng.permutation(count)
            yield from (order[start : start + size] for start in range(0, count, size))
            return
        some = [rng.integers(0, count, size) for _ in range(64)]
        while True:
            yield from some


def _rate(work: Callable[[Any], int], parts: Iterator[Any], seconds: float) -> float:
    done, spent, start = 0, 0.0, time.perf_counter()
    for part in parts:
        done += work(part)
        if (spent := time.perf_counter() - start) > seconds:
            break
    return done / spent


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _started(name: str) -> None:
    """Be there, with the contender's code; long enough that every process gets one such call."""
    CONTENDERS[name].load_to_write()
    time.sleep(0.2)


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Tell the versions of packages that a contender needs, and of numpy."""
    found = {"numpy": np.__version__}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            raise NotOfferedError(f"{package} is not installed") from None
    return found


def _answer(worker: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return getattr(worker, request.pop("do"))(**request)
    except NotOfferedError as error:
        return {"error": str(error)}
    except WrongError as error:
        return {"error": f"WRONG: {error}"}
    except Exception as error:  # noqa: BLE001 (whatever a peer raises is its row in the table)
        text = str(error).strip().splitlines()
        return {"error": f"{type(error).__name__}: {text[0] if text else ''}"[:200]}


def serve(start: Callable[[str, Path, Path], Any]) -> None:
    """Take requests until there are no more; ``start`` makes of arguments what does them."""
    name, source, home = sys.argv[1:]
    # What contenders print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = start(name, Path(source), Path(home))
    for line in sys.stdin:
        print(json.dumps(_answer(worker, json.loads(line))), file=answers, flush=True)


def of_records(kind: type[Worker]) -> Callable[[str, Path, Path], Worker]:
    """Make what starts a worker over records."""
    return lambda name, source, home: kind(CONTENDERS[name](load(source), home))


if __name__ == "__main__":
    serve(of_records(Worker))
