"""Get hold of a catalog: fetch or copy its archive, or read it where it lies."""

from __future__ import annotations

import filecmp
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from haversack.catalog import Catalog, Filters, read_catalog
from haversack.catalog.archive import looks_like_archive
from haversack.catalog.source import ArchiveSource
from haversack.download.access import Access
from haversack.download.holdings import IfExists
from haversack.download.ledger import Ledger
from haversack.download.origin import Origin, shown
from haversack.download.output import Output
from haversack.download.sources import (
    Source,
    StacApi,
    bundle,
    checked,
    is_bundled,
    is_of,
    name_of,
    urls_in,
)
from haversack.download.sources.choose import origin_of
from haversack.download.transfer import Outcome, Request, Version
from haversack.errors import (
    EmptySourceError,
    FormatError,
    UnexpectedAnswerError,
    UnsupportedError,
)
from haversack.events import Progress
from haversack.storage.looking import as_path
from haversack.storage.names import component

log = logging.getLogger("haversack.download")
Given = str | os.PathLike[str] | StacApi | Sequence[str]
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Obtained:
    """A catalog that is here, the dataset's id, its archive, and where its references come from.

    ``arrived`` is how the archive came, when it came in this run.
    """

    catalog: Catalog
    dataset_id: str
    archive: Path | None
    origin: Origin | None
    arrived: Outcome | None = None

    def remember(self, ledger: Ledger) -> None:
        """Note the archive's version, which ``if_exists="sync"`` asks for."""
        came = self.arrived
        if came is not None and came.checksum is not None:
            version = {"etag": came.etag, "last_modified": came.last_modified}
            ledger.add([ledger.entry(Path(came.request.path), came.checksum, **version)])


@dataclass(frozen=True, slots=True)
class Named:
    """A source whose dataset has a name; its catalog is read already where it lies here."""

    source: Source
    dataset_id: str
    catalog: Catalog | None


def name_dataset(source: Given, name: str | None) -> Named:
    """Find out what dataset a source is, without fetching or writing anything.

    Raises
    ------
    PathNotFoundError, FormatError
        The source is a path where no whole catalog stands.
    EmptySourceError
        There is nothing in it.
    UsageError
        It is an address that cannot be asked for.
    """
    if isinstance(source, StacApi):
        return _named(source, name)
    if isinstance(source, list | tuple):
        urls = checked(map(str, source))
        return Named(urls, name or name_of(urls), None)
    if not isinstance(source, str | os.PathLike):
        raise UnsupportedError(f"a download's source is a path or a URL, not {source!r}")
    text = os.fspath(source)
    if "://" in text:
        return _named(text, name)
    path = as_path(source)
    if text.endswith(".txt"):
        return Named(urls_in(path), name or path.stem, None)
    catalog = _with_content(read_catalog(path))
    return Named(os.fspath(path), name or catalog.id, catalog)


def _named(source: str | StacApi, name: str | None) -> Named:
    found = name_of(source)
    origin_of(source)  # an address that is none is refused before anything is made
    return Named(source, name or found, None)


def obtain(
    named: Named,
    output: Path,
    if_exists: IfExists,
    access: Access,
    progress: Progress,
    *,
    filters: Filters,
    ledger: Path | None,
    scratch: Path | None = None,
) -> Obtained:
    """Bring the catalog's archive to ``output``, unless it is there, and read it.

    To sync, the server is asked whether it has another version than the one in the ``ledger``.

    A dry run gives a ``scratch`` directory: what has to be fetched or read to know what there is
    goes there, and what lies here already is copied nowhere.

    Raises
    ------
    DownloadError
        The archive cannot be fetched.
    EmptySourceError
        There is nothing in it.
    FormatError
        It is damaged.
    """
    catalog, dataset_id = named.catalog, named.dataset_id
    if catalog is None:
        here = _Here(output, dataset_id, ledger if if_exists == "sync" else None, scratch)
        return _Obtaining(named.source, here, filters, access, progress).run(if_exists)
    archive = None
    if isinstance(catalog.source, ArchiveSource):
        archive = output / f"{component(dataset_id)}.tar.gz"
        if scratch is None:
            _copy(catalog.path, archive)
    return Obtained(catalog, dataset_id, archive, None)


@dataclass(frozen=True, slots=True)
class _Here:
    """Where an archive lies or shall lie, and the ledger that knows its version.

    ``scratch`` is where it goes instead when nothing may be left behind.
    """

    output: Path
    name: str
    ledger: Path | None
    scratch: Path | None

    @property
    def archive(self) -> Path:
        return self.output / f"{component(self.name)}.tar.gz"

    @property
    def target(self) -> Path:
        return (self.scratch or self.output) / self.archive.name

    def read(self) -> tuple[Path, Catalog] | None:
        # The old client's documents show the archive in either place.
        for place in (self.archive, self.output / component(self.name) / self.archive.name):
            if place.is_file() and (catalog := _readable(place)) is not None:
                return place, catalog
        return None

    def version(self) -> Version | None:
        if self.ledger is None or not self.ledger.is_file():
            return None
        with Ledger(self.ledger) as ledger:
            known = ledger.whole(self.archive)
        return known.version() if known else None


@dataclass(frozen=True, slots=True)
class _Obtaining:
    """Brings the archive of a source that lies elsewhere, or makes one of what is no archive."""

    source: Source
    here: _Here
    filters: Filters
    access: Access
    progress: Progress

    def run(self, if_exists: IfExists) -> Obtained:
        found = None if if_exists == "overwrite" else self.here.read()
        bundled = is_bundled(self.source)
        if found is not None:
            ours = is_of(found[1].root(), self.source, self.filters)
            bundled |= ours is not None
            if if_exists != "sync" and (ours or (ours is None and not bundled)):
                return Obtained(found[1], self.here.name, found[0], origin_of(self.source))
        return self._bundle() if bundled else self._fetch(found)

    def _bundle(self) -> Obtained:
        log.info("read %s...", self.here.name)
        here = self.here
        origin = bundle(
            self.source, here.name, here.target, self.filters, self.access, self.progress
        )
        return Obtained(read_catalog(here.target), here.name, here.archive, origin)

    def _fetch(self, found: tuple[Path, Catalog] | None) -> Obtained:
        assert isinstance(self.source, str)
        archive, target, origin = self.here.archive, self.here.target, Origin.of(self.source)
        is_ours = found is not None and found[0] == archive
        log.info("fetch %s from %s...", archive.name, shown(self.source))
        wanted = Request(
            self.source,
            Output(target.parent, named=True).file(target.name),
            unless=self.here.version() if is_ours else None,
        )
        came = self.access.fetch(wanted, origin, self.progress)
        came.raise_failed("the catalog could not be fetched: ")
        if found is not None and came.unchanged:
            return Obtained(found[1], self.here.name, archive, origin)
        if not looks_like_archive(target):
            is_json = _begins_as_json(target)
            target.unlink()  # a source that cannot be read must leave none
            if is_json:
                return self._bundle()
            raise UnexpectedAnswerError(
                f"{shown(self.source)} is no catalog archive, for it is not gzip-compressed, and "
                "no JSON object: is it the right URL?"
            )
        try:
            catalog = _with_content(read_catalog(target))
        except FormatError as error:
            raise UnexpectedAnswerError(f"{error} (it came from {shown(self.source)})") from error
        return Obtained(catalog, self.here.name, archive, origin, came)


def _begins_as_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip()[:1] == b"{"


def _with_content(catalog: Catalog) -> Catalog:
    if catalog.is_empty:
        raise EmptySourceError(f"{catalog.path} is empty: there is no item and no collection in it")
    return catalog


def _readable(archive: Path) -> Catalog | None:
    try:
        return _with_content(read_catalog(archive))
    except (FormatError, EmptySourceError) as error:
        log.warning("%s: it is fetched again", error)
        return None


def _copy(source: Path, archive: Path) -> None:
    """Put a local archive beside the dataset's directory, as a fetched one would lie."""
    if not (archive.is_file() and filecmp.cmp(source, archive, shallow=False)):
        with Output(archive.parent, named=True) as writer:
            writer.write(archive.name, _blocks(source))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
