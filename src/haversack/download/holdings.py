"""Which assets of a dataset are here, whole, and where each of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from haversack.catalog import Catalog
from haversack.catalog.columns import pieces
from haversack.catalog.table import NO_ITEM, UNKNOWN_SIZE
from haversack.download.before import Before
from haversack.download.layout import Layout
from haversack.download.ledger import Ledger
from haversack.download.measures import Measures
from haversack.download.output import Output
from haversack.storage.multihash import read_multihash

IfExists = Literal["resume", "skip", "overwrite", "sync"]
_SHA256 = "1220"


class State(IntEnum):
    """What is known of an asset's file."""

    ABSENT = 0
    PRESENT = 1
    UNVERIFIED = 2  # a file is here, with nothing to compare it to
    FETCHED = 3
    FAILED = 4
    UNSURE = 5  # here, but its server could not be asked whether it has changed


_HERE = frozenset({State.PRESENT, State.UNVERIFIED, State.FETCHED, State.UNSURE})


class Holdings:
    """The state of each asset, by row.

    Attributes
    ----------
    lead
        Row of the first asset with the same file; the rest is kept in that row.
    state
        A :class:`State`.
    """

    def __init__(self, count: int) -> None:
        self.lead: NDArray[np.int32] = np.arange(count, dtype=np.int32)
        self.state: NDArray[np.uint8] = np.zeros(count, np.uint8)
        self._measures = Measures()
        # Only those that stand elsewhere than the layout has them.
        self.elsewhere: dict[int, str] = {}

    def set(self, row: int, state: State, size: int, checksum: str | None = None) -> None:
        self.state[row] = state
        known = checksum is not None and checksum.startswith(_SHA256)
        digest = bytes.fromhex(checksum[len(_SHA256) :]) if known and checksum else None
        self._measures.note(row, size, digest)

    def forget(self, row: int) -> None:
        """Take a file that is here for none."""
        self.state[row] = State.ABSENT
        self._measures.forget(row)
        self.elsewhere.pop(row, None)

    def size(self, row: int) -> int:
        """Give the bytes of what is here, ``UNKNOWN_SIZE`` where nothing is."""
        known = self._measures.of(int(self.lead[row]))
        return UNKNOWN_SIZE if known is None else known[0]

    def checksum(self, row: int) -> str | None:
        """Give the SHA-256 of what is here as hex multihash, where it is known."""
        known = self._measures.of(int(self.lead[row]))
        return _SHA256 + known[1].hex() if known and known[1] else None

    def count_files(self) -> int:
        return int(np.count_nonzero(self.lead == np.arange(len(self.lead), dtype=np.int32)))

    def is_here(self, row: int) -> bool:
        return int(self.state[self.lead[row]]) in _HERE  # numpy compares enums slowly

    def states(self) -> NDArray[np.uint8]:
        """Give the state of each asset's file."""
        return np.concatenate([self.state[leads] for leads in pieces(self.lead)])


@dataclass(slots=True)
class Survey:
    """Looks at what is here before anything moves; asks the network for nothing.

    Parameters
    ----------
    brought
        Sizes, by path, of the files that the archive brings.
    before
        The catalog that an earlier run left.
    """

    catalog: Catalog
    layout: Layout
    output: Output
    ledger: Ledger | None
    brought: Mapping[str, int]
    before: Before
    if_exists: IfExists

    def run(self) -> Holdings:
        """Look at every asset of the catalog, chosen or not."""
        holdings = Holdings(len(self.catalog.assets))
        shared: dict[str, int] = {}
        within: dict[str, int] = {}
        item = NO_ITEM
        owners = self.catalog.assets.item
        for row, path in self.layout.assets():
            if owners[row] != item:
                item = int(owners[row])
                within.clear()
            first = (shared if self.layout.is_common(row) else within).setdefault(path, row)
            if first != row and not self._stands_alone(row):
                holdings.lead[row] = first
            else:
                self._look(holdings, row, [path, *self.layout.older(row)])
        return holdings

    def _stands_alone(self, row: int) -> bool:
        """Tell whether an item has its own copy of what others share, as old trees do."""
        return any(self._size(place) is not None for place in self.layout.older(row))

    def _look(self, holdings: Holdings, row: int, places: list[str]) -> None:
        for place in places:
            size = self._size(place)
            if size is None:
                continue
            state, checksum = self._judge(row, place, size)
            if state is not State.ABSENT:
                holdings.set(row, state, size, checksum)
                if place != places[0]:
                    holdings.elsewhere[row] = place
                return

    def _size(self, place: str) -> int | None:
        if place in self.brought:
            return self.brought[place]
        if self.if_exists == "overwrite":
            return None
        status = self.output.status(place)
        return None if status is None else status.st_size

    def _judge(self, row: int, place: str, size: int) -> tuple[State, str | None]:
        """Compare a file with the catalog, else with what an earlier run knew of it."""
        expected = int(self.catalog.assets.size[row])
        known = self._known(row, place, size)
        if self.if_exists == "skip":
            return State.PRESENT if known or size == expected else State.UNVERIFIED, known
        if expected not in {UNKNOWN_SIZE, size}:
            return State.ABSENT, None
        checksum = self.catalog.assets.checksum(row)
        if known and checksum and checksum.startswith(_SHA256) and checksum.lower() != known:
            return State.ABSENT, None
        digest = read_multihash(checksum or "") if known is None else None
        if digest is not None and place not in self.brought:
            is_it = digest.matches(self.output.root / place)
            return (State.PRESENT, checksum) if is_it else (State.ABSENT, None)
        verified = known is not None or expected == size or place in self.brought
        if not verified and self._was_larger_or_smaller(row, place, size):
            return State.ABSENT, None
        return State.PRESENT if verified else State.UNVERIFIED, known

    def _was_larger_or_smaller(self, row: int, place: str, size: int) -> bool:
        """Tell whether an earlier run left a file of another size there: this one is spoilt."""
        entry = self.ledger.get(self.output.root / place) if self.ledger is not None else None
        before = self.before.size(row) if entry is None else entry.size
        return before not in {None, size}

    def _known(self, row: int, place: str, size: int) -> str | None:
        """Give the checksum that an earlier run computed of the file that still stands there."""
        path = self.output.root / place
        entry = self.ledger.whole(path) if self.ledger is not None else None
        if entry is not None:
            return entry.checksum
        checksum = self.before.checksum(row, size)
        if checksum is not None and self.ledger is not None and path.is_file():
            self.ledger.add([self.ledger.entry(path, checksum)])
        return checksum
