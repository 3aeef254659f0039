"""Directories in memory where scenarios run, and the checks of what they leave there."""

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .check import check, problems
from .tracer import run

BATCH = 100
_MEMORY = "/dev/shm"  # where a sync costs nothing


@dataclass
class Tally:
    """How many points there were of each kind, and what went wrong at which."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other):
        self.counts += other.counts
        self.wrong += other.wrong


class Place:
    """A directory with one below it for each run; all is gone at the end."""

    def __enter__(self):
        memory = _MEMORY if os.path.isdir(_MEMORY) else None
        self._path = Path(tempfile.mkdtemp(prefix="haversack-crash-", dir=memory)).resolve()
        self._count = 0
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._path)

    def new(self, scenario=None):
        """Make the directory in which a scenario is about to run, with what it begins with."""
        self._count += 1
        root = self._path / str(self._count)
        root.mkdir()
        if scenario is not None and scenario.prepare is not None:
            run([partial(scenario.prepare, root / "ds")], root)
        return root

    def check(self, cases, tally, *, torn):
        """Check what is in some directories: (name of the point, scenario, root, what was said)."""
        found = problems(
            [partial(check, root / "ds", one, said, torn=torn) for _, one, root, said in cases]
        )
        for (name, _, root, _), problem in zip(cases, found, strict=True):
            if problem is not None:
                tally.wrong.append(f"{name}: {problem}")
            shutil.rmtree(root)

    def check_states(self, name, scenario, states, tally):
        """Check (files, what was said) that power cuts left."""
        folder = self.new()
        for begin in range(0, len(states), BATCH):
            batch = states[begin : begin + BATCH]
            cases = [partial(_check_state, folder, scenario, *state) for state in batch]
            for (files, said), problem in zip(batch, problems(cases), strict=True):
                if problem is not None:
                    sizes = {
                        path: -1 if data is None else len(data) for path, data in files.items()
                    }
                    tally.wrong.append(f"{name} after {said}, leaving {sizes}: {problem}")


def _check_state(folder, scenario, files, said):
    root = Path(tempfile.mkdtemp(dir=folder))
    for name, content in files.items():
        if content is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(content)
    check(root / "ds", scenario, said, torn=True)
    shutil.rmtree(root)
