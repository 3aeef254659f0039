"""What a download did: counts, bytes, time, and every asset that is missing."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from haversack.download.origin import shown
from haversack.errors import FormatError, PathNotFoundError

_SHOWN = 5
_FORMULA = frozenset({"=", "+", "@", "\t", "\r"})
_WITHOUT = (
    "run the same without retry_failed (--retry-failed), which fetches whatever is missing, or "
    "give the output directory of the earlier download"
)
_WORDS = {
    "fetched": "fetched",
    "present": "here already",
    "unverified": "here, not verified",
    "failed": "failed",
    "waiting": "not fetched",
}
HEADER = ("error", "dataset_id", "collection_id", "item_id", "asset_key", "asset_url", "tries")


@dataclass(frozen=True, slots=True)
class FailedAsset:
    """An asset that could not be fetched; the fields are the columns of ``err_report.csv``."""

    error: str
    dataset_id: str
    collection_id: str
    item_id: str
    asset_key: str
    asset_url: str
    tries: int = 0


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """What a download did, in assets of the selection.

    Attributes
    ----------
    dataset_id
        The dataset's id, which is its directory's name.
    path, catalog, archive, report
        Its directory, its ``catalog.json``, the archive (None where the source is none), and
        ``err_report.csv``; after a dry run, where they would be.
    fetched, present, unverified, failed
        Assets that came in this run; that were here, whole; that were here, with neither size nor
        checksum to compare; that could not be fetched.
    waiting
        Assets still to fetch: those of a dry run, or of ``catalog_only``.
    files
        The same five counts in files, of which several assets may share one.
    bytes, resumed_bytes
        Bytes fetched; those that the fetched files had besides, in half files of earlier runs.
    waiting_bytes, waiting_unknown, half_bytes, free_bytes
        Bytes still to fetch; files still to fetch whose size is not known; bytes that are here in
        their half files, from which to go on where the server still has the same; bytes that are
        free where the assets go.
    seconds
        How long it took.
    failures
        Every asset that could not be fetched.
    dry_run
        Whether this is only what a run would do.
    """

    dataset_id: str
    path: Path
    catalog: Path
    archive: Path | None
    report: Path
    fetched: int = 0
    present: int = 0
    unverified: int = 0
    failed: int = 0
    waiting: int = 0
    files: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    resumed_bytes: int = 0
    waiting_bytes: int = 0
    waiting_unknown: int = 0
    half_bytes: int = 0
    free_bytes: int = 0
    seconds: float = 0.0
    failures: tuple[FailedAsset, ...] = ()
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give everything as values that JSON can hold."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
        }

    def __str__(self) -> str:
        told = ", ".join(filter(None, map(self._count, _WORDS)))
        lines = [f"{self.dataset_id}: {told or 'nothing to fetch'}"]
        if self.fetched:
            more = f", {self.resumed_bytes:,} more were here" if self.resumed_bytes else ""
            lines[0] += f" ({self.bytes:,} bytes in {self.seconds:.1f} s{more})"
        if self.waiting or self.dry_run:
            unknown = f" and {self.waiting_unknown} files of unknown size"
            lines.append(
                f"to fetch: {self.waiting_bytes:,} bytes{unknown if self.waiting_unknown else ''}"
                f"; {self.free_bytes:,} are free"
            )
            if self.half_bytes:
                lines.append(f"of that, {self.half_bytes:,} bytes are here in half files")
        lines += self._reasons()
        if self.failures:
            lines.append(f"all failures: {self.report}")
        lines.append(self._place())
        return "\n".join(lines)

    def _count(self, name: str) -> str:
        """Write a count, in files too where assets share them; nothing where there are none."""
        count: int = getattr(self, name)
        files = self.files.get(name, count)
        shared = f" in {files} {'file' if files == 1 else 'files'}" if files != count else ""
        return f"{count} {_WORDS[name]}{shared}" if count else ""

    def _place(self) -> str:
        assets = self.report.parent
        where = f"{self.path}, assets in {assets}" if assets != self.path else f"{self.path}"
        if self.dry_run:
            return f"a dry run: nothing was written or made; it would all be in {where}"
        return f"in {where}"

    def _reasons(self) -> list[str]:
        """Say each reason once: the assets of one dead server share it."""
        counts = Counter(f"{failure.asset_key}: {failure.error}" for failure in self.failures)
        lines = [f"  {count} x {reason}" for reason, count in counts.most_common(_SHOWN)]
        return lines + [f"  and {len(counts) - _SHOWN} other reasons"] * (len(counts) > _SHOWN)


def as_csv(failures: Iterable[FailedAsset]) -> bytes:
    """Write failures as the error report, its header first; signatures in URLs are left out."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for failure in failures:
        row = asdict(failure) | {"asset_url": shown(failure.asset_url)}
        writer.writerow(_harmless(str(row[name])) for name in HEADER)
    return text.getvalue().encode("utf-8", "backslashreplace")


def read_csv(path: Path) -> list[FailedAsset]:
    """Read an error report; a file without a byte is one of the old client, of no failure.

    Raises
    ------
    PathNotFoundError
        There is none.
    FormatError
        It has not our header, as those of the old client have none.

    Examples
    --------
    >>> failed = FailedAsset("HTTP 404", "farms", "fields", "=one", "red", "https://a.example/x", 1)
    >>> _ = Path("err_report.csv").write_bytes(as_csv([failed]))
    >>> read_csv(Path("err_report.csv")) == [failed]
    True
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        raise no_report(path) from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if text and not set(HEADER) - {"tries"} <= set(rows.fieldnames or ()):
        raise FormatError(
            f"{path} is no error report of haversack's, for it lacks the header: {_WITHOUT}"
        )
    return [_failed(row) for row in rows]


def no_report(path: Path) -> PathNotFoundError:
    """Say that there is nothing to try again."""
    return PathNotFoundError(f"{path} is not there: no earlier download ended here; {_WITHOUT}")


def _failed(row: Mapping[str, str | None]) -> FailedAsset:
    cells = {name: _plain(row.get(name) or "") for name in HEADER}
    tries = cells.pop("tries")
    return FailedAsset(**cells, tries=int(tries) if tries.isdecimal() else 0)


def _plain(cell: str) -> str:
    """Undo what made a cell harmless."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def _harmless(cell: str) -> str:
    # A spreadsheet would run a cell that begins like a formula.
    return f"'{cell}" if cell[:1] in _FORMULA else cell
