"""Do what a plan says: lay the dataset out, bring its assets, and note in its catalog what came."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from haversack.catalog.columns import pieces
from haversack.catalog.source import ArchiveSource
from haversack.catalog.table import NO_ITEM
from haversack.download.bring import Bringing
from haversack.download.confirm import confirm
from haversack.download.holdings import IfExists, State
from haversack.download.ledger import Ledger
from haversack.download.local import LocalCatalog
from haversack.download.planning import Plan, rows_of
from haversack.download.unpack import unpack
from haversack.events import Progress

log = logging.getLogger("haversack.download")


def lay_out(bringing: Bringing, ledger: Ledger, if_exists: IfExists, progress: Progress) -> None:
    """Extract what the archive holds, and write the whole catalog.

    Raises
    ------
    StorageError
        More bytes are known to come than the disk has free, or it refuses.
    """
    plan = bringing.plan
    plan.check_space(bringing.halves.of_known)
    source = plan.catalog.source
    if isinstance(source, ArchiveSource):
        log.info("unarchive %s...", source.path.name)
        unpack(source, plan.placed, plan.assets, ledger, if_exists, progress)
        _note_unpacked(plan, ledger)
    _write_catalog(plan, range(len(plan.catalog.items)), changed=False)


def bring_assets(
    bringing: Bringing, ledger: Ledger, if_exists: IfExists, progress: Progress
) -> None:
    """Bring what is missing, and write the documents of the items of which something came."""
    plan = bringing.plan
    states = plan.holdings.state.copy()
    if if_exists == "resume":
        confirm(bringing.obtained, plan, bringing.access, ledger, progress)
    bringing.run(ledger, progress)
    _write_catalog(plan, _changed_items(plan, states), changed=True)


def _note_unpacked(plan: Plan, ledger: Ledger) -> None:
    """Take the checksums that unpacking computed into the holdings."""
    holdings = plan.holdings
    for row, path in plan.layout.assets() if plan.placed else ():
        place = holdings.elsewhere.get(row, path)
        if place in plan.placed and holdings.state[row] == State.PRESENT:
            entry = ledger.whole(plan.assets.root / place)
            if entry is not None:
                holdings.set(row, State.PRESENT, entry.size, entry.checksum)


def _write_catalog(plan: Plan, items: Iterable[int], *, changed: bool) -> None:
    way = ""
    if plan.assets.root != plan.output.root:
        way = Path(os.path.relpath(plan.assets.root, plan.output.root)).as_posix()
    with plan.output as output:
        local = LocalCatalog(plan.catalog, plan.layout, plan.holdings, way)
        local.write(output, items, changed=changed)


def _changed_items(plan: Plan, before: NDArray[np.uint8]) -> Iterator[int]:
    """Rows of the items of which an asset has come, or was settled."""
    holdings = plan.holdings
    changed = (holdings.state != before) & (holdings.state != State.FAILED)
    items = np.zeros(len(plan.catalog.items), bool)
    for leads, owners in zip(pieces(holdings.lead), pieces(plan.catalog.assets.item), strict=True):
        found = owners.compress(changed[leads])
        items[found[found != NO_ITEM]] = True
    return rows_of(items)
