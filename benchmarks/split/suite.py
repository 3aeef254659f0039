"""All that is measured of split arrays, in order; tables are printed as they come."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figures
from benchmarks.records.race import FailedError, Place
from benchmarks.report import missing, number, plain, table
from benchmarks.split import live
from benchmarks.split import measure as of
from benchmarks.split.contenders import CONTENDERS, IN_FILES, NAMES, OURS
from benchmarks.split.reads import READS
from benchmarks.split.targets import targets
from benchmarks.split.volume import FULL, SMALLER, Recording, make, of_blocks

_LEGEND = (
    "Behind a time stands how many times as long as haversack it took. Times are medians of "
    "rounds in which\ncontenders take turns.\n"
)


class Suite:
    """One run over scratch space; ``environments`` is the directory that the peers' are in."""

    def __init__(self, scratch: Path, environments: Path, *, quick: bool) -> None:
        self._scratch, self._environments, self._quick = scratch, environments, quick
        self._recording = SMALLER if quick else FULL
        self._effort = of.QUICK if quick else of.Effort()
        self._many = of_blocks(1_000 if quick else 10_000)
        self._tables: dict[str, Figures] = {}
        self._versions: dict[str, dict[str, str]] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything, and give all raw figures."""
        print(_LEGEND)
        figures = self._race(self._recording, NAMES, lambda race: of.measure(race, self._effort))
        title = figures.title
        for part, columns in (("warm", READS), ("cold", of.COLD)):
            print(table(figures, f"{title}: {part}", NAMES, columns, _beside))
        rest = [of.WRITE, of.SYNCED, of.BYTES, of.FILES, of.OPEN, of.COLD_OPEN, of.HELD, of.PEAK]
        print(table(figures, f"{title}: write, size, open, memory", NAMES, rest, plain))
        print(missing(figures))
        many = self._race(
            self._many, IN_FILES, lambda race: of.open_many(race, self._effort.rounds)
        )
        columns = [of.WRITE, of.BYTES, of.FILES, of.OPEN, of.COLD_OPEN]
        print(table(many, many.title, IN_FILES, columns, plain))
        print(missing(many))
        seen = self._watched()
        print(targets(figures), flush=True)
        return {
            "live": seen,
            "versions": self._versions,
            "tables": {name: figures.plain() for name, figures in self._tables.items()},
        }

    def _watched(self) -> dict[str, list[float]]:
        try:
            seen = live.measure(self._scratch, quick=self._quick)
        except FailedError as error:
            print(f"- a reader beside a writer: no figures: {error}\n")
            return {}
        print(live.table(seen))
        return seen

    def _race(
        self, recording: Recording, names: Sequence[str], work: Callable[[of.SharedRace], None]
    ) -> Figures:
        with TemporaryDirectory(dir=self._scratch) as directory:
            place = Place(
                Path(directory),
                self._environments,
                "benchmarks.split.worker",
                contenders=CONTENDERS,
            )
            make(recording, place.source)
            race = of.SharedRace(place, names, Figures(recording.title))
            work(race)
        self._tables[recording.name] = race.figures
        self._versions |= race.versions
        return race.figures


def _beside(figures: Figures, what: str, who: str) -> str:
    """Write a time, and how many times as long as ours it is."""
    found, times = figures.get(what, who), figures.ratio(what, who, OURS)
    return number(found) if times is None else f"{number(found)} · {number(times)}x"
