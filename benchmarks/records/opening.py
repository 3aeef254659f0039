"""The first record of a million and of a hundred million: time and memory, in fresh processes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks.figures import Figures
from benchmarks.records import cache, forge
from benchmarks.records.contenders import ALL, LIMIT, OURS
from benchmarks.records.race import Place, Race, Runner
from benchmarks.records.reading import FIRST, OPEN
from benchmarks.records.sets import Set, make_zeros

COLD_FIRST, INDEX = "cold first record ms", "disk MB"
PRIVATE, MAPPED = "private MB", "of files MB"
# After so many more records, spread over all chunks.
_MORE = 1000
MORE, MORE_PRIVATE, MORE_MAPPED = "1,000 more ms", "private MB then", "of files MB then"


@dataclass(frozen=True, slots=True)
class Scale:
    """How many records: those of one chunk, and how many such chunks; and rounds of opening."""

    rows: int = 1_000_000
    chunks: int = 100
    rounds: int = 3


def small_records(place: Place, scale: Scale) -> Race:
    """Open what each contender built of records of 16 bytes: next to nothing but index."""
    chosen = Set("16 B", scale.rows, (16,), "|u1")
    race = _race(place, chosen, ALL)
    for name in race.names:
        with race.turn(name, OPEN), race.runner(name) as runner:
            runner.ask("build", index_alone=True)
    _open_all(race, scale.rounds)
    return race


def big_index(place: Place, scale: Scale, *, ragged: bool) -> tuple[Race, Race]:
    """Open our own index of records of 784 bytes: that of one chunk, then that of many."""
    chosen = Set("784 B", scale.rows, (28, 28), "|u1", ragged=ragged)
    template = _race(_within(place, "template"), chosen, [OURS])
    with template.runner(OURS) as runner:
        runner.ask("build", index_alone=True)
    races = []
    for copies in (1, scale.chunks):
        larger = replace(chosen, count=scale.rows * copies)
        names = [OURS] if ragged else [LIMIT, OURS]
        race = _race(_within(place, f"{copies} chunks"), larger, names)
        forge.repeated(template.home(OURS), copies, race.home(OURS))
        if not ragged:
            forge.memmap(larger, race.home(LIMIT))
        _open_all(race, scale.rounds)
        races.append(race)
    one, many = races
    return one, many


def _race(place: Place, chosen: Set, names: Iterable[str]) -> Race:
    make_zeros(chosen, place.source)
    return Race(place, names, Figures(f"the first of {chosen.title}"))


def _within(place: Place, name: str) -> Place:
    return Place(place.scratch / name, place.environments)


def _open_all(race: Race, rounds: int) -> None:
    """Open by turns: with nothing in the page cache, then with all that was read before in it."""
    for name in race.names:
        if not race.failed(name, OPEN):
            race.figures.add(INDEX, name, cache.allocated(race.home(name)) / 1e6)
    for work in [_cold] * rounds + [_touch] + [_warm] * rounds:
        for name in race.names:
            if not race.failed(name, OPEN):
                with race.turn(name, OPEN), race.runner(name) as runner:
                    work(race.figures, runner)


def _cold(figures: Figures, runner: Runner) -> None:
    runner.ask("drop")
    figures.add(COLD_FIRST, runner.name, runner.ask("open")["first"] * 1e3)


def _touch(_: Figures, runner: Runner) -> None:
    """Bring in what the warm rounds read."""
    runner.ask("open")
    runner.ask("touch", count=_MORE)


def _warm(figures: Figures, runner: Runner) -> None:
    opened = runner.ask("open")
    touched = runner.ask("touch", count=_MORE)
    found = {
        OPEN: opened["opened"] * 1e3,
        FIRST: opened["first"] * 1e3,
        PRIVATE: opened["grown"]["private"] / 1e6,
        MAPPED: opened["grown"]["files"] / 1e6,
        MORE: touched["seconds"] * 1e3,
        MORE_PRIVATE: (touched["private"] - runner.memory["private"]) / 1e6,
        MORE_MAPPED: (touched["files"] - runner.memory["files"]) / 1e6,
    }
    for what, figure in found.items():
        figures.add(what, runner.name, figure)
