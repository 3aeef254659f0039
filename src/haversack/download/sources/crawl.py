"""Read a static STAC catalog by its links, from whatever document it begins with."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urljoin

from haversack.download.origin import shown
from haversack.download.sources.document import (
    Asker,
    Document,
    Documents,
    absolute,
    features_of,
    links_of,
)
from haversack.errors import SourceNotFoundError, UnexpectedAnswerError

_AT_ONCE, _AHEAD = 16, 64

log = logging.getLogger("haversack.download")


@dataclass(frozen=True, slots=True)
class _Place:
    """A document to read: where, what to post for it, and the collection that leads to it."""

    url: str
    parent: str | None
    body: Document | None = None


@dataclass(slots=True)
class _Crawl:
    asker: Asker
    waiting: deque[_Place] = field(default_factory=deque)
    seen: set[str] = field(default_factory=set)

    def add(self, url: str, parent: str | None) -> None:
        if url not in self.seen:
            self.seen.add(url)
            self.waiting.append(_Place(url, parent))


def crawl(asker: Asker, url: str, root: Document) -> Documents:
    """Give the collections and items below a document, each with the collection it lies in.

    Documents that links lead to and that are not there are passed over, with a warning.
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
                try:
                    yield from _taken(crawl, future.result(), place)
                except SourceNotFoundError as missing:
                    log.warning("%s: a link leads there", missing)
        finally:
            pool.shutdown(cancel_futures=True)


def _taken(crawl: _Crawl, document: Document, place: _Place) -> Documents:
    kind = document.get("type")
    if kind == "Feature":
        yield absolute(document, place.url), place.parent
    elif kind == "FeatureCollection":
        for feature in features_of(document, shown(place.url)):
            yield absolute(feature, place.url), place.parent
        follow = next_page(document, place.url, place.body)
        if follow is not None and (follow[1] is not None or follow[0] not in crawl.seen):
            crawl.seen.add(follow[0])
            crawl.waiting.appendleft(_Place(follow[0], place.parent, follow[1]))
    elif kind in {"Catalog", "Collection"}:
        parent = place.parent
        if kind == "Collection":
            parent = str(document.get("id"))
            yield absolute(document, place.url), None
        # Where an API lists the items too, the links to each say the same.
        below = links_of(document, "child", "item")
        items = [] if links_of(document, "item") else links_of(document, "items")
        for link in below + items:
            crawl.add(urljoin(place.url, link["href"]), parent)
    else:
        raise UnexpectedAnswerError(f"{shown(place.url)} is no STAC: its type is {kind!r}")


def next_page(
    document: Document, url: str, body: Document | None
) -> tuple[str, Document | None] | None:
    """Give the address of the next page, and what to post there."""
    for link in links_of(document, "next"):
        target = urljoin(url, link["href"])
        if str(link.get("method", "GET")).upper() != "POST":
            return target, None
        more = link.get("body")
        more = more if isinstance(more, dict) else {}
        return target, (body or {}) | more if link.get("merge") else more
    return None
