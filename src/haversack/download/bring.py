"""Fetch or copy the assets that a plan lacks, and note what came of each."""

from __future__ import annotations

import filecmp
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
from haversack.download.leftovers import Halves
from haversack.download.obtain import Obtained
from haversack.download.origin import shown
from haversack.download.planning import Plan, address
from haversack.download.transfer import Outcome, Request
from haversack.download.unpack import copy_file
from haversack.errors import FormatError
from haversack.events import Progress, Task

log = logging.getLogger("haversack.download")
_BATCH = 1000


@dataclass(slots=True)
class Bringing:
    """One run over the assets that are missing.

    Attributes
    ----------
    bytes, resumed
        Bytes that came, and those of files that came which an earlier run had brought.
    errors, tries
        Why each asset that could not be brought is still missing, and how often it was asked for,
        by row.
    sync
        Whether to ask for what is here too, and fetch what has changed.
    halves
        What is here of the files that are to come.
    """

    obtained: Obtained
    plan: Plan
    access: Access
    sync: bool = False
    halves: Halves = field(default_factory=Halves)
    bytes: int = 0
    resumed: int = 0
    errors: dict[int, str] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    _tells: bool = field(default_factory=lambda: log.isEnabledFor(logging.DEBUG))

    def run(self, ledger: Ledger, progress: Progress) -> None:
        total = sum(self.plan.count_files(state) for state in self._wanted())
        if not total:
            return
        with events.task(progress, "download assets", total=total, unit="asset") as work:
            if isinstance(self.plan.catalog.source, TreeSource):
                with self.plan.assets:
                    self._copy(ledger, work)
            requests, origin = self._requests(ledger), self.obtained.origin
            with self.access.fetching(requests, origin, ledger=ledger) as outcomes:
                for outcome in outcomes:
                    self._note(outcome)
                    work.advance()
            work.advance(total - work.done)

    def asked_for(self) -> Iterator[tuple[str, int]]:
        """Yield the path of each file that is to be fetched, and the size that the catalog says."""
        for state in self._wanted():
            for row, path in self.plan.files(state):
                yield self._place(row, path), int(self.plan.catalog.assets.size[row])

    def _place(self, row: int, path: str) -> str:
        return self.plan.holdings.elsewhere.get(row, path)

    def _wanted(self) -> tuple[State, ...]:
        """States of what is asked for, those that are missing first."""
        here = (State.PRESENT, State.UNVERIFIED)
        return (State.ABSENT, *(here if self.sync else ()))

    def _requests(self, ledger: Ledger) -> Iterator[Request]:
        for state in self._wanted():
            for row, path in self.plan.files(state):
                if state is State.ABSENT or not self._is_settled(row):
                    request = self._request(row, path, state, ledger)
                    if request is not None:
                        yield request

    def _request(self, row: int, path: str, state: State, ledger: Ledger) -> Request | None:
        assets, place = self.plan.catalog.assets, self._address(row)
        if not (isinstance(place, str) and place.startswith(("http://", "https://"))):
            if state is State.ABSENT:
                self._fail(row, _no_address(self.plan.catalog.target(row)))
            return None
        size = int(assets.size[row])
        file = self.plan.assets.place(self._place(row, path))
        known = None if state is State.ABSENT else ledger.whole(Path(file))
        return Request(
            place,
            file,
            None if size == UNKNOWN_SIZE else size,
            assets.checksum(row),
            known.version() if known else None,
            assets.type[row],
            row,
        )

    def _address(self, row: int) -> str | Path | None:
        return address(self.plan.catalog, row, self.access.stores)

    def _is_settled(self, row: int) -> bool:
        """Tell whether the catalog itself says that what is here is what it means."""
        said = (self.plan.catalog.assets.checksum(row) or "").lower()
        inside = self.plan.catalog.source.size_of(self.plan.catalog.target(row)) is not None
        return inside or (said != "" and said == self.plan.holdings.checksum(row))

    def _note(self, outcome: Outcome) -> None:
        request = outcome.request
        if outcome.error is not None:
            self._fail(request.row, outcome.error, outcome.tries)
            return
        if outcome.unchanged:
            self.plan.holdings.state[request.row] = State.PRESENT
            return
        self._got(request.row, outcome.size, outcome.checksum)
        self.bytes -= outcome.resumed
        self.resumed += outcome.resumed
        if self._tells:
            log.debug("%s -> %s", shown(request.url), request.path)

    def _copy(self, ledger: Ledger, work: Task) -> None:
        """Copy what lies in the source's own directory, in batches."""
        output, batch = self.plan.assets, list[tuple[int, Path, str]]()
        wanted = [found for state in self._wanted() for found in self.plan.files(state)]
        for row, path in wanted:
            file = self._address(row)
            if not isinstance(file, Path) or self._is_same(row, file, output.root / path):
                continue
            if checksum := self._copied(row, file, path):
                batch.append((row, output.root / path, checksum))
                work.advance()
            if len(batch) >= _BATCH:
                self._publish(batch, ledger)
        self._publish(batch, ledger)

    def _is_same(self, row: int, file: Path, here: Path) -> bool:
        if self.plan.holdings.state[row] == State.ABSENT:
            return False
        return here.is_file() and (here.samefile(file) or filecmp.cmp(file, here, shallow=False))

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

    def _fail(self, row: int, error: str, tries: int = 0) -> None:
        holdings = self.plan.holdings
        absent = holdings.state[row] in {State.ABSENT, State.FAILED}
        holdings.state[row] = State.FAILED if absent else State.UNSURE
        self.errors[row], self.tries[row] = error, tries
        log.debug("%s", error)


def _no_address(target: str) -> str:
    if "://" in target:
        return (
            f"{shown(target)}: only http, https, s3, gs, az and abfs addresses can be fetched, and "
            "of a store those that name bucket or account"
        )
    return f"{shown(target)}: the catalog refers to a file that is not beside it"
