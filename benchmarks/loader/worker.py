"""One contender in a process of its own, as in :mod:`benchmarks.records.worker`, drawing epochs."""

import multiprocessing
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loader.feeds import LOADER, feed
from benchmarks.records import cache
from benchmarks.records.contenders.contender import NotOfferedError, WrongError
from benchmarks.records.sets import words
from benchmarks.records.worker import Worker, of_records, serve


class Drawer(Worker):
    """The commands of the loader's suite."""

    def draw(self, way: str, size: int, seconds: float) -> dict[str, float]:
        """Draw an epoch that is checked, then epochs for a while.

        CPU is that of all epochs and processes; memory is what these hold when the last one ends.
        """
        if way != LOADER:
            _import_torch()
        before, start = _cpu(), time.perf_counter()
        batches = feed(self._contender, self._source.home, way, size)
        total, first, records = 0, 0.0, 0
        for batch in batches:
            first = first or time.perf_counter() - start
            total += words(np.asarray(batch))
            records += len(batch)
            del batch
        if records != len(self._source) or total % (1 << 64) != self._source.checksum:
            raise WrongError(f"an epoch of {records} records is not what was put in")
        drawn, spent = _drain(batches, seconds)
        held = _held()
        del batches  # its workers end, and their CPU is known
        cpu = _cpu() - before
        return {
            "rate": drawn / spent,
            "first": first * 1e3,
            "cpu": cpu * 1e6 / (records + drawn),
            "held": held / 1e6,
        }

    def once(self, way: str, size: int) -> dict[str, float]:
        """Draw one epoch of files that are not in the page cache."""
        if way != LOADER:
            _import_torch()
        if (share := cache.drop(self._contender.home)) > 0.05:
            raise NotOfferedError(f"{share:.0%} of its pages stayed in the page cache")
        start = time.perf_counter()
        records = sum(len(b) for b in feed(self._contender, self._source.home, way, size))
        return {"rate": records / (time.perf_counter() - start)}


def _drain(batches: Iterable[Any], seconds: float) -> tuple[int, float]:
    drawn, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        for batch in batches:
            drawn += len(batch)
            del batch  # as a training loop lets go of it
    return drawn, spent


def _import_torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise NotOfferedError("no torch here (make test-torch installs it beside ours)") from None


def _cpu() -> float:
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


def _held() -> int:
    """Add up the memory of this process and its workers; what they share is counted once."""
    total = 0
    for process in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in ("Pss_Anon", "Pss_Shmem"):
                total += int(rest.split()[0]) * 1024
    return total


if __name__ == "__main__":
    serve(of_records(Drawer))
