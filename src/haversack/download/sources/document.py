"""STAC documents as they come from elsewhere: fetched, and with their references made absolute."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from haversack.download.access import Access
from haversack.download.failure import of_status
from haversack.download.http import Response, request
from haversack.download.origin import joined, located, shown
from haversack.errors import UnexpectedAnswerError, UsageError

Document = dict[str, Any]
Documents = Iterator[tuple[Document, str | None]]

_TREE = frozenset(
    {"root", "self", "parent", "child", "item", "items", "collection", "next", "prev"}
)
_MOST = 512 << 20

log = logging.getLogger("haversack.download")


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks for documents, with what the run's requests share; ``root`` is what the user named."""

    root: str
    access: Access

    def get(self, url: str, body: Document | None = None) -> Response:
        """Fetch anything; a body is posted as JSON.

        Raises
        ------
        SourceNotFoundError
            There is nothing.
        AccessRefusedError, NetworkError
            The server refuses, is not reached, or fails.
        """
        answer = request(
            "GET" if body is None else "POST",
            url,
            headers={"Content-Type": "application/json"} if body is not None else {},
            body=None if body is None else msgspec.json.encode(body),
            secrets=self.access.secrets,
            source_origin=self.root,
            allow_hosts=self.access.allow_hosts,
            ca=self.access.ca,
            max_bytes=_MOST,
        )
        failure = of_status(answer.status, answer.headers, answer.url)
        if failure is not None:
            raise failure.error(failure.message)
        if not 200 <= answer.status < 300:
            raise UnexpectedAnswerError(f"{shown(url)}: HTTP {answer.status} is no document")
        return answer

    def head(self, url: str) -> Mapping[str, str]:
        """Give the headers of an answer, whatever its status."""
        answer = request(
            "HEAD",
            url,
            secrets=self.access.secrets,
            source_origin=self.root,
            allow_hosts=self.access.allow_hosts,
            ca=self.access.ca,
        )
        return answer.headers

    def document(self, url: str, body: Document | None = None) -> Document:
        """Fetch a JSON object.

        Raises
        ------
        UnexpectedAnswerError
            It is something else.
        """
        answer = self.get(url, body)
        found = answer.json()
        if not isinstance(found, dict):
            raise UnexpectedAnswerError(f"{shown(url)} answers JSON that is no STAC: no object")
        return found


def links_of(document: Document, *rels: str) -> list[Document]:
    """Give the links of some relations that have an address."""
    links = document.get("links")
    found = links if isinstance(links, list) else []
    return [
        link
        for link in found
        if isinstance(link, dict) and link.get("rel") in rels and isinstance(link.get("href"), str)
    ]


def check_id(document: Document, place: str) -> None:
    """Refuse a document that cannot be named.

    Raises
    ------
    UnexpectedAnswerError
        It has no id, or one that is no text.
    """
    told = document.get("id")
    if not isinstance(told, str):
        has = "has no id" if told is None else f"has the id {str(told)[:80]}, which is no text"
        raise UnexpectedAnswerError(f"{place}: a document {has}")


def features_of(page: Document, place: str) -> list[Document]:
    """Give the features of a page; what is no object is passed over, and told."""
    features = page.get("features")
    found = features if isinstance(features, list) else []
    kept = [feature for feature in found if isinstance(feature, dict)]
    if len(kept) < len(found):
        count = len(found) - len(kept)
        log.warning("%s: %d of %d features are no objects: left out", place, count, len(found))
    return kept


def target_of(base: str, href: str) -> str | None:
    """Give the URL that a link of a document leads to; None where it cannot be fetched.

    Examples
    --------
    >>> target_of("https://a.example/c/catalog.json", "../i.json")
    'https://a.example/i.json'
    >>> target_of("https://a.example/catalog.json", "file:///etc/hostname") is None
    True
    """
    try:
        return _fetchable(base, href)
    except UsageError:
        return None


def address_of(link: Document, base: str) -> str:
    """Give the URL that a link of the document at ``base`` leads to, where it has to be followed.

    Raises
    ------
    UnexpectedAnswerError
        It cannot be fetched, so that what is there would be lost.
    """
    try:
        return _fetchable(base, link["href"])
    except UsageError as error:
        raise UnexpectedAnswerError(f"{shown(base)}: its link {link['rel']!r}: {error}") from None


def _fetchable(base: str, href: str) -> str:
    target = joined(base, href)
    located(target)
    return target


def absolute(document: Document, base: str) -> Document:
    """Make the references of a collection or item absolute, and drop the links of its tree.

    Those that are no addresses stay as they are: what they are of fails by itself.
    """
    selves = (target_of(base, link["href"]) for link in links_of(document, "self"))
    here = next(selves, base) or base
    links = document.get("links")
    kept = [
        link | {"href": _joined(here, link["href"])}
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict)
        and isinstance(link.get("href"), str)
        and link.get("rel") not in _TREE
    ]
    assets = document.get("assets")
    moved = {
        key: asset | {"href": _joined(here, asset["href"])} if has_address(asset) else asset
        for key, asset in (assets.items() if isinstance(assets, dict) else ())
    }
    itself = {"rel": "self", "href": here, "type": "application/json"}
    return document | {"links": [*kept, itself], "assets": moved}


def has_address(asset: Any) -> bool:
    """Tell an asset that can be fetched: an empty reference would be the document itself."""
    href = asset.get("href") if isinstance(asset, dict) else None
    return isinstance(href, str) and bool(href.strip())


def _joined(base: str, href: str) -> str:
    try:
        return href if "://" in href else joined(base, href)
    except UsageError:
        return href
