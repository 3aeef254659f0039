"""Read a static STAC catalog by its links, from whatever document it begins with."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from haversack.download.origin import shown
from haversack.download.sources.document import (
    Asker,
    Document,
    Documents,
    absolute,
    address_of,
    features_of,
    links_of,
)
from haversack.download.sources.endless import Pages, check_depth
from haversack.errors import DownloadError, SourceNotFoundError, UnexpectedAnswerError

_AT_ONCE, _AHEAD = 16, 64
_TOLD = 1000

log = logging.getLogger("haversack.download")


@dataclass(frozen=True, slots=True)
class _Place:
    """A document to read: where, what to post for it, and the collection that leads to it.

    ``holder`` is the document that links to it, ``depth`` how many are above it, and ``pages``
    counts the listing that it is a page of.
    """

    url: str
    parent: str | None
    body: Document | None = None
    holder: str = ""
    depth: int = 0
    pages: Pages = field(default_factory=Pages)


@dataclass(slots=True)
class _Crawl:
    asker: Asker
    waiting: deque[_Place] = field(default_factory=deque)
    seen: set[str] = field(default_factory=set)
    read: int = 0

    def add(self, link: Document, above: _Place, parent: str | None) -> None:
        """Take in what a document links to, once; an address that nobody can fetch is told."""
        try:
            url = address_of(link, above.url)
        except UnexpectedAnswerError as error:
            log.warning("%s: it is passed over", error)
            return
        if url not in self.seen:
            self.seen.add(url)
            self.waiting.append(_Place(url, parent, None, above.url, above.depth + 1))

    def count(self) -> None:
        self.read += 1
        if self.read % _TOLD == 0:
            log.info("%d documents read, %d are known to come", self.read, len(self.waiting))


def crawl(asker: Asker, url: str, root: Document) -> Documents:
    """Give the collections and items below a document, each with the collection it lies in.

    Documents that links lead to and that are not there are passed over, with a warning, and so are
    links that are no URLs of http or https.

    Raises
    ------
    DownloadError
        A document cannot be read, or is no STAC; it names the one that links to it too.
    """
    crawl = _Crawl(asker, seen={url})
    yield from _taken(crawl, root, _Place(url, None))
    pending: deque[tuple[_Place, Future[Document]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE, "haversack-crawl") as pool:
        try:
            while crawl.waiting or pending:
                while crawl.waiting and len(pending) < _AHEAD:
                    place = crawl.waiting.popleft()
                    pending.append((place, pool.submit(asker.document, place.url, place.body)))
                place, future = pending.popleft()
                crawl.count()
                try:
                    yield from _taken(crawl, future.result(), place)
                except SourceNotFoundError as missing:
                    log.warning("%s: a link of %s leads there", missing, shown(place.holder))
                except DownloadError as error:
                    way = f"{shown(place.holder)} links to {shown(place.url)}"
                    raise type(error)(f"{error} ({way})") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _taken(crawl: _Crawl, document: Document, place: _Place) -> Documents:
    kind = document.get("type")
    if kind == "Feature":
        yield absolute(document, place.url), place.parent
    elif kind == "FeatureCollection":
        for feature in features_of(document, shown(place.url)):
            yield absolute(feature, place.url), place.parent
        _turn(crawl, document, place)
    elif kind in {"Catalog", "Collection"}:
        parent = place.parent
        if kind == "Collection":
            parent = str(document.get("id"))
            yield absolute(document, place.url), None
        # Where an API lists the items too, the links to each say the same.
        below = links_of(document, "child", "item")
        items = [] if links_of(document, "item") else links_of(document, "items")
        check_depth(place.depth, place.url)
        for link in below + items:
            crawl.add(link, place, parent)
    else:
        raise UnexpectedAnswerError(f"{shown(place.url)} is no STAC: its type is {kind!r}")


def _turn(crawl: _Crawl, document: Document, place: _Place) -> None:
    """Have the next page of a listing read before all else."""
    follow = next_page(document, place.url, place.body)
    if follow is None or (follow[1] is None and follow[0] in crawl.seen):
        return
    place.pages.note(place.url, document.get("features"))
    crawl.seen.add(follow[0])
    crawl.waiting.appendleft(
        _Place(follow[0], place.parent, follow[1], place.url, place.depth, place.pages)
    )


def next_page(
    document: Document, url: str, body: Document | None
) -> tuple[str, Document | None] | None:
    """Give the address of the next page, and what to post there.

    Raises
    ------
    UnexpectedAnswerError
        It can be fetched from nowhere, so that what is to come would be lost.
    """
    for link in links_of(document, "next"):
        target = address_of(link, url)
        if str(link.get("method", "GET")).upper() != "POST":
            return target, None
        more = link.get("body")
        more = more if isinstance(more, dict) else {}
        return target, (body or {}) | more if link.get("merge") else more
    return None
