"""Tell what a source is: by its address alone, so that a second run need not ask."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from haversack.catalog import Filters
from haversack.catalog.items import LINES
from haversack.download.origin import Origin, parsed, shown
from haversack.download.sources.crawl import crawl
from haversack.download.sources.document import (
    Asker,
    Document,
    Documents,
    absolute,
    check_id,
    features_of,
    links_of,
)
from haversack.download.sources.entries import Entry, items_of
from haversack.download.sources.listing import is_listing, listed, place_of
from haversack.download.sources.search import narrowing, search
from haversack.errors import (
    EmptySourceError,
    FormatError,
    PathNotFoundError,
    UnexpectedAnswerError,
    UnsupportedError,
    UsageError,
)

_ROOTS = frozenset({"catalog.json", "collection.json", "index.html", ""})
_DOCUMENTS = frozenset({".json", ".geojson", *LINES})
_ARCHIVES = (".tar.gz", ".tgz")
_TABLES = (".parquet", ".geoparquet")
_SAYS_NOTHING = re.compile(r"\.{0,2}|api|stac|mlhub|search|collections|items|v\d+(\.\d+)*")
_SUFFIX = re.compile(
    "|".join(f"{re.escape(one)}$" for one in (*_ARCHIVES, *_DOCUMENTS, *_TABLES)), re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class StacApi:
    """A STAC API, by its landing page, to be searched with the filters of the download.

    Examples
    --------
    >>> StacApi("https://api.example/v1")
    StacApi(url='https://api.example/v1')
    """

    url: str

    def __post_init__(self) -> None:
        if not isinstance(self.url, str):
            raise UnsupportedError(
                "the address of a STAC API is a text, as 'https://api.example/v1', "
                f"not {self.url!r}"
            )


Source = str | StacApi | tuple[str, ...]


def urls_in(path: Path) -> tuple[str, ...]:
    """Read a list of URLs, one a line; empty lines and those that begin with # are passed over.

    Raises
    ------
    PathNotFoundError, FormatError
        There is no such file, or it is no text.
    UsageError
        A line, which is named, is no URL that can be fetched.
    EmptySourceError
        No URL is in it.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        raise PathNotFoundError(f"{path} does not exist") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is no list of URLs: {error}") from None
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line and not line.startswith("#")]
    for number, line in numbered:
        try:
            Origin.of(line)
        except UsageError as error:
            raise UsageError(f"{path}: line {number}: {error}") from None
    if not numbered:
        raise EmptySourceError(f"{path} is empty: there is no URL in it")
    return tuple(line for _, line in numbered)


def checked(urls: Iterable[str]) -> tuple[str, ...]:
    """Take URLs, each of which can be fetched.

    Raises
    ------
    UsageError
        One cannot.
    EmptySourceError
        There are none.
    """
    found = tuple(urls)
    if not found:
        raise EmptySourceError("the list of URLs is empty")
    for url in found:
        Origin.of(url)
    return found


def is_bundled(source: Source) -> bool:
    """Tell what is no archive; an address that does not say is taken for one first."""
    if not isinstance(source, str):
        return True
    return is_listing(source) or posixpath.splitext(parsed(source).path)[1] in _DOCUMENTS


def name_of(source: Source) -> str:
    """Name the dataset of a source by its address: the last part of its path that says something.

    Where none does it is the host or bucket. What may be a secret (a query, a user, parameters of
    the path) is in no name.

    Examples
    --------
    >>> name_of("https://a.example/farms/catalog.json"), name_of("https://a.example/farms.tar.gz")
    ('farms', 'farms')
    >>> name_of("s3://bucket/floods/2020/"), name_of("https://a.example/items.json")
    ('2020', 'items')
    >>> name_of("https://a.example/stac/v1/search?token=secret")
    'a.example'
    """
    if isinstance(source, tuple):
        return "files"
    parts = parsed(source.url if isinstance(source, StacApi) else source)
    for part in reversed(unquote(parts.path).split("/")):
        name = part.partition(";")[0].strip()
        if name.lower() not in _ROOTS and not _SAYS_NOTHING.fullmatch(name.lower()):
            return _SUFFIX.sub("", name) or name
    return parts.hostname or parts.netloc.rpartition("@")[2]


def origin_of(source: Source) -> Origin | None:
    """Say whose references those of a source are; those of a list are the user's own."""
    if isinstance(source, tuple):
        return None
    return Origin.of(place_of(source.url if isinstance(source, StacApi) else source))


def identity(source: Source) -> dict[str, Any]:
    """Describe a source, so that a later run knows whether it is the same."""
    if isinstance(source, tuple):
        return {"urls": [shown(url) for url in source]}
    return {"url": shown(source.url if isinstance(source, StacApi) else source)}


def documents_of(
    source: Source, asker: Asker, filters: Filters
) -> tuple[Documents, dict[str, Any]]:
    """Read all documents of a source; also say what was asked for.

    Raises
    ------
    DownloadError
        It is not there, or no STAC.
    """
    told = identity(source)
    if isinstance(source, tuple):
        return items_of(Entry(_file_of(url), url) for url in dict.fromkeys(source)), told
    url = source.url if isinstance(source, StacApi) else source
    root = None if isinstance(source, StacApi) else _at_folder(asker, url)
    if root is None and is_listing(url) and not isinstance(source, StacApi):
        return listed(asker, url, partial(_pass_over, told)), told
    if posixpath.splitext(parsed(url).path)[1] in LINES:
        return _lines(asker, url), told
    root = asker.document(url) if root is None else root
    if links_of(root, "search"):
        return search(asker, url, root, filters), told | {"asked": narrowing(filters)}
    if isinstance(source, StacApi):
        raise UnexpectedAnswerError(f"{shown(url)} is no STAC API: it links to no search")
    return crawl(asker, url, root), told


def _pass_over(told: dict[str, Any], url: str) -> None:
    """Note what is left out: the next run finds that this is not all, and asks again."""
    told.setdefault("passed over", []).append(shown(url))


def _at_folder(asker: Asker, url: str) -> Document | None:
    """Give the STAC document that a web server has where others list a folder."""
    if not (is_listing(url) and url.lower().startswith("http")):
        return None
    kind = asker.get(url).headers.get("content-type", "")
    return asker.document(url) if "json" in kind else None


def _lines(asker: Asker, url: str) -> Documents:
    for number, line in enumerate(asker.get(url).body.splitlines(), 1):
        if line.strip():
            place = f"{shown(url)}: line {number}"
            try:
                document = msgspec.json.decode(line, type=dict)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise UnexpectedAnswerError(f"{place} is no whole JSON object: {error}") from None
            is_page = document.get("type") == "FeatureCollection"
            for each in features_of(document, place) if is_page else [document]:
                check_id(each, place)
                yield absolute(each, url), None


def _file_of(url: str) -> str:
    return posixpath.basename(unquote(parsed(url).path)) or parsed(url).netloc
