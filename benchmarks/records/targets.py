"""The targets for packed datasets, each beside what was measured."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.figures import Figures
from benchmarks.records import opening, reading
from benchmarks.records.contenders import IN_CHUNKS, LIMIT, OURS
from benchmarks.report import lines, number

_NOTHING = Figures("nothing")


def targets(tables: Mapping[str, Figures], many: int) -> str:
    """Make the table; ``many`` is the number of records of the large index."""
    rows = [["", "wanted", "measured", ""]]
    for what, least, most, found, unit in _all(tables, many):
        wanted = f">= {least:g}" if least is not None else f"<= {most:g}"
        met = found is not None and (found >= least if least is not None else found <= most)
        word = "not measured" if found is None else "yes" if met else "NO"
        rows.append([what, f"{wanted} {unit}", number(found), word])
    return f"### Targets\n\n{lines(rows)}\n"


def _all(tables: Mapping[str, Figures], many: int) -> Iterator[tuple[Any, ...]]:
    """Yield what, at least, at most, measured, unit."""
    middle, small = tables.get("12 kB", _NOTHING), tables.get("784 B", _NOTHING)
    batch = reading.batch_of(256)
    share = "of memmap"
    yield "12 kB, batches of 256", 0.95, None, middle.ratio(batch, OURS, LIMIT), share
    chunked = tables.get("chunks", _NOTHING)
    for kind in IN_CHUNKS:
        found = chunked.ratio(batch, kind.name, LIMIT)
        yield f"the same, {kind.name} chunks", 0.95, None, found, share
    yield "12 kB, batches of 256", 2.5, None, middle.ratio(batch, OURS, "LMDB"), "x LMDB"
    for name in ("784 B", "12 kB", "600 kB"):
        figures = tables.get(name, _NOTHING)
        yield f"{name}, single reads", 0.8, None, figures.ratio(reading.SINGLE, OURS, LIMIT), share
    build = small.get(reading.BUILD, OURS)
    yield "784 B, build in one process", None, 0.3, build, "s"
    for name in ("784 B", "12 kB", "600 kB"):
        figures = tables.get(name, _NOTHING)
        one, two = (figures.get(what, OURS) for what in (reading.BUILD, reading.BUILD_BY_2))
        yield (
            f"{name}, build in two processes",
            1.6,
            None,
            one / two if one and two else None,
            "x one",
        )
    for name in ("uniform", "ragged"):
        figures = tables.get(f"open {name}", _NOTHING)
        first, index = figures.get(reading.FIRST, OURS), figures.get(opening.INDEX, OURS)
        yield f"open {many:,} {name}: first record", None, 50, first, "ms"
        each = None if index is None else index * 1e6 / many
        yield f"open {many:,} {name}: index", None, 24, each, "B a record"
