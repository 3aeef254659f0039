"""All that is measured of packed datasets, in order; tables are printed as they come."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figures
from benchmarks.records import appends, opening, reading, show
from benchmarks.records.contenders import ALL, IN_CHUNKS, LIMIT, OURS
from benchmarks.records.effort import FULL, QUICK, QUICK_RAGGED, RAGGED, Effort
from benchmarks.records.race import Place, Race
from benchmarks.records.sets import SETS, Set, make, smaller
from benchmarks.records.targets import targets


class Suite:
    """One run over scratch space; ``environments`` is the directory that the peers' are in."""

    def __init__(self, scratch: Path, environments: Path, *, quick: bool) -> None:
        self._scratch, self._environments, self._quick = scratch, environments, quick
        self._tables: dict[str, Figures] = {}
        self._versions: dict[str, dict[str, str]] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything, and give all raw figures."""
        print(show.LEGEND)
        for chosen, effort in self._sets():
            name = f"{chosen.name} ragged" if chosen.ragged else chosen.name
            self._read(name, chosen, effort, ALL)
            show.reading(self._tables[name], chosen)
        self._chunks()
        self._appends()
        scale = opening.Scale(100_000, 20, 1) if self._quick else opening.Scale()
        self._open(scale)
        print(targets(self._tables, scale.rows * scale.chunks))
        return {
            "versions": self._versions,
            "tables": {name: figures.plain() for name, figures in self._tables.items()},
        }

    def _sets(self) -> Iterator[tuple[Set, Effort]]:
        if self._quick:
            yield from ((smaller(chosen), QUICK) for chosen in SETS[:2])
            yield replace(smaller(SETS[1]), ragged=True), QUICK_RAGGED
        else:
            yield from ((chosen, FULL) for chosen in SETS)
            yield from ((replace(chosen, ragged=True), RAGGED) for chosen in SETS)

    @contextmanager
    def _place(self) -> Iterator[Place]:
        with TemporaryDirectory(dir=self._scratch) as directory:
            yield Place(Path(directory), self._environments)

    def _read(self, name: str, chosen: Set, effort: Effort, names: tuple[str, ...]) -> None:
        with self._place() as place:
            make(chosen, place.source)
            race = Race(place, names, Figures(chosen.title))
            reading.measure(race, chosen, effort)
        self._keep(name, race)

    def _chunks(self) -> None:
        chosen = smaller(SETS[1]) if self._quick else SETS[1]
        names = (LIMIT, OURS, *(kind.name for kind in IN_CHUNKS))
        self._read("chunks", chosen, QUICK_RAGGED if self._quick else RAGGED, names)
        show.chunks(self._tables["chunks"], names)

    def _appends(self) -> None:
        for chosen in SETS[:1] if self._quick else SETS[:2]:
            with self._place() as place:
                race = appends.measure(place, smaller(chosen), QUICK if self._quick else FULL)
            self._keep(f"append {chosen.name}", race)
            show.appends(race.figures)

    def _open(self, scale: opening.Scale) -> None:
        with self._place() as place:
            race = opening.small_records(place, scale)
        self._keep("open 16 B", race)
        show.opening(race.figures)
        for kind in ("uniform", "ragged"):
            with self._place() as place:
                one, many = opening.big_index(place, scale, ragged=kind == "ragged")
            self._keep(f"open one {kind}", one)
            self._keep(f"open {kind}", many)
            show.opening(one.figures)
            show.opening(many.figures)

    def _keep(self, name: str, race: Race) -> None:
        self._tables[name] = race.figures
        self._versions |= race.versions
