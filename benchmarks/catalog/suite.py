"""Read the same catalog with every reader, side by side, counts checked."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.catalog.items import KEYS, extract, write
from benchmarks.catalog.readers import QUESTIONS, READERS
from benchmarks.figures import Figures
from benchmarks.report import lines, missing, number, table

OURS, MLHUB = "haversack", "radiant_mlhub"
_SECONDS, _CPU, _HELD = "s", "s of CPU", "MB held"
_COLUMNS = (_SECONDS, _CPU, _HELD)
_ENVIRONMENTS = {"pystac": "bench-download", "rustac, ndjson": "bench-download"}
_ENVIRONMENTS[MLHUB] = "compat-mlhub"
_LONGEST = 600


class Suite:
    """One run over scratch space; ``environments`` is the directory that the peers' are in."""

    def __init__(self, scratch: Path, environments: Path, *, quick: bool) -> None:
        self._scratch, self._environments = scratch, environments
        self._counts = [2_500] if quick else [25_000, 250_000]
        self._rounds = 1 if quick else 3
        self._versions: dict[str, dict[str, str]] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything, and give all raw figures."""
        tables = {}
        for count in self._counts:
            title = f"{count:,} items, {len(KEYS) * count:,} assets"
            tables[title] = figures = self._measure(count, title)
            print(table(figures, f"{title}: to a table", list(READERS), _COLUMNS, _cell))
            print(table(figures, f"{title}: questions", list(READERS), QUESTIONS))
            print(missing(figures))
        print(f"### Targets, at 1 M assets\n\n{lines(_targets(figures))}\n")
        plain = {title: figures.plain() for title, figures in tables.items()}
        return {"versions": self._versions, "tables": plain}

    def _measure(self, count: int, title: str) -> Figures:
        figures = Figures(title)
        archive, told = write(count, self._scratch)
        answers: dict[str, int] = {}
        with _hub(self._scratch / "hub", archive, is_small=count <= self._counts[0]) as hub:
            for turn in range(self._rounds):
                for name in READERS:
                    if name == MLHUB and not hub:
                        figures.fail(_SECONDS, name, "it would make a file of each item")
                    elif not figures.reason(_SECONDS, name) and (name != MLHUB or turn == 0):
                        source = (
                            hub if name == MLHUB else str(told if "ndjson" in name else archive)
                        )
                        self._try(figures, name, source or "", count, answers)
        return figures

    def _try(
        self, figures: Figures, name: str, source: str, count: int, answers: dict[str, int]
    ) -> None:
        folder = self._scratch / "read"
        folder.mkdir()
        where = self._environments / _ENVIRONMENTS.get(name, "") / "bin" / "python"
        python = str(where) if name in _ENVIRONMENTS else sys.executable
        ask = [python, "-m", "benchmarks.catalog.readers", name, source, str(folder)]
        try:
            done = subprocess.run(
                ask,
                capture_output=True,
                text=True,
                timeout=_LONGEST,
                check=True,
                cwd=Path(__file__).parents[2],
            )
            found = json.loads(done.stdout.splitlines()[-1])
            _check(found, count, answers)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            figures.fail(_SECONDS, name, said.strip().splitlines()[-1][:200])
            return
        finally:
            shutil.rmtree(folder)
        self._versions.setdefault(name, {})[name.split(",", maxsplit=1)[0]] = found["version"]
        figures.add(_SECONDS, name, found["seconds"])
        figures.add(_CPU, name, found["cpu"])
        figures.add(_HELD, name, found["held"] / 1e6)
        for question, answer in found["answers"].items():
            if isinstance(answer, str):
                figures.fail(question, name, answer)
            else:
                figures.add(question, name, answer[1])


@contextmanager
def _hub(root: Path, archive: Path, *, is_small: bool) -> Iterator[str | None]:
    """Serve the catalog to the old client, which needs a hub."""
    if not is_small:
        yield None
        return
    from haversack.server import background

    extract(archive, root)
    try:
        with background(root) as server:
            yield server.api_root
    finally:
        shutil.rmtree(root)


def _check(found: dict[str, Any], count: int, answers: dict[str, int]) -> None:
    """See that all items and assets came, and that everybody gives the same answers."""
    if (found["items"], found["assets"]) != (count, count * len(KEYS)):
        raise ValueError(f"{found['items']} items and {found['assets']} assets of {count} items")
    for question, answer in found["answers"].items():
        if isinstance(answer, list) and answers.setdefault(question, answer[0]) != answer[0]:
            raise ValueError(f"{question}: {answer[0]} assets, where {answers[question]} are right")


def _cell(figures: Figures, what: str, who: str) -> str:
    value = figures.get(what, who)
    times = figures.ratio(what, who, OURS)
    return number(value) + ("" if times is None else f" · {number(times)}x")


def _targets(figures: Figures) -> list[list[str]]:
    asked = [value for q in QUESTIONS[:-1] if (value := figures.get(q, OURS)) is not None]
    return [
        ["", "wanted", "measured"],
        ["s of CPU from an archive to a table", "<= 4", number(figures.get(_CPU, OURS))],
        ["MB held", "<= 100", number(figures.get(_HELD, OURS))],
        ["ms, the slowest filter", "<= 5", number(max(asked, default=None))],
        ["ms, true intersects", "<= 10", number(figures.get(QUESTIONS[-1], OURS))],
    ]
