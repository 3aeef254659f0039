"""The catalog that a download leaves: what is here by relative references, the rest as it was."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from itertools import count
from secrets import token_hex
from typing import Any
from urllib.parse import unquote

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.catalog import Catalog
from haversack.catalog.source import TreeSource
from haversack.catalog.stac import is_absolute, resolve
from haversack.catalog.table import LOOSE
from haversack.catalog.times import with_time
from haversack.download.holdings import Holdings, State
from haversack.download.layout import CATALOG, Layout
from haversack.download.output import Output
from haversack.download.signatures import unsigned

Document = dict[str, Any]

_TREE_LINKS = frozenset({"root", "self", "parent", "child", "item", "items", "collection"})
_JSON, _GEOJSON = "application/json", "application/geo+json"
_LINKS = 1000
_FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_ALTERNATE = "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json"


class LocalCatalog:
    """Makes the documents of the local catalog.

    Parameters
    ----------
    holdings
        Which assets are here, and where.
    assets_at
        The way from the dataset's directory to that of its assets; empty where they are one.
    """

    def __init__(
        self, catalog: Catalog, layout: Layout, holdings: Holdings, assets_at: str = ""
    ) -> None:
        self._catalog, self._layout, self._holdings = catalog, layout, holdings
        self._assets_at = assets_at

    def write(self, output: Output, items: Iterable[int], *, changed: bool) -> None:
        """Write the documents of some items, and those of all collections and the catalog.

        Whatever stands there already is left as it is; items that are known to have ``changed`` are
        not looked at before.
        """
        for row in items:
            path, pieces = self._layout.item_file(row), [_encode(self._item(row))]
            if changed or not output.holds(path, pieces):
                output.write(path, pieces)
        for row in range(len(self._catalog.collections)):
            path = self._layout.collection_file(row)
            output.write_if_changed(path, partial(self._collection, row))
        output.write_if_changed(CATALOG, lambda: [_encode(self._root())])

    def _root(self) -> Document:
        catalog = self._catalog
        document = catalog.root()
        if document.get("type") != "Catalog":
            document = {
                "type": "Catalog",
                "stac_version": document["stac_version"],
                "id": catalog.id,
                "description": document.get("description") or catalog.id,
            }
        links = self._links(document, catalog.place or "", "")
        links.append(_link("root", f"./{CATALOG}", _JSON))
        for row, collection in enumerate(catalog.collections):
            href = "./" + self._layout.collection_file(row)
            links.append(_link("child", href, _JSON, collection.title))
        return _with_description(document) | {"links": links}

    def _collection(self, row: int) -> Iterator[bytes]:
        """Give the document of a collection in pieces, as it links to every item."""
        document = self._catalog.collection(row)
        folder, place = self._layout.collection_folder(row), self._catalog.collections[row].place
        links = self._links(document, place or "", folder)
        links += [_link(rel, f"../{CATALOG}", _JSON) for rel in ("root", "parent")]
        assets = self._layout.assets_of_collection(row)
        mark = token_hex(16)
        document = _with_description(document) | {"links": [*links, mark]}
        whole = _encode(self._with_assets(document, assets, folder))
        head, _, tail = whole.partition(b',\n    "%s"' % mark.encode())
        yield head
        items = self._items_of(row)
        for begin in range(0, len(items), _LINKS):
            ways = (
                _way(folder, self._layout.item_file(i)) for i in map(int, items[begin:][:_LINKS])
            )
            yield _listed([_link("item", way, _GEOJSON) for way in ways])
        yield tail

    def _item(self, row: int) -> Document:
        document = self._catalog.item(row)
        folder = self._layout.item_folder(row)
        links = self._links(document, self._catalog.items.place[row], folder)
        links.append(_link("root", f"../../{CATALOG}", _JSON))
        links += [_link(rel, "../collection.json", _JSON) for rel in ("parent", "collection")]
        document |= {"links": links, "collection": document.get("collection") or self._name(row)}
        document["properties"] = with_time(document.get("properties") or {})
        return self._with_assets(document, self._layout.assets_of(row), folder)

    def _name(self, row: int) -> str:
        return self._catalog.items.collection[row] or LOOSE

    def _items_of(self, row: int) -> NDArray[np.int64]:
        order, codes = self._by_collection
        begin, end = np.searchsorted(codes, [row, row + 1])
        return order[begin:end]

    @cached_property
    def _by_collection(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Rows of the items, those of one collection together, and the collection of each."""
        codes = self._catalog.items.collection.codes
        order: NDArray[np.int64] = np.argsort(codes, kind="stable")
        return order, codes[order]

    def _links(self, document: Document, place: str, folder: str) -> list[Document]:
        """Keep the links that are not the tree's own, pointing to what is here where it is."""
        kept = []
        for link in document.get("links") or ():
            if link.get("rel") not in _TREE_LINKS:
                href = self._redirect(link.get("href", ""), place, folder)
                kept.append(link | {"href": unsigned(href)})
            elif link["rel"] == "self" and "://" in link.get("href", ""):
                kept.append(link | {"rel": "canonical", "href": unsigned(link["href"])})
        return kept

    def _redirect(self, href: str, place: str, folder: str) -> str:
        if is_absolute(href) or not href:
            return href
        target = resolve(href, place)
        path = self._documents.get(target) or self._documents.get(unquote(target))
        if path is not None:
            return _way(folder, path)
        source = self._catalog.source
        return str(source.path / target) if isinstance(source, TreeSource) else href

    @cached_property
    def _documents(self) -> dict[str, str]:
        """Where each document of the source stands here; made only when a link asks."""
        catalog, layout = self._catalog, self._layout
        found = {place: layout.item_file(row) for row, place in enumerate(catalog.items.place)}
        for row, collection in enumerate(catalog.collections):
            found[collection.place or ""] = layout.collection_file(row)
        return found | {catalog.place or "": CATALOG}

    def _with_assets(
        self, document: Document, assets: list[tuple[int, str]], folder: str
    ) -> Document:
        extensions: set[str] = set()
        for row, path in assets:
            asset = document["assets"][self._catalog.assets.key[row]]
            lead = int(self._holdings.lead[row])
            if self._holdings.is_here(row):
                self._settle(asset, lead, self._holdings.elsewhere.get(lead, path), folder)
            else:
                self._send_away(asset, row)
            _unsign_alternates(asset)
            extensions |= {_ALTERNATE} if "alternate" in asset else set()
            extensions |= {_FILE} if "file:checksum" in asset or "file:size" in asset else set()
        listed = list(document.get("stac_extensions") or ())
        new = sorted(url for url in extensions if not any(_same(url, one) for one in listed))
        return document | {"stac_extensions": listed + new}

    def _settle(self, asset: Document, lead: int, path: str, folder: str) -> None:
        """Point an asset at its file here, and keep where it came from."""
        if "://" in asset["href"]:
            asset["alternate"] = _with_remote(asset.get("alternate"), unsigned(asset["href"]))
        asset["href"] = _way(folder, posixpath.join(self._assets_at, path))
        if int(self._holdings.state[lead]) != State.UNVERIFIED:
            asset["file:size"] = self._holdings.size(lead)
            checksum = self._holdings.checksum(lead)
            if checksum is not None:
                asset["file:checksum"] = checksum

    def _send_away(self, asset: Document, row: int) -> None:
        """Give an asset that is not here the absolute address that it has elsewhere."""
        source = self._catalog.source
        remote = None if is_absolute(asset["href"]) else remote_of(asset)
        if remote is not None:
            asset["href"] = remote
        elif not is_absolute(asset["href"]) and isinstance(source, TreeSource):
            asset["href"] = str(source.path.resolve() / self._catalog.target(row))
        asset["href"] = unsigned(asset["href"])


def _with_remote(alternates: Any, href: str) -> Document:
    """Add where an asset came from as ``remote``; another of that name is kept under a free one."""
    others = dict(alternates) if isinstance(alternates, dict) else {}
    other = others.pop("remote", None)
    if other is None:
        return {"remote": {"href": href}} | others
    if remote_of({"alternate": {"remote": other}}) == href:
        return {"remote": other} | others
    free = next(name for n in count(1) if (name := f"remote-{n}") not in others)
    return {"remote": {"href": href}, free: other} | others


def _unsign_alternates(asset: Document) -> None:
    alternates = asset.get("alternate")
    for one in alternates.values() if isinstance(alternates, dict) else ():
        if isinstance(one, dict) and isinstance(one.get("href"), str):
            one["href"] = unsigned(one["href"])


def remote_of(asset: Document) -> str | None:
    """Give the address that an earlier download kept of an asset."""
    alternates = asset.get("alternate")
    remote = alternates.get("remote") if isinstance(alternates, dict) else None
    href = remote.get("href") if isinstance(remote, dict) else None
    return href if isinstance(href, str) else None


def _same(url: str, other: Any) -> bool:
    """Tell whether two extension URLs differ in their version alone."""
    return isinstance(other, str) and other.split("/v")[0] == url.split("/v", maxsplit=1)[0]


def _with_description(document: Document) -> Document:
    return document | {"description": document.get("description") or document["id"]}


def _link(rel: str, href: str, kind: str, title: str | None = None) -> Document:
    return {"rel": rel, "href": href, "type": kind} | ({"title": title} if title else {})


def _way(folder: str, path: str) -> str:
    """Write the relative reference from a document's folder to a path of the dataset."""
    here, there = folder.split("/") if folder else [], path.split("/")
    while here and here[0] == there[0]:
        del here[0], there[0]
    return ("../" * len(here) or "./") + "/".join(there)


def _encode(document: Document) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _listed(values: list[Document]) -> bytes:
    """Write values as they follow others in a list one level below the document."""
    text = msgspec.json.format(msgspec.json.encode(values), indent=2)
    return b"," + text[1:-2].replace(b"\n", b"\n  ")
