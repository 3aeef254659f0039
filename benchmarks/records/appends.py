"""Single durable appends a second: each is on the disk before the next begins."""

import shutil

from benchmarks.figures import Figures
from benchmarks.records.contenders import LIMIT, OURS
from benchmarks.records.effort import Effort
from benchmarks.records.race import Place, Race
from benchmarks.records.sets import Set, make

APPEND = "appends/s"
_NAMES = (LIMIT, OURS, "SQLite", "LMDB")


def measure(place: Place, chosen: Set, effort: Effort) -> Race:
    """Append to new datasets, in rounds."""
    make(chosen, place.source)
    race = Race(
        place, _NAMES, Figures(f"durable appends of {chosen.name}; memmap: one write and fdatasync")
    )
    for _ in range(effort.rounds):
        for name in race.names:
            shutil.rmtree(race.home(name), ignore_errors=True)
            if not race.failed(name, APPEND):
                with race.turn(name, APPEND), race.runner(name) as runner:
                    rate = runner.ask("append", seconds=1.0)["rate"]
                    race.figures.add(APPEND, name, rate)
    return race
