"""Print the tables of packed datasets."""

from collections.abc import Sequence

from benchmarks.figures import Figures
from benchmarks.records import opening as at
from benchmarks.records import reading as of
from benchmarks.records.appends import APPEND
from benchmarks.records.contenders import ALL, CONTENDERS, LIMIT, OURS
from benchmarks.records.sets import Set
from benchmarks.report import compared, missing, table

LEGEND = (
    "Reads are records a second where no unit is given. Behind a figure stand its share of the "
    "memmap's, and how many\ntimes faster haversack is. Figures are medians of rounds in which "
    "contenders take turns.\n"
)
_COMPARED = compared(LIMIT, OURS)


def reading(figures: Figures, chosen: Set) -> None:
    """Print what was measured of one set."""
    title = figures.title
    batches = [of.batch_of(size) for size in chosen.batches]
    epochs = [of.epochs_by(threads) for threads in of.THREADS]
    warm = [of.SINGLE, *batches, of.SCAN, of.EPOCH]
    _show(table(figures, f"{title}: warm", ALL, warm, _COMPARED))
    _show(table(figures, f"{title}: cold", ALL, of.COLD, _COMPARED))
    rest = [of.BUILD, of.BUILD_BY_2, of.BYTES, of.FILES, of.OPEN, of.FIRST, of.PRIVATE]
    _show(table(figures, f"{title}: build, size, open", ALL, rest))
    whole = f"{title}: shuffled epochs of batches of {chosen.batches[0]}, and verify"
    _show(table(figures, whole, (LIMIT, OURS), [*epochs, of.VERIFY], _COMPARED))
    _show(missing(figures))


def chunks(figures: Figures, names: Sequence[str]) -> None:
    """Print how reads depend on the number of chunks."""
    title = f"{figures.title}: haversack in one and in many chunks"
    columns = [of.SINGLE, of.batch_of(256), of.EPOCH, of.FIRST, of.BUILD]
    _show(table(figures, title, names, columns[:3], _COMPARED))
    _show(table(figures, f"{title}: build, open", names, columns[3:]))
    _show(missing(figures))


def appends(figures: Figures) -> None:
    """Print the rates of durable appends."""
    _show(table(figures, figures.title, list(CONTENDERS), [APPEND], _COMPARED))
    _show(missing(figures))


def opening(figures: Figures) -> None:
    """Print what the first record takes."""
    first = [at.OPEN, at.FIRST, at.COLD_FIRST, at.PRIVATE, at.MAPPED]
    more = [at.MORE, at.MORE_PRIVATE, at.MORE_MAPPED, at.INDEX]
    _show(table(figures, figures.title, ALL, [*first, *more]))
    _show(missing(figures))


def _show(text: str) -> None:
    if text:
        print(text, flush=True)
