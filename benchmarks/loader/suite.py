"""Draw shuffled epochs in every way, of every set of records, warm and cold."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figures
from benchmarks.loader.feeds import LOADER, TWO_WORKERS, WAYS
from benchmarks.records.contenders import COMPRESSED, LIMIT, OURS
from benchmarks.records.contenders.streams import STREAMS
from benchmarks.records.race import Place, Race, Runner
from benchmarks.records.sets import SETS, Set, make, smaller
from benchmarks.report import lines, missing, number, plain, table

PEERS = ("LMDB", "HF datasets", "Lance", ".npy files", *(peer.name for peer in STREAMS))
NAMES = (LIMIT, OURS, COMPRESSED, *PEERS)
_WANTED = {"784 B": 5.0, "12 kB": 5.0, "600 kB": 3.0}
_COLD = ", cold"
_MORE = {"first": "ms to the first batch", "cpu": "us of CPU a record", "held": "MB held"}


class Suite:
    """One run over scratch space; ``environments`` is the directory that the peers' are in."""

    def __init__(self, scratch: Path, environments: Path, *, quick: bool) -> None:
        self._scratch, self._environments, self._quick = scratch, environments, quick
        self._rounds, self._seconds = (1, 0.3) if quick else (3, 1.0)
        self._tables: dict[str, Figures] = {}
        self._versions: dict[str, dict[str, str]] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything, and give all raw figures."""
        wanted = [
            ["our loader, over the best peer in a DataLoader of 2 workers", "wanted", "measured"]
        ]
        for chosen in map(smaller, SETS) if self._quick else SETS:
            figures = self._draw(chosen)
            best = max((figures.get(TWO_WORKERS, peer) or 0 for peer in PEERS), default=0)
            ours = figures.get(LOADER, OURS)
            gain = number(ours / best if ours and best else None)
            wanted.append([chosen.name, f">= {_WANTED[chosen.name]:g} x", f"{gain} x"])
        print(f"### Targets\n\n{lines(wanted)}\n")
        return {
            "versions": self._versions,
            "tables": {name: figures.plain() for name, figures in self._tables.items()},
        }

    def _draw(self, chosen: Set) -> Figures:
        size, figures = chosen.batches[0], Figures(chosen.title)
        more = {what: Figures(f"{chosen.title}: {title}") for what, title in _MORE.items()}
        with TemporaryDirectory(dir=self._scratch) as directory:
            place = Place(
                Path(directory), self._environments, "benchmarks.loader.worker", "bench-torch"
            )
            make(chosen, place.source)
            race = Race(place, NAMES, figures)
            self._warm(race, more, size)
            self._cold(race, size)
        self._versions |= race.versions
        title = f"{chosen.title}: records/s of shuffled batches of {size}"
        print(table(figures, title, NAMES, [*WAYS, *(way + _COLD for way in WAYS)], _beside))
        for each in more.values():
            print(table(each, each.title, NAMES, WAYS, plain))
        print(missing(figures))
        self._tables |= {chosen.name: figures}
        self._tables |= {f"{chosen.name}: {_MORE[what]}": more[what] for what in more}
        return figures

    def _warm(self, race: Race, more: dict[str, Figures], size: int) -> None:
        with ExitStack() as stack:
            runners: dict[str, Runner] = {}
            for name in race.names:
                with race.turn(name, *WAYS):
                    runners[name] = stack.enter_context(race.runner(name))
                    runners[name].ask("build")
            for way, name in self._turns(race):
                with race.turn(name, way):
                    found = runners[name].ask("draw", way=way, size=size, seconds=self._seconds)
                    race.figures.add(way, name, found["rate"])
                    for what, figures in more.items():
                        figures.add(way, name, found[what])

    def _turns(self, race: Race) -> Iterator[tuple[str, str]]:
        for way in WAYS:
            for _ in range(self._rounds):
                yield from ((way, name) for name in race.names if not race.failed(name, way))

    def _cold(self, race: Race, size: int) -> None:
        for way in WAYS:
            for name in race.names:
                if not race.failed(name, way):
                    with race.turn(name, way + _COLD), race.runner(name) as runner:
                        found = runner.ask("once", way=way, size=size)
                        race.figures.add(way + _COLD, name, found["rate"])


def _beside(figures: Figures, what: str, who: str) -> str:
    """Write a rate, and how many times faster our loader is."""
    ours = LOADER + _COLD if what.endswith(_COLD) else LOADER
    theirs, mine = figures.get(what, who), figures.get(ours, OURS)
    if theirs is None:
        return "-"
    return number(theirs) if not mine else f"{number(theirs)} · {number(mine / theirs)}x"
