"""Bring a dataset here: its catalog, and the assets that the filters choose."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack, get_args

import numpy as np

from haversack.catalog import Catalog, Filters, Match, Where
from haversack.catalog.filters import select
from haversack.catalog.sources import with_sources as add_sources
from haversack.download.access import Access
from haversack.download.addresses import hosts_of
from haversack.download.apart import check_apart
from haversack.download.bring import Bringing
from haversack.download.holdings import IfExists
from haversack.download.layout import REPORT
from haversack.download.lease import lease
from haversack.download.ledger import LEDGER_NAME, Ledger
from haversack.download.leftovers import Halves, clear_away, clear_beside
from haversack.download.obtain import Given, name_dataset, obtain
from haversack.download.origin import shown
from haversack.download.output import check_directory
from haversack.download.perform import bring_assets, lay_out
from haversack.download.planning import Choice, Plan, make_plan
from haversack.download.report import DownloadReport, FailedAsset, as_csv, no_report, read_csv
from haversack.download.result import failures_of, not_chosen, only_failed, raise_failed, report_of
from haversack.download.secrets import Secrets, secrets_of
from haversack.download.stores import Stores, stores_of
from haversack.download.tuning import Tuning, check_tuning
from haversack.errors import UnsupportedError, UsageError
from haversack.events import Progress, listener
from haversack.storage.looking import as_path, exists
from haversack.storage.multihash import read_multihash
from haversack.storage.names import component

log = logging.getLogger("haversack.download")
_PLAIN = re.compile("1220[0-9a-f]{64}")  # what most are, found fast


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
    stores: Stores | None = None,
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
        Only say what would be fetched, and leave nothing behind. A catalog given by URL is fetched
        into the directory for temporary files, for it says what the dataset has.
    retry_failed
        Fetch only what ``err_report.csv`` of an earlier run names, which must be there. Of a file
        that is here, and of which a sync could not ask, its server is asked; with ``"sync"`` the
        catalog's too.
    raise_errors
        Raise at the end when assets could not be fetched.
    secrets
        Keys, each sent to its own origin only.
    stores
        How ``s3://``, ``gs://`` and ``az://`` are reached; by default as public.
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
        Filters that contradict each other or name what is not there; options that make no sense.
    EmptySelectionError
        Filters that leave nothing.
    FormatError
        The catalog is damaged; ``err_report.csv`` is of another program.
    PathNotFoundError
        ``retry_failed`` where no earlier run ended.
    EmptySourceError
        There is nothing in the source.
    ExistsError
        A file stands where a directory is to be; documents or files of the source lie where the
        dataset would.
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
    started = time.perf_counter()
    flags = {"catalog_only": catalog_only, "with_sources": with_sources, "dry_run": dry_run}
    _check(if_exists, name, flags | {"retry_failed": retry_failed, "raise_errors": raise_errors})
    catalog_only, with_sources, dry_run = map(bool, flags.values())
    tuning = check_tuning(tuning, "download")
    if retry_failed and catalog_only:
        raise UsageError("retry_failed fetches assets, and catalog_only none: give one of them")
    progress = listener(progress)
    times_and_places = collection_filter, datetime, bbox, intersects
    filters = Filters(*times_and_places, asset_keys, roles, media_types, where, match)
    filters.check()
    places, hosts = stores_of(stores), hosts_of(allow_hosts)
    keys = places.joined(secrets_of(secrets))
    access = Access(keys, (*hosts, *places.hosts), ca, tuning, places)
    output = as_path(output_dir)
    elsewhere = output if asset_output_dir is None else as_path(asset_output_dir)
    for directory in (output, elsewhere):
        check_directory(directory)
    named = name_dataset(source, name)
    folder = component(named.dataset_id)
    place, assets = output / folder, elsewhere / folder
    if named.catalog is not None:
        select(named.catalog, filters)
        check_apart(named.catalog, Path(str(named.source)), place, assets)
    if retry_failed and not exists(assets):
        raise no_report(assets / REPORT)  # before the lease makes the directory
    with _leases(() if dry_run else {place, assets}), _scratch(dry_run=dry_run) as scratch:
        failed = read_csv(assets / REPORT) if retry_failed else None
        at = {"ledger": assets / LEDGER_NAME, "scratch": scratch}
        obtained = obtain(named, output, if_exists, access, progress, filters=filters, **at)
        choice = _choose(obtained.catalog, filters, failed, with_sources=with_sources)
        with nullcontext() if dry_run else Ledger(assets / LEDGER_NAME) as ledger:
            keeping = _keeping(if_exists, catalog_only=catalog_only)
            planned = make_plan(choice, place, assets, keeping, ledger)
            # A failed one that is here is one of which a sync could not ask whether it has changed.
            asks = if_exists == "sync" or (retry_failed and if_exists == "resume")
            bringing = Bringing(obtained, planned, access, asks)
            bringing.halves = _tidy(bringing, output / f"{folder}.tar.gz", dry_run=dry_run)
            _tell(planned)
            if ledger is not None:
                lay_out(bringing, ledger, if_exists, progress)
                obtained.remember(ledger)
            if ledger is not None and not catalog_only:
                bring_assets(bringing, ledger, if_exists, progress)
        failures = failures_of(bringing)
        if not dry_run:
            _write_report(planned, [*failures, *not_chosen(choice, failed or [])])
            log.info("%s saved to %s", "catalog" if catalog_only else "assets", planned.assets.root)
    report = report_of(bringing, failures, time.perf_counter() - started, dry_run=dry_run)
    if raise_errors:
        raise_failed(bringing, report, if_exists)
    return report


def plan(source: Given, output_dir: str | os.PathLike[str] = ".", **options: Any) -> DownloadReport:
    """Say what a download would do, before anything moves: a dry run of it.

    Nothing is written or made. Of what lies elsewhere only the catalog is fetched, into the
    directory for temporary files, for it says what the dataset has.

    Parameters
    ----------
    source, output_dir, options
        As :func:`download` takes them, all but ``dry_run``.

    Returns
    -------
    DownloadReport
        Assets and files that are here and that would be fetched, the bytes that are known to come,
        the files of unknown size, and what the disk has free.

    Raises
    ------
    UsageError, DownloadError, FormatError, NotFoundError
        As a download would, before it fetches assets.

    Examples
    --------
    >>> from haversack.demo import make_hub
    >>> _ = make_hub("valley", small=True)
    >>> planned = plan("valley/demo_flood_events", "there", asset_keys=["flood"])
    >>> planned.waiting, planned.files["waiting"], planned.free_bytes > planned.waiting_bytes > 0
    (3, 3, True)
    """
    if "dry_run" in options:
        raise UnsupportedError("plan() has no option 'dry_run': it always is one")
    return download(source, output_dir, dry_run=True, **options)


def _check(if_exists: object, name: object, flags: Mapping[str, object]) -> None:
    """Refuse options that make no sense, before anything begins."""
    if if_exists not in get_args(IfExists):
        raise UsageError(f"if_exists is one of {get_args(IfExists)}, not {if_exists!r}")
    if not isinstance(name, str | None):
        raise UnsupportedError(f"name is a text or None, not {name!r}")
    if name is not None and not name.strip():
        raise UsageError(f"name is what the dataset is to be called, and {name!r} says nothing")
    for flag, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise UnsupportedError(f"{flag} is True or False, not {value!r}")


def _keeping(if_exists: IfExists, *, catalog_only: bool) -> IfExists:
    """Say what counts as here: what no asset is fetched over still is."""
    return "resume" if catalog_only and if_exists == "overwrite" else if_exists


@contextmanager
def _leases(folders: Iterable[Path]) -> Iterator[None]:
    """Hold the leases of directories, always in the same order."""
    with ExitStack() as stack:
        for folder in sorted(folders):
            stack.enter_context(lease(folder))
        yield


@contextmanager
def _scratch(*, dry_run: bool) -> Iterator[Path | None]:
    """Make a directory for what a dry run has to fetch, and take it away."""
    if not dry_run:
        yield None
        return
    with TemporaryDirectory(prefix="haversack-") as folder:
        yield Path(folder)


def _choose(
    catalog: Catalog,
    filters: Filters,
    failed: Sequence[FailedAsset] | None,
    *,
    with_sources: bool,
) -> Choice:
    """Choose by the filters, and of that only what failed before, where that is known."""
    log.info("create stac asset list...")
    selection = select(catalog, filters)
    if with_sources:
        selection = add_sources(selection)
    choice = Choice.of(selection)
    return choice if failed is None else only_failed(choice, failed)


def _tidy(bringing: Bringing, archive: Path, *, dry_run: bool) -> Halves:
    """Remove what no run goes on with; say what is here of the files that are to come."""
    place, assets = bringing.plan.output.root, bringing.plan.assets.root
    if not dry_run and bringing.obtained.archive is not None:
        clear_beside(archive)
    if not dry_run and place != assets:
        clear_away(place)
    return clear_away(assets, bringing.asked_for(), dry_run=dry_run)


def _write_report(plan: Plan, failures: Sequence[FailedAsset]) -> None:
    with plan.assets as writer:
        writer.write(REPORT, [as_csv(failures)])


def _tell(plan: Plan) -> None:
    log.info("%d unique assets in stac catalog.", plan.holdings.count_files())
    for name, count in plan.choice.steps:
        log.info("%d assets after %s filter.", count, name)
    _tell_of_checksums(plan)


def _tell_of_checksums(plan: Plan) -> None:
    """Say which chosen assets have a checksum that nothing can be compared with."""
    told = plan.catalog.assets.checksums()
    rows = [row for row, text in told if not _PLAIN.fullmatch(text) and not read_multihash(text)]
    if rows := [row for row in rows if plan.choice.assets[row]]:
        log.warning(
            "%d assets have a file:checksum that cannot be read, so it is not compared with their "
            "bytes: the first is %r of %s",
            len(rows),
            (plan.catalog.assets.checksum(rows[0]) or "")[:80],
            shown(plan.catalog.target(rows[0])),
        )
