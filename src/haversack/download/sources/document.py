"""STAC documents as they come from elsewhere: fetched, and with their references made absolute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import msgspec

from haversack.download.access import Access
from haversack.download.failure import of_status
from haversack.download.http import Response, request
from haversack.download.origin import lower_scheme, shown
from haversack.errors import UnexpectedAnswerError

Document = dict[str, Any]
Documents = Iterator[tuple[Document, str | None]]

_TREE = frozenset(
    {"root", "self", "parent", "child", "item", "items", "collection", "next", "prev"}
)
_MOST = 512 << 20


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


def absolute(document: Document, base: str) -> Document:
    """Make the references of a collection or item absolute, and drop the links of its tree."""
    here = next((urljoin(base, link["href"]) for link in links_of(document, "self")), base)
    here = here if lower_scheme(here).startswith(("http://", "https://")) else base
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
        key: asset | {"href": _joined(here, asset["href"])}
        for key, asset in (assets.items() if isinstance(assets, dict) else ())
        if isinstance(asset, dict) and isinstance(asset.get("href"), str)
    }
    itself = {"rel": "self", "href": here, "type": "application/json"}
    return document | {"links": [*kept, itself], "assets": moved}


def _joined(base: str, href: str) -> str:
    return href if "://" in href else urljoin(base, href)
