"""One set of records: every contender builds it and reads it, warm and cold."""

from contextlib import ExitStack
from typing import Any

from benchmarks.records import cache
from benchmarks.records.contenders import LIMIT, OURS
from benchmarks.records.effort import Effort
from benchmarks.records.race import FailedError, Race, Runner
from benchmarks.records.sets import Set

# What is measured, as the figures and tables call it.
BUILD, BUILD_BY_2, BYTES, FILES = "build s", "build by 2 s", "disk MB", "files"
OPEN, FIRST, PRIVATE = "open ms", "first record ms", "private MB"
EPOCH, SINGLE, SCAN = "first epoch", "single", "scan MB/s"
COLD_SINGLE, COLD_BATCH, COLD_SCAN = "cold single", "cold batch", "cold scan MB/s"
VERIFY = "verify MB/s"
THREADS = (0, 1, 2)
COLD = (COLD_SINGLE, COLD_BATCH, COLD_SCAN)


def batch_of(size: int) -> str:
    """Name the figure of batches of a size."""
    return f"batch of {size}"


def epochs_by(threads: int) -> str:
    """Name the figure of shuffled epochs."""
    return f"threads={threads}"


def measure(race: Race, chosen: Set, effort: Effort) -> None:
    """Measure a set: build, warm reads, then cold ones by those that could be built."""
    with ExitStack() as stack:
        runners: dict[str, Runner] = {}
        for name in race.names:
            with race.turn(name, BUILD):
                runners[name] = stack.enter_context(race.runner(name))
        _build(race, runners, effort)
        runners = {name: runners[name] for name in runners if not race.failed(name, BUILD)}
        _warm(race, runners, chosen, effort)
        _whole(race, runners, chosen, effort)
    _cold(race, list(runners), chosen, effort)


def _build(race: Race, runners: dict[str, Runner], effort: Effort) -> None:
    figures = race.figures
    for number in range(effort.rounds):
        for name, runner in runners.items():
            if race.failed(name, BUILD) or (number and figures.get(BUILD, name) > effort.longest):
                continue
            with race.turn(name, BUILD):
                figures.add(BUILD, name, runner.ask("build")["seconds"])
        for name, runner in runners.items() if effort.workers > 1 else ():
            before = figures.get(BUILD_BY_2, name) or figures.get(BUILD, name) or 0
            if race.failed(name, BUILD_BY_2) or (number and before > effort.longest):
                continue
            with race.turn(name, BUILD_BY_2):
                answer = runner.ask("build_by", workers=effort.workers)
                figures.add(BUILD_BY_2, name, answer["seconds"])


def _warm(race: Race, runners: dict[str, Runner], chosen: Set, effort: Effort) -> None:
    """Read from the page cache, after a first touch of all records."""
    seconds = effort.seconds
    requests: dict[str, dict[str, Any]] = {
        SINGLE: {"do": "single", "seconds": seconds, "once": False},
        **{
            batch_of(size): {"do": "batch", "size": size, "seconds": seconds, "once": False}
            for size in chosen.batches
        },
        SCAN: {"do": "scan", "seconds": effort.longest},
    }
    for name, runner in runners.items():
        with race.turn(name, *requests):
            runner.ask("open")
            runner.ask("check", batch=64)
            runner.ask("batch", size=256, seconds=effort.first_touch, once=True)
            bytes_, files = cache.size(race.home(name))
            race.figures.add(BYTES, name, bytes_ / 1e6)
            race.figures.add(FILES, name, files)
    _rounds(race, runners, requests, effort)


def _whole(race: Race, runners: dict[str, Runner], chosen: Set, effort: Effort) -> None:
    """Draw shuffled epochs and verify, where that is offered."""
    size, seconds = chosen.batches[0], effort.seconds * 2
    requests: dict[str, dict[str, Any]] = {
        epochs_by(threads): {"do": "epochs", "size": size, "threads": threads, "seconds": seconds}
        for threads in THREADS
    }
    requests[VERIFY] = {"do": "verify"}
    whole = {name: runners[name] for name in (LIMIT, OURS) if name in runners}
    _rounds(race, whole, requests, effort)


def _rounds(
    race: Race, runners: dict[str, Runner], requests: dict[str, dict[str, Any]], effort: Effort
) -> None:
    for what, request in requests.items():
        for _ in range(effort.rounds):
            for name, runner in runners.items():
                if not race.failed(name, what):
                    with race.turn(name, what):
                        race.figures.add(what, name, _figure(what, runner.ask(**request)["rate"]))


def _cold(race: Race, names: list[str], chosen: Set, effort: Effort) -> None:
    """Open in fresh processes: a first epoch from the page cache, then reads without it."""
    for _ in range(effort.cold_rounds):
        for name in names:
            if race.failed(name, COLD_BATCH):
                continue
            with race.turn(name, *COLD), race.runner(name) as runner:
                _first_epoch(race, runner, chosen, effort)
                _uncached(race, runner, chosen, effort)


def _first_epoch(race: Race, runner: Runner, chosen: Set, effort: Effort) -> None:
    figures, name = race.figures, runner.name
    runner.ask("warm")
    opened = runner.ask("open")
    figures.add(OPEN, name, opened["opened"] * 1e3)
    figures.add(FIRST, name, opened["first"] * 1e3)
    epoch = runner.ask("batch", size=chosen.batches[0], seconds=effort.longest, once=True)
    figures.add(EPOCH, name, epoch["rate"])
    figures.add(PRIVATE, name, (epoch["private"] - runner.memory["private"]) / 1e6)


def _uncached(race: Race, runner: Runner, chosen: Set, effort: Effort) -> None:
    seconds, size = effort.seconds * 2, chosen.batches[0]
    requests: dict[str, dict[str, Any]] = {
        COLD_BATCH: {"do": "batch", "size": size, "seconds": seconds, "once": True}
    }
    if not effort.cold_only_batches:
        requests[COLD_SINGLE] = {"do": "single", "seconds": seconds, "once": True}
        requests[COLD_SCAN] = {"do": "scan", "seconds": effort.longest}
    for what, request in requests.items():
        runner.ask("close")
        held = runner.ask("drop")["held"]
        if held > 0.05:
            raise FailedError(f"{held:.0%} of its pages stayed in the page cache")
        runner.ask("open")
        race.figures.add(what, runner.name, _figure(what, runner.ask(**request)["rate"]))


def _figure(what: str, rate: float) -> float:
    return rate / 1e6 if what in (SCAN, COLD_SCAN, VERIFY) else rate
