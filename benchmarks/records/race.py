"""Contenders, each in a process of its own, taking turns."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Figures
from benchmarks.records.contenders import CONTENDERS

_REPOSITORY = Path(__file__).parents[2]
_PATIENCE = 300  # seconds for one answer


class FailedError(Exception):
    """A contender did not do what it was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a race runs: its scratch directory, and where the environments are.

    ``worker`` is the module that the ``contenders`` run in, ``peers`` the environment in the place
    of bench-peers.
    """

    scratch: Path
    environments: Path
    worker: str = "benchmarks.records.worker"
    peers: str = "bench-peers"
    contenders: Mapping[str, Any] = field(default_factory=lambda: CONTENDERS)

    @property
    def source(self) -> Path:
        """Where the records are that all contenders are given."""
        return self.scratch / "source"

    def python(self, environment: str) -> Path:
        """Give an environment's interpreter; ours is the one that runs this."""
        if environment == "ours":
            return Path(sys.executable)
        environment = self.peers if environment == "bench-peers" else environment
        return self.environments / environment / "bin" / "python"


class Runner:
    """A worker process of one contender."""

    def __init__(self, name: str, place: Place, home: Path) -> None:
        self.name, contender = name, place.contenders[name]
        python = place.python(contender.environment)
        if not python.exists():
            named = python.parents[1].name
            raise FailedError(f"no environment {named}: see environments.sh")
        self._log = (place.scratch / f"{name.replace(' ', '-')}.log").open("a+")
        self._process = subprocess.Popen(
            [python, "-m", place.worker, name, place.source, home],
            cwd=_REPOSITORY,
            env=_environment(contender.environment, place.scratch),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        try:
            loaded = self.ask("load")
        except FailedError:
            self.end()
            raise
        self.versions: dict[str, str] = loaded["versions"]
        self.memory: dict[str, int] = loaded["memory"]  # before it opens anything

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """Have a command done and give its answer."""
        clock = threading.Timer(_PATIENCE, self._kill)
        clock.start()
        try:
            self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            late = not clock.is_alive()
            clock.cancel()
        if not line:
            raise FailedError(f"no answer in {_PATIENCE} s" if late else self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return f"ended with {code}: {lines[-1][:160] if lines else ''}"

    def _kill(self) -> None:
        # With the processes that it started: pools outlive what made them.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Let the process end, and see that it does."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._kill()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()


def _environment(name: str, scratch: Path) -> dict[str, str]:
    """Keep haversack out of the peers' processes, their caches out of the user's home."""
    found = {**os.environ, "HF_HOME": str(scratch / "hf"), "HF_HUB_OFFLINE": "1"}
    found["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    if name != "ours":
        found.pop("PYTHONPATH", None)
    return found


class Race:
    """Some contenders over one set of records; what they find goes into ``figures``."""

    def __init__(self, place: Place, names: Iterable[str], figures: Figures) -> None:
        self.place, self.names, self.figures = place, list(names), figures
        self.versions: dict[str, dict[str, str]] = {}

    def home(self, name: str) -> Path:
        """Name the directory of what a contender built."""
        return self.place.scratch / f"{name.strip('.').replace(' ', '-')}.home"

    @contextmanager
    def runner(self, name: str) -> Iterator[Runner]:
        """Start a contender's process for a while."""
        runner = Runner(name, self.place, self.home(name))
        self.versions[name] = runner.versions
        try:
            yield runner
        finally:
            runner.end()

    @contextmanager
    def turn(self, name: str, *what: str) -> Iterator[None]:
        """Let a contender fail: that is noted instead of the figures that it would have given."""
        try:
            yield
        except FailedError as error:
            for each in what:
                self.figures.fail(each, name, str(error))

    def failed(self, name: str, what: str) -> bool:
        return self.figures.reason(what, name) is not None
