"""What came of a run: its report, and the assets that failed in it or before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from haversack.catalog import Catalog
from haversack.catalog.table import NO_ITEM
from haversack.download.bring import Bringing
from haversack.download.holdings import IfExists, State
from haversack.download.layout import CATALOG, REPORT
from haversack.download.origin import shown
from haversack.download.planning import Choice, Plan, rows_of
from haversack.download.report import DownloadReport, FailedAsset
from haversack.errors import DownloadError

Identity = tuple[str, str, str]
_STATES = {
    "fetched": [State.FETCHED],
    "present": [State.PRESENT],
    "unverified": [State.UNVERIFIED],
    "failed": [State.FAILED, State.UNSURE],
    "waiting": [State.ABSENT],
}


def report_of(
    bringing: Bringing, failures: Sequence[FailedAsset], seconds: float, *, dry_run: bool
) -> DownloadReport:
    """Count what a run did, or would do, in so many seconds."""
    plan = bringing.plan
    known, unknown = plan.waiting()
    assets = {name: sum(map(plan.count, states)) for name, states in _STATES.items()}
    return DownloadReport(
        dataset_id=bringing.obtained.dataset_id,
        path=plan.output.root,
        catalog=plan.output.root / CATALOG,
        archive=bringing.obtained.archive,
        report=plan.assets.root / REPORT,
        fetched=assets["fetched"],
        present=assets["present"],
        unverified=assets["unverified"],
        failed=assets["failed"],
        waiting=assets["waiting"],
        files={name: sum(map(plan.count_files, states)) for name, states in _STATES.items()},
        bytes=bringing.bytes,
        resumed_bytes=bringing.resumed,
        waiting_bytes=known,
        waiting_unknown=unknown,
        half_bytes=bringing.halves.bytes if known or unknown else 0,
        free_bytes=plan.free_bytes(),
        failures=tuple(failures),
        seconds=seconds,
        dry_run=dry_run,
    )


def failures_of(bringing: Bringing) -> list[FailedAsset]:
    """List every chosen asset that failed, also where several share its file."""
    plan = bringing.plan
    holdings, found = plan.holdings, []
    for row in _failed(plan):
        lead = int(holdings.lead[row])
        collection, item, key = _identity(plan.catalog, row)
        found.append(
            FailedAsset(
                error=bringing.errors[lead],
                dataset_id=bringing.obtained.dataset_id,
                collection_id=collection,
                item_id=item,
                asset_key=key,
                asset_url=shown(plan.catalog.target(row)),
                tries=bringing.tries[lead],
            )
        )
    return found


def _failed(plan: Plan) -> Iterator[int]:
    states = plan.holdings.states()
    return rows_of(plan.choice.assets & ((states == State.FAILED) | (states == State.UNSURE)))


def raise_failed(bringing: Bringing, report: DownloadReport, if_exists: IfExists) -> None:
    """Tell of assets that failed, and how to try again.

    Raises
    ------
    DownloadError
        Some did.
    """
    if report.failures:
        # Overwriting begins anew each time, and whatever else keeps what stood there before.
        anew = " with retry_failed=True (--retry-failed)" if if_exists == "overwrite" else ""
        raise DownloadError(
            f"{len(report.failures)} of {len(bringing.plan.choice)} assets of "
            f"{report.dataset_id!r} could not be fetched; {report.report} lists them. "
            f"Run the same again{anew} to retry"
        )


def only_failed(choice: Choice, before: Sequence[FailedAsset]) -> Choice:
    """Keep of what was chosen only what failed before."""
    wanted = {(one.collection_id, one.item_id, one.asset_key) for one in before}
    rows = [row for row in rows_of(choice.assets) if _identity(choice.catalog, row) in wanted]
    kept = np.zeros_like(choice.assets)
    kept[rows] = True
    return Choice(choice.catalog, kept)


def not_chosen(choice: Choice, before: Sequence[FailedAsset]) -> list[FailedAsset]:
    """Give the failures of before of assets that are not chosen to be tried again."""
    wanted = {(one.collection_id, one.item_id, one.asset_key) for one in before}
    rows = rows_of(choice.assets) if wanted else ()
    tried = wanted.intersection(_identity(choice.catalog, row) for row in rows)
    return [one for one in before if (one.collection_id, one.item_id, one.asset_key) not in tried]


def _identity(catalog: Catalog, row: int) -> Identity:
    item = int(catalog.assets.item[row])
    return (
        catalog.collections[catalog.assets.collection[row]].id,
        "" if item == NO_ITEM else catalog.items.id[item],
        catalog.assets.key[row],
    )
