"""The targets for split arrays, each beside what was measured."""

from collections.abc import Callable, Iterator

from benchmarks.figures import Figures
from benchmarks.report import lines, number
from benchmarks.split.contenders import OLD, OURS, TENSORSTORE
from benchmarks.split.measure import cold
from benchmarks.split.reads import AT_ONCE, FULL, READS, SMALL, TRACE, Z_PLANE

_WANTED = {Z_PLANE: (7, 2), TRACE: (50, 1.5), SMALL: (25, 4), FULL: (7, 2)}
_MOST_COLD = 1.1
Target = tuple[str, str, float | None, Callable[[float], bool]]


def targets(figures: Figures) -> str:
    """Make the table; tensorstore's figure is that of its better layout."""
    rows = [["", "wanted", "measured", ""]]
    for what, wanted, found, met in _all(figures):
        word = "not measured" if found is None else "yes" if met(found) else "NO"
        rows.append([what, wanted, number(found), word])
    return f"### Targets\n\n{lines(rows)}\n"


def _all(figures: Figures) -> Iterator[Target]:
    for what, (old, peer) in _WANTED.items():
        for name, mine, theirs, least in (
            ("split_dataset", what, figures.get(what, OLD), old),
            ("tensorstore", what, _best(figures, what), peer),
        ):
            yield _faster(figures, name, mine, theirs, least)
    old, best = figures.get(SMALL, OLD), _best(figures, AT_ONCE)
    yield _faster(figures, "split_dataset", AT_ONCE, old, 25)
    yield _faster(figures, "tensorstore", AT_ONCE, best, 4)
    for what in map(cold, READS):
        ours, best = figures.get(what, OURS), _best(figures, what)
        found = ours / best if ours and best else None
        title = what.removesuffix(" ms")
        yield title, f"<= {_MOST_COLD} of tensorstore", found, lambda it: it <= _MOST_COLD


def _faster(figures: Figures, name: str, what: str, theirs: float | None, least: float) -> Target:
    ours = figures.get(what, OURS)
    found = theirs / ours if theirs and ours else None
    return what.removesuffix(" ms"), f">= {least:g} x {name}", found, lambda it: it >= least


def _best(figures: Figures, what: str) -> float | None:
    found = [figures.get(what, name) for name in TENSORSTORE]
    return min((each for each in found if each is not None), default=None)
