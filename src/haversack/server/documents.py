"""Catalog documents as they leave the server: with addresses that lead back to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from haversack.server.decode import OBJECT, decode
from haversack.server.index import Dataset, Index
from haversack.server.walk import DOCUMENT

_STRUCTURAL = {"self", "root", "parent", "collection", "child", "item", "items"}


class Addresses:
    """The URLs of all that an index serves, below one base URL."""

    def __init__(self, index: Index, base: str) -> None:
        self._index, self.base = index, base
        self._below: dict[str, str] = {}
        self.api = f"{base}/mlhub/v1"

    def asset(self, dataset: Dataset, path: str) -> str:
        """Address an asset by its path in the dataset's directory."""
        below = self._below.get(dataset.id)
        if below is None:
            below = f"{self.base}/assets/{self._index.segment('assets', dataset.id)}/"
            self._below[dataset.id] = below
        return below + quote(path)

    def archive(self, kind: str, *ids: str) -> str:
        """Address the archive of a catalog (a dataset's id) or collection (its own id last)."""
        token = self._index.segment(kind, *ids)
        return f"{self.base}/archives/{token}/{quote(ids[-1], safe='')}.tar.gz"

    def collection(self, collection: str) -> str:
        """Address a collection's document."""
        return f"{self.api}/collections/{quote(collection, safe='')}"

    def item(self, collection: str, item: str) -> str:
        """Address an item's document."""
        return f"{self.collection(collection)}/items/{quote(item, safe='')}"


def archived(dataset: Dataset, path: str, addresses: Addresses) -> bytes:
    """Take a document as it stands in the catalog's archive: only its assets have moved."""
    document = decode(dataset.tree.read(path), OBJECT)
    _move_assets(dataset, path, document, addresses)
    return msgspec.json.encode(document)


def landing_answer(collections: Iterable[str], addresses: Addresses) -> dict[str, Any]:
    """Make the STAC catalog of all that is served, which the root links of documents lead to."""
    here = {"href": f"{addresses.api}/", "type": "application/json"}
    data = {"href": f"{addresses.api}/collections", "type": "application/json"}
    links = [{"rel": "self"} | here, {"rel": "root"} | here, {"rel": "data"} | data]
    for name in collections:
        href = addresses.collection(name)
        links.append({"rel": "child", "href": href, "type": "application/json"})
    told = {"type": "Catalog", "stac_version": "1.0.0", "id": "haversack", "title": "haversack"}
    return told | {"description": "All collections that this server has.", "links": links}


def collection_answer(dataset: Dataset, path: str, addresses: Addresses) -> dict[str, Any]:
    """Take a collection as the API gives it."""
    document = decode(dataset.tree.read(path), OBJECT)
    _move_assets(dataset, path, document, addresses)
    here = addresses.collection(document["id"])
    document["links"] = [
        {"rel": "self", "href": here, "type": "application/json"},
        {"rel": "root", "href": addresses.api + "/", "type": "application/json"},
        {"rel": "parent", "href": addresses.api + "/", "type": "application/json"},
        {"rel": "items", "href": f"{here}/items", "type": "application/geo+json"},
        *_other_links(dataset, path, document, addresses),
    ]
    return document


def item_answer(
    dataset: Dataset, path: str, collection: str | None, addresses: Addresses
) -> dict[str, Any]:
    """Take an item as the API gives it."""
    document = decode(dataset.tree.read(path), OBJECT)
    _move_assets(dataset, path, document, addresses)
    links = [{"rel": "root", "href": addresses.api + "/", "type": "application/json"}]
    if collection is not None:
        document["collection"] = collection
        here, above = addresses.item(collection, document["id"]), addresses.collection(collection)
        links += [
            {"rel": "self", "href": here, "type": "application/geo+json"},
            {"rel": "parent", "href": above, "type": "application/json"},
            {"rel": "collection", "href": above, "type": "application/json"},
        ]
    document["links"] = links + _other_links(dataset, path, document, addresses)
    return document


def _move_assets(
    dataset: Dataset, path: str, document: dict[str, Any], addresses: Addresses
) -> None:
    for asset in (document.get("assets") or {}).values():
        target = dataset.tree.find(path, asset["href"])
        if target is not None:
            asset["href"] = addresses.asset(dataset, target)


def _other_links(
    dataset: Dataset, path: str, document: dict[str, Any], addresses: Addresses
) -> list[dict[str, Any]]:
    links = []
    for link in document.get("links") or ():
        if link.get("rel") not in _STRUCTURAL:
            href = _leads_to(dataset, path, link.get("href", ""), addresses)
            if href is not None:
                links.append(link | {"href": href})
    return links


def _leads_to(dataset: Dataset, path: str, href: str, addresses: Addresses) -> str | None:
    """Find the address of what a link means; None where the server has nothing to show."""
    if href.startswith(("http://", "https://")):
        return href
    target = dataset.tree.find(path, href)
    if target is None or target not in dataset.tree.documents:
        return None
    document = decode(dataset.tree.read(target), DOCUMENT)
    if document.type == "Collection":
        return addresses.collection(document.id)
    if document.type == "Feature" and document.collection:
        return addresses.item(document.collection, document.id)
    return None
