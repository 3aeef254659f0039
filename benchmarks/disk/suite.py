"""How adding and loading grow with the number of images, from a thousand to a million."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.disk.plot import draw
from benchmarks.disk.stores import STORES
from benchmarks.figures import Figures
from benchmarks.report import missing, number, plain, table

_REPOSITORY = Path(__file__).parents[2]
_PLOT = Path("build/bench/disk.png")
BULK, ADD, LOAD, FIRST, BYTES = (
    "images/s added in bulk",
    "images/s added one by one",
    "images/s loaded by key",
    "ms to the first image",
    "bytes on disk for each image",
)


class Suite:
    """One run over scratch space; ``environments`` is the directory that the peers' are in."""

    def __init__(self, scratch: Path, environments: Path, *, quick: bool) -> None:
        self._scratch, self._environments = scratch, environments
        self._counts = [10**3, 10**4] if quick else [10**3, 10**4, 10**5, 10**6]
        self._singles, self._seconds, self._rounds = (1000, 1.0, 1) if quick else (10_000, 10.0, 3)
        self._patience = 30 if quick else 300  # seconds for one task
        self._figures = {what: Figures(what) for what in (BULK, ADD, LOAD, FIRST, BYTES)}
        self._versions: dict[str, dict[str, str]] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything, and give all raw figures."""
        beaten: set[str] = set()
        for count in self._counts:
            there = [name for name in STORES if name not in beaten and self._build(name, count)]
            beaten = set(STORES) - set(there)
            for _ in range(self._rounds):
                for name in there:
                    self._load(name, count)
            for name in STORES:
                shutil.rmtree(self._home(name), ignore_errors=True)
        columns = [number(count) for count in self._counts]
        for what, figures in self._figures.items():
            print(table(figures, what, list(STORES), columns, plain))
        print(missing(self._figures[BULK]))
        if draw(_PLOT, {what: self._figures[what] for what in (LOAD, ADD)}, self._counts):
            print(f"drawn in {_PLOT}")
        return {
            "versions": self._versions,
            "tables": {what: figures.plain() for what, figures in self._figures.items()},
        }

    def _build(self, name: str, count: int) -> bool:
        """Add so many at once, then some one by one; say whether they are there."""
        column = number(count)
        try:
            found = self._ask(name, "bulk", count)
            self._figures[BULK].add(column, name, found["rate"])
            self._figures[BYTES].add(column, name, _allocated(self._home(name)) / count)
            found = self._ask(name, "add", self._singles)
            self._figures[ADD].add(column, name, found["rate"])
        except subprocess.SubprocessError as error:
            self._figures[BULK].fail(column, name, _why(error))
            return False
        return True

    def _load(self, name: str, count: int) -> None:
        found = self._ask(name, "load", count)
        self._figures[LOAD].add(number(count), name, found["rate"])
        self._figures[FIRST].add(number(count), name, found["first"])

    def _ask(self, name: str, task: str, count: int) -> dict[str, Any]:
        """Have a process of its own do a task."""
        environment, store = {**os.environ}, STORES[name]
        python = Path(sys.executable)
        if store.environment != "ours":
            python = self._environments / store.environment / "bin" / "python"
            environment.pop("PYTHONPATH", None)
        if not python.exists():
            raise subprocess.SubprocessError(
                f"no environment {store.environment}: see environments.sh"
            )
        os.sync()  # what others have not yet written must not hold this one up
        done = subprocess.run(
            [
                *(python, "-W", "ignore", "-m", "benchmarks.disk.worker"),
                *(name, self._home(name), task, str(count), str(self._seconds)),
            ],
            cwd=_REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=self._patience,
            check=True,
        )
        found = json.loads(done.stdout)
        self._versions[name] = found["versions"]
        return found

    def _home(self, name: str) -> Path:
        return self._scratch / name.strip(".").replace(" ", "-")


def _allocated(home: Path) -> int:
    """Give the bytes that all files and folders take."""
    return sum(path.lstat().st_blocks * 512 for path in home.rglob("*"))


def _why(error: subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"more than {error.timeout:.0f} s"
    words = (getattr(error, "stderr", None) or "").strip().splitlines()
    return words[-1][:160] if words else str(error)[:160]
