"""Fetch or copy the assets that a plan lacks, and note what came of each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from haversack import events
from haversack.catalog.source import TreeSource
from haversack.catalog.table import UNKNOWN_SIZE
from haversack.download.access import Access
from haversack.download.holdings import State
from haversack.download.ledger import Ledger
from haversack.download.obtain import Obtained
from haversack.download.origin import shown
from haversack.download.plan import Plan, address
from haversack.download.transfer import Outcome, Request
from haversack.download.unpack import copy_file
from haversack.errors import FormatError
from haversack.events import Progress, Task

log = logging.getLogger("haversack.download")
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class _Wanted(Request):
    """A request that knows its asset."""

    row: int = 0


@dataclass(slots=True)
class Bringing:
    """One run over the assets that are missing.

    Attributes
    ----------
    bytes
        Bytes that came.
    errors
        Why each asset that could not be brought is still missing, by row.
    """

    obtained: Obtained
    plan: Plan
    access: Access
    concurrency: int
    bytes: int = 0
    errors: dict[int, str] = field(default_factory=dict)

    def run(self, ledger: Ledger, progress: Progress) -> None:
        total = len(self.plan.rows(State.ABSENT))
        if not total:
            return
        with events.task(progress, "download assets", total=total, unit="asset") as work:
            if isinstance(self.plan.catalog.source, TreeSource):
                with self.plan.assets:
                    self._copy(ledger, work)
            options = {"concurrency": self.concurrency, "ledger": ledger}
            origin = self.obtained.origin
            with self.access.fetching(self._requests(), origin, **options) as outcomes:
                for outcome in outcomes:
                    self._note(outcome)
                    work.advance()
            work.advance(total - work.done)

    def _requests(self) -> Iterator[Request]:
        catalog, output = self.plan.catalog, self.plan.assets
        for row, path in self.plan.files(State.ABSENT):
            place = address(catalog, row)
            if isinstance(place, str) and place.startswith(("http://", "https://")):
                size = int(catalog.assets.size[row])
                yield _Wanted(
                    place,
                    output.file(path),
                    None if size == UNKNOWN_SIZE else size,
                    catalog.assets.checksum(row),
                    row=row,
                )
            else:
                self._fail(row, _no_address(catalog.target(row)))

    def _note(self, outcome: Outcome) -> None:
        request = outcome.request
        assert isinstance(request, _Wanted)
        if outcome.error is not None:
            self._fail(request.row, outcome.error)
            return
        self._got(request.row, outcome.size, outcome.checksum)
        log.debug("%s -> %s", shown(request.url), request.path)

    def _copy(self, ledger: Ledger, work: Task) -> None:
        """Copy what lies in the source's own directory, in batches."""
        output, batch = self.plan.assets, list[tuple[int, Path, str]]()
        for row, path in list(self.plan.files(State.ABSENT)):
            file = address(self.plan.catalog, row)
            if isinstance(file, Path) and (checksum := self._copied(row, file, path)):
                batch.append((row, output.root / path, checksum))
                work.advance()
            if len(batch) >= _BATCH:
                self._publish(batch, ledger)
        self._publish(batch, ledger)

    def _copied(self, row: int, file: Path, path: str) -> str | None:
        assets = self.plan.catalog.assets
        size = int(assets.size[row])
        expected = None if size == UNKNOWN_SIZE else size
        try:
            return copy_file(file, path, self.plan.assets, expected, assets.checksum(row))
        except FormatError as error:
            self._fail(row, str(error))
            return None

    def _publish(self, batch: list[tuple[int, Path, str]], ledger: Ledger) -> None:
        self.plan.assets.commit()
        entries = [ledger.entry(path, checksum) for _, path, checksum in batch]
        ledger.add(entries)
        for (row, _, checksum), entry in zip(batch, entries, strict=True):
            self._got(row, entry.size, checksum)
        batch.clear()

    def _got(self, row: int, size: int, checksum: str | None) -> None:
        self.plan.holdings.set(row, State.FETCHED, size, checksum)
        self.bytes += size

    def _fail(self, row: int, error: str) -> None:
        self.plan.holdings.state[row] = State.FAILED
        self.errors[row] = error
        log.debug("%s", error)


def _no_address(target: str) -> str:
    if "://" in target:
        return f"{shown(target)}: only http, https and s3 addresses can be fetched"
    return f"{target}: the catalog refers to a file that is not beside it"
