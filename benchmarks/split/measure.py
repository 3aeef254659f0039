"""Measure one recording: write, then warm reads in rounds, then cold ones; and what opening costs.

Contenders over another's files do not write.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records.race import FailedError, Race, Runner
from benchmarks.split.contenders import CONTENDERS
from benchmarks.split.reads import AT_ONCE, CROP, FULL, PLANE, READS, SMALL, TRACE, Z_PLANE

WRITE, SYNCED, BYTES, FILES = "write s", "and synced s", "disk MB", "files"
HELD, PEAK = "private MB", "full read MB"
OPEN, COLD_OPEN = "open ms", "cold open ms"
_COUNTS = {PLANE: 7, Z_PLANE: 3, TRACE: 9, CROP: 9, SMALL: 1, AT_ONCE: 1, FULL: 1}
_FEW = (PLANE, Z_PLANE, TRACE, CROP, SMALL)  # before memory is looked at
_MOST_HELD = 0.05


def cold(what: str) -> str:
    """Name the figure of a cold read."""
    return f"cold {what}"


COLD = tuple(map(cold, READS))


@dataclass(frozen=True, slots=True)
class Effort:
    """Rounds of turns."""

    writes: int = 2
    rounds: int = 3
    cold_rounds: int = 3


QUICK = Effort(writes=1, rounds=1, cold_rounds=1)


class SharedRace(Race):
    """A race in which some contenders read what others wrote."""

    def home(self, name: str) -> Path:
        return super().home(CONTENDERS[name].files_of or name)


def measure(race: Race, effort: Effort) -> None:
    """Measure everything of one recording."""
    _write(race, effort.writes)
    with ExitStack() as stack:
        runners = _opened(race, stack)
        _warm(race, runners, effort.rounds)
    for name in runners:
        _hold(race, name)
    for seed in range(effort.cold_rounds):
        for name in runners:
            _uncached(race, name, seed)
    opening(race, list(runners), effort.rounds)


def _write(race: Race, rounds: int) -> None:
    writers = [name for name in race.names if not CONTENDERS[name].files_of]
    for _ in range(rounds):
        for name in writers:
            if not race.failed(name, WRITE):
                with race.turn(name, WRITE, SYNCED), race.runner(name) as runner:
                    found = runner.ask("write")
                    race.figures.add(WRITE, name, found["seconds"])
                    race.figures.add(SYNCED, name, found["synced"])
    for name in writers:
        if not race.failed(name, WRITE):
            with race.turn(name, BYTES, FILES), race.runner(name) as runner:
                found = runner.ask("size")
                race.figures.add(BYTES, name, found["bytes"] / 1e6)
                race.figures.add(FILES, name, found["files"])


def _opened(race: Race, stack: ExitStack) -> dict[str, Runner]:
    """Start all whose files are there and give the right data."""
    runners: dict[str, Runner] = {}
    for name in race.names:
        owner = CONTENDERS[name].files_of
        if race.failed(name, WRITE):
            continue
        with race.turn(name, *READS):
            if race.failed(owner, WRITE):
                raise FailedError(f"there are no files of {owner}")
            runner = stack.enter_context(race.runner(name))
            runner.ask("open")
            runner.ask("check")
            runners[name] = runner
    return runners


def _warm(race: Race, runners: dict[str, Runner], rounds: int) -> None:
    for seed in range(1, rounds + 1):
        for name, runner in runners.items():
            left = [what for what in READS if not race.failed(name, what)]
            with race.turn(name, *left):
                runner.ask("warm")
            for what in left:
                if not race.failed(name, what):
                    with race.turn(name, what):
                        found = runner.ask("read", what=what, count=_COUNTS[what], seed=seed)
                        race.figures.add(what, name, found["ms"])


def _hold(race: Race, name: str) -> None:
    """Read in a process that has mapped nothing of the source."""
    with race.turn(name, HELD, PEAK), race.runner(name) as runner:
        runner.ask("open")
        for what in _FEW:
            if not race.failed(name, what):
                runner.ask("read", what=what, count=_COUNTS[what], seed=0)
        found = runner.ask("held")
        race.figures.add(HELD, name, found["held"])
        race.figures.add(PEAK, name, found["peak"])


def _uncached(race: Race, name: str, seed: int) -> None:
    """Read once of each kind, the page cache empty before each."""
    with race.turn(name, *COLD), race.runner(name) as runner:
        runner.ask("open")
        for what in READS:
            if race.failed(name, what) or race.failed(name, cold(what)):
                continue
            with race.turn(name, cold(what)):
                _check_dropped(runner.ask("chill")["held"])
                found = runner.ask("read", what=what, count=1, seed=seed)
                race.figures.add(cold(what), name, found["ms"])


def opening(race: Race, names: list[str], rounds: int) -> None:
    """Open and read one element in a fresh process, with the files cached and without."""
    for _ in range(rounds):
        for name in names:
            if not race.failed(name, OPEN):
                with race.turn(name, OPEN), race.runner(name) as runner:
                    runner.ask("warm")
                    race.figures.add(OPEN, name, runner.ask("open")["ms"])
            if not race.failed(name, COLD_OPEN):
                with race.turn(name, COLD_OPEN), race.runner(name) as runner:
                    _check_dropped(runner.ask("drop")["held"])
                    race.figures.add(COLD_OPEN, name, runner.ask("open")["ms"])


def open_many(race: Race, rounds: int) -> None:
    """Write very many blocks, and open them."""
    _write(race, 1)
    with ExitStack() as stack:
        names = list(_opened(race, stack))
    opening(race, names, rounds)


def _check_dropped(held: float) -> None:
    if held > _MOST_HELD:
        raise FailedError(f"{held:.0%} of its pages stayed in the page cache")
