"""Bring a dataset here: its catalog, and the assets that the filters choose."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

from haversack.catalog import Filters, Match, Where
from haversack.catalog.filters import select
from haversack.catalog.source import ArchiveSource
from haversack.catalog.sources import with_sources as add_sources
from haversack.catalog.table import NO_ITEM
from haversack.download.access import Access, Tuning
from haversack.download.bring import Bringing
from haversack.download.confirm import confirm
from haversack.download.holdings import IfExists, State
from haversack.download.layout import REPORT
from haversack.download.lease import lease
from haversack.download.ledger import LEDGER_NAME, Ledger
from haversack.download.local import LocalCatalog
from haversack.download.obtain import Given, name_dataset, obtain
from haversack.download.plan import Plan, make_plan
from haversack.download.report import DownloadReport, as_csv, read_csv
from haversack.download.result import failures_of, not_chosen, only_failed, report_of
from haversack.download.secrets import Secrets
from haversack.download.unpack import unpack
from haversack.errors import DownloadError, UsageError
from haversack.events import Progress
from haversack.storage.names import component

log = logging.getLogger("haversack.download")


def download(
    source: Given,
    output_dir: str | os.PathLike[str] = ".",
    *,
    name: str | None = None,
    asset_output_dir: str | os.PathLike[str] | None = None,
    catalog_only: bool = False,
    if_exists: IfExists = "resume",
    bbox: Sequence[float] | None = None,
    intersects: Any = None,
    datetime: Any = None,
    collection_filter: Mapping[str, Sequence[str]] | None = None,
    asset_keys: Sequence[str] | None = None,
    roles: Sequence[str] | None = None,
    media_types: Sequence[str] | None = None,
    where: Where | None = None,
    match: Match = "geometry",
    with_sources: bool = False,
    progress: Progress = None,
    dry_run: bool = False,
    retry_failed: bool = False,
    raise_errors: bool = True,
    secrets: Secrets | None = None,
    allow_hosts: Iterable[str] = (),
    ca: str | os.PathLike[str] | None = None,
    **tuning: Unpack[Tuning],
) -> DownloadReport:
    """Download a dataset: its catalog, and its assets or those that the filters choose.

    The catalog lies in ``OUTPUT/ID/catalog.json``, assets in ``OUTPUT/ID/COLLECTION/ITEM/KEY.EXT``,
    those that items share in ``OUTPUT/ID/_common/KEY.EXT``. Nothing has its final name before it
    is whole, and what is here already is not fetched again: a second run of a complete dataset
    asks the network for nothing.

    Parameters
    ----------
    source
        A catalog archive (``.tar.gz``), a static STAC catalog or an ItemCollection by path or URL;
        a STAC API (its landing page, or :class:`StacApi`), which is searched with the filters;
        stac-geoparquet by path; a list of URLs, or the path of a text file of them; a folder on the
        web (a URL that ends in ``/``, ``s3://``, ``gs://``, ``az://ACCOUNT/CONTAINER/``).
    output_dir
        Where the dataset's directory and its archive are put.
    name
        The dataset's id; by default the catalog's, or for a URL its last part that says something.
    asset_output_dir
        Put the assets, the ledger and the error report here instead, under the dataset's id.
    catalog_only
        Fetch no assets; those inside the archive are extracted with it.
    if_exists
        ``"resume"`` keeps what is whole and fetches the rest, ``"skip"`` keeps whatever is here,
        ``"overwrite"`` fetches everything again, ``"sync"`` asks the servers and fetches what is
        missing or has changed, the archive too.
    bbox, intersects, datetime, collection_filter, asset_keys, roles, media_types, where, match
        Choose assets: see :meth:`haversack.catalog.Catalog.select`. The local catalog has every
        item all the same.
    with_sources
        Also take the items that chosen items (of labels) link to as their source.
    progress
        True draws bars; a callable gets :class:`haversack.events.Event` values.
    dry_run
        Only say what would be fetched. An archive given by URL is fetched, for it says what the
        dataset has.
    retry_failed
        Fetch only what ``err_report.csv`` of an earlier run names.
    raise_errors
        Raise at the end when assets could not be fetched.
    secrets
        Keys, each sent to its own origin only.
    allow_hosts
        Hosts to reach although their addresses are more private than the source's.
    ca
        File or directory of certificate authorities.
    tuning
        ``concurrency`` (16: most transfers at once), ``fsync`` (``"batch"``: files are safe from
        power loss, many synced at once; ``"each"``, ``"none"``), ``retries`` (4: tries without
        progress), ``timeout`` (30: seconds of near silence), ``max_bytes_per_second``,
        ``max_requests_per_second``.

    Returns
    -------
    DownloadReport
        Counts, bytes, time, and what is missing.

    Raises
    ------
    UsageError
        Filters that contradict each other or name what is not there.
    EmptySelectionError
        Filters that leave nothing.
    FormatError
        The catalog is damaged.
    StorageError
        The disk is full or refuses; what is whole stays.
    DownloadError
        The catalog, or some assets, could not be fetched; ``err_report.csv`` lists those.

    Examples
    --------
    >>> from haversack.demo import make_hub
    >>> _ = make_hub("hub", small=True)
    >>> wanted = {"demo_flood_events_labels": ["flood"]}
    >>> report = download("hub/demo_flood_events", "here", collection_filter=wanted)
    >>> report.fetched, report.failed
    (3, 0)
    >>> report.catalog.as_posix()
    'here/demo_flood_events/catalog.json'
    """
    if if_exists not in get_args(IfExists):
        raise UsageError(f"if_exists is one of {get_args(IfExists)}, not {if_exists!r}")
    started = time.perf_counter()
    times_and_places = collection_filter, datetime, bbox, intersects
    filters = Filters(*times_and_places, asset_keys, roles, media_types, where, match)
    filters.check()
    access = Access(secrets, tuple(allow_hosts), ca, tuning)
    output = Path(output_dir)
    named = name_dataset(source, output, name)
    if named.catalog is not None:
        select(named.catalog, filters)
    folder = component(named.dataset_id)
    place = output / folder
    assets = place if asset_output_dir is None else Path(asset_output_dir) / folder
    with _leases(() if dry_run else {place, assets}):
        before = read_csv(assets / REPORT) if retry_failed else []
        ledger_path = assets / LEDGER_NAME
        obtained = obtain(
            named,
            output,
            if_exists,
            access,
            progress,
            filters=filters,
            ledger=ledger_path,
            dry_run=dry_run,
        )
        log.info("create stac asset list...")
        selection = select(obtained.catalog, filters)
        if with_sources:
            selection = add_sources(selection)
        if retry_failed:
            selection = only_failed(selection, before)
        with nullcontext() if dry_run else Ledger(ledger_path) as ledger:
            plan = make_plan(selection, place, assets, if_exists, ledger)
            bringing = Bringing(obtained, plan, access, if_exists == "sync")
            _tell(plan)
            if ledger is not None:
                _lay_out(plan, ledger, if_exists, progress)
                obtained.remember(ledger)
            if ledger is not None and not catalog_only:
                states = plan.holdings.state.copy()
                if if_exists == "resume":
                    confirm(obtained, plan, access, ledger, progress)
                bringing.run(ledger, progress)
                _write_catalog(plan, _changed_items(plan, states))
        failures = failures_of(obtained, plan, bringing)
        if not dry_run:
            with plan.assets as writer:
                writer.write(REPORT, [as_csv([*failures, *not_chosen(selection, before)])])
            log.info("%s saved to %s", "catalog" if catalog_only else "assets", plan.assets.root)
    seconds = time.perf_counter() - started
    report = replace(report_of(obtained, plan, bringing, failures), seconds=seconds)
    if failures and raise_errors:
        raise DownloadError(
            f"{len(failures)} of {len(plan.selection.assets)} assets of {obtained.dataset_id!r} "
            f"could not be fetched; {report.report} lists them. Run the same again to retry"
        )
    return report


@contextmanager
def _leases(folders: Iterable[Path]) -> Iterator[None]:
    """Hold the leases of directories, always in the same order."""
    with ExitStack() as stack:
        for folder in sorted(folders):
            stack.enter_context(lease(folder))
        yield


def _tell(plan: Plan) -> None:
    log.info("%d unique assets in stac catalog.", len(np.unique(plan.holdings.lead)))
    for name, count in plan.selection.steps:
        log.info("%d assets after %s filter.", count, name)


def _lay_out(plan: Plan, ledger: Ledger, if_exists: IfExists, progress: Progress) -> None:
    """Extract what the archive holds, and write the whole catalog."""
    plan.check_space()
    source = plan.catalog.source
    if isinstance(source, ArchiveSource):
        log.info("unarchive %s...", source.path.name)
        unpack(source, plan.placed, plan.assets, ledger, if_exists, progress)
        _note_unpacked(plan, ledger)
    _write_catalog(plan, range(len(plan.catalog.items)))


def _note_unpacked(plan: Plan, ledger: Ledger) -> None:
    """Take the checksums that unpacking computed into the holdings."""
    holdings = plan.holdings
    for row, path in plan.layout.assets() if plan.placed else ():
        place = holdings.elsewhere.get(row, path)
        if place in plan.placed and holdings.state[row] == State.PRESENT:
            entry = ledger.whole(plan.assets.root / place)
            if entry is not None:
                holdings.set(row, State.PRESENT, entry.size, entry.checksum)


def _write_catalog(plan: Plan, items: Iterable[int]) -> None:
    way = ""
    if plan.assets.root != plan.output.root:
        way = Path(os.path.relpath(plan.assets.root, plan.output.root)).as_posix()
    with plan.output as output:
        LocalCatalog(plan.catalog, plan.layout, plan.holdings, way).write(output, items)


def _changed_items(plan: Plan, before: NDArray[np.uint8]) -> list[int]:
    """Rows of the items of which an asset has come, or was settled."""
    holdings = plan.holdings
    changed = (holdings.state != before) & (holdings.state != State.FAILED)
    owners = plan.catalog.assets.item[changed[holdings.lead]]
    items: list[int] = np.unique(owners[owners != NO_ITEM]).tolist()
    return items
