"""Search a STAC API: page after page, and split by time where a server gives no more."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from haversack.catalog import Filters
from haversack.catalog.times import EARLIEST, LATEST, Span, microseconds, show
from haversack.download.origin import joined, shown
from haversack.download.sources.crawl import next_page
from haversack.download.sources.document import (
    Asker,
    Document,
    Documents,
    absolute,
    address_of,
    features_of,
    links_of,
)
from haversack.download.sources.endless import Pages
from haversack.errors import DownloadError, SourceNotFoundError, UnexpectedAnswerError

_PAGE = 500
_SHORTEST = 1_000_000  # microseconds: a shorter span is not split any more
_FIRST = microseconds(datetime(1950, 1, 1, tzinfo=UTC))

log = logging.getLogger("haversack.download")


def narrowing(filters: Filters) -> dict[str, Any]:
    """Say to a server what the filters ask for; ours decide all the same."""
    criteria = filters.check()
    asked: dict[str, Any] = {}
    if filters.collection_filter:
        asked["collections"] = sorted(filters.collection_filter)
    if criteria.span is not None:
        asked["datetime"] = _interval(criteria.span)
    if criteria.box is not None:
        asked["bbox"] = [each for each in criteria.box if not math.isinf(each)]
    if criteria.area is not None:
        import shapely

        asked["intersects"] = json.loads(shapely.to_geojson(criteria.area))
    return asked


def _interval(span: Span) -> str:
    return f"{show(span[0]) or '..'}/{show(span[1]) or '..'}"


@dataclass(slots=True)
class _Search:
    asker: Asker
    url: str
    post: bool
    asked: dict[str, Any]
    seen: set[tuple[str, str]] = field(default_factory=set)
    most: int = 0  # items that one search has given to its end
    pages: Pages = field(default_factory=Pages)

    def run(self, span: Span) -> Iterator[tuple[Document, str]]:
        """Give the items of a time span, each once; halve the span where some do not come."""
        counted, matched, failed = 0, None, None
        try:
            for page, url in self._pages(span):
                matched = _matched(page)
                features = features_of(page, shown(url))
                counted += _given(page)  # what is left out counts too, as it does for the server
                for feature in features:
                    if self._is_new(feature):
                        yield feature, url
        except DownloadError as error:
            if not counted or self.pages.endless:
                raise
            failed = error
        if failed is None and (matched is None or counted >= matched or self._is_all(counted)):
            if matched is not None and counted < matched:
                log.warning(
                    "%s says that %s items match, and gives %s: taken for an estimate",
                    shown(self.url),
                    matched,
                    counted,
                )
            return
        halves = _halves(span)
        if halves is None:
            raise failed or UnexpectedAnswerError(
                f"{shown(self.url)} says that {matched} items match at one moment, and gives "
                f"{counted} of them: narrow the search with other filters (bbox, collections)"
            )
        log.info("the server gives %d of %s items at once: asked for by time", counted, matched)
        for half in halves:
            yield from self.run(half)

    def _is_all(self, counted: int) -> bool:
        """Tell whether a search came to its end by itself, whatever number the server estimated.

        One that a server cuts off gives as many items as any other.
        """
        self.most = max(self.most, counted)
        return counted < self.most or not counted

    def _is_new(self, feature: Document) -> bool:
        name = str(feature.get("collection")), str(feature.get("id"))
        if name in self.seen:
            return False
        self.seen.add(name)
        return True

    def _pages(self, span: Span) -> Iterator[tuple[Document, str]]:
        asked = self.asked | {"limit": _PAGE}
        if span != (EARLIEST, LATEST):
            asked["datetime"] = _interval(span)
        url, body = (self.url, asked) if self.post else (_with_query(self.url, asked), None)
        visited: set[str] = set()
        self.pages = Pages()
        while True:
            page = self.asker.document(url, body)
            yield page, url
            follow = next_page(page, url, body)
            key = json.dumps(follow)
            if follow is None or key in visited or not page.get("features"):
                return
            self.pages.note(url, page["features"])
            visited.add(key)
            url, body = follow


def _with_query(url: str, asked: dict[str, Any]) -> str:
    told = {}
    for name, value in asked.items():
        if isinstance(value, list):
            told[name] = ",".join(map(str, value))
        else:
            told[name] = json.dumps(value) if isinstance(value, dict) else str(value)
    return f"{url}{'&' if '?' in url else '?'}{urlencode(told)}"


def _given(page: Document) -> int:
    features = page.get("features")
    return len(features) if isinstance(features, list) else 0


def _matched(page: Document) -> int | None:
    context = page.get("context")
    context = context if isinstance(context, dict) else {}
    found = page.get("numberMatched", context.get("matched"))
    return found if isinstance(found, int) else None


def _halves(span: Span) -> tuple[Span, Span] | None:
    first = max(span[0], _FIRST) if span[0] != EARLIEST else _FIRST
    now = microseconds(datetime.now(UTC)) + 86_400_000_000
    last = span[1] if span[1] != LATEST else now
    if last - first < _SHORTEST:
        return None
    middle = first + (last - first) // 2
    # The ends stay open where they were, and nothing falls between the halves.
    return (span[0], middle), (middle, span[1])


def search(asker: Asker, url: str, root: Document, filters: Filters) -> Documents:
    """Search the API that a landing page is of; collections come before their items."""
    links = links_of(root, "search")
    posts = [link for link in links if str(link.get("method", "")).upper() == "POST"]
    link = (posts or links)[0]
    found = _Search(asker, address_of(link, url), bool(posts), narrowing(filters))
    span = filters.check().span or (EARLIEST, LATEST)
    known: set[str] = set()
    for feature, page in found.run(span):
        collection = feature.get("collection")
        if isinstance(collection, str) and collection not in known:
            known.add(collection)
            yield from _collection(asker, url, root, collection)
        yield absolute(feature, page), None


def _collection(asker: Asker, url: str, root: Document, name: str) -> Documents:
    data = next((address_of(link, url) for link in links_of(root, "data")), None)
    place = data or joined(url if url.endswith("/") else f"{url}/", "collections")
    url = f"{place.rstrip('/')}/{quote(name, safe='')}"
    try:
        document = asker.document(url)
    except SourceNotFoundError:
        return
    yield absolute(document, url), None
