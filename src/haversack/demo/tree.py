"""Write a dataset as a self-contained STAC tree: links relative, assets with checksums.

Layout: ``DATASET/catalog.json``, ``DATASET/COLLECTION/collection.json``,
``DATASET/COLLECTION/ITEM/ITEM.json`` with the item's assets beside it, what all items share in
``DATASET/_common``, and ``DATASET/dataset.json`` with what the hub says of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_SCIENTIFIC = "https://stac-extensions.github.io/scientific/v1.0.0/schema.json"

MEDIA_TYPES = {
    "tif": "image/tiff; application=geotiff",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "geojson": "application/geo+json",
    "md": "text/markdown",
}


@dataclass(frozen=True, slots=True)
class About:
    """What the hub says of a dataset."""

    id: str
    title: str
    description: str
    doi: str
    tags: tuple[str, ...]
    tools: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to write: its bytes, its suffix, and what STAC says of it."""

    content: bytes
    suffix: str
    title: str
    roles: tuple[str, ...] = ("data",)
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One STAC item; ``when`` is one moment, or the start and the end of a range."""

    id: str
    geometry: Mapping[str, Any]
    when: str | tuple[str, str]
    properties: Mapping[str, Any]
    assets: Mapping[str, Asset]
    sources: Sequence[tuple[str, str]] = ()


class CollectionTree:
    """One collection of a dataset; its items are written as they come."""

    def __init__(
        self,
        dataset: DatasetTree,
        name: str,
        *,
        title: str,
        description: str,
        kind: str,
        extensions: Sequence[str] = (),
    ) -> None:
        self.id, self.kind = name, kind
        self.root = dataset.root / name
        self.root.mkdir()
        self._dataset, self._title, self._description = dataset, title, description
        self._extensions = [_FILE, *extensions]
        self._items: list[str] = []
        self._boxes: list[list[float]] = []
        self._times: list[str] = []
        self._assets: dict[str, Any] = {}

    def add_asset(self, key: str, asset: Asset) -> None:
        """Write an asset of the collection itself."""
        self._assets[key] = _write(self.root, key, asset, f"./{key}.{asset.suffix}")
        self._dataset.wrote(1)

    def add(self, item: Item) -> None:
        """Write an item and its assets."""
        directory = self.root / item.id
        directory.mkdir()
        assets = {
            key: _write(directory, key, asset, f"./{key}.{asset.suffix}")
            for key, asset in item.assets.items()
        }
        box = bounds(item.geometry)
        document = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": self._extensions,
            "id": item.id,
            "collection": self.id,
            "geometry": item.geometry,
            "bbox": box,
            "properties": {**_time(item.when), **item.properties},
            "assets": assets | self._dataset.common("../../"),
            "links": _item_links(item),
        }
        _write_json(directory / f"{item.id}.json", document)
        self._items.append(item.id)
        self._boxes.append(box)
        self._times += [item.when] if isinstance(item.when, str) else item.when
        self._dataset.wrote(len(assets))

    def finish(self) -> dict[str, Any]:
        """Write ``collection.json`` and return its document."""
        boxes = self._boxes
        whole = [
            f(column)
            for f, column in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)
        ]
        about = self._dataset.about
        document = {
            "type": "Collection",
            "stac_version": "1.0.0",
            "stac_extensions": [_FILE, _SCIENTIFIC],
            "id": self.id,
            "title": self._title,
            "description": self._description,
            "license": "CC-BY-4.0",
            "keywords": list(about.tags),
            "providers": [{"name": "haversack", "roles": ["producer", "host"]}],
            "sci:doi": about.doi,
            "sci:citation": citation(about),
            "extent": {
                "spatial": {"bbox": [whole]},
                "temporal": {"interval": [[min(self._times), max(self._times)]]},
            },
            "assets": self._assets,
            "links": _links(
                ("root", "../catalog.json"),
                ("parent", "../catalog.json"),
                *(("item", f"./{name}/{name}.json") for name in self._items),
            ),
        }
        _write_json(self.root / "collection.json", document)
        return document


class DatasetTree:
    """A dataset in the making.

    Parameters
    ----------
    hub
        The hub's directory.
    about
        What the hub says of the dataset.
    wrote
        Called with the number of assets that were written since the last call.
    """

    def __init__(self, hub: Path, about: About, wrote: Callable[[int], None]) -> None:
        self.root, self.about, self.wrote = hub / about.id, about, wrote
        (self.root / "_common").mkdir(parents=True)
        self._common: dict[str, dict[str, Any]] = {}
        self._collections: list[CollectionTree] = []

    def add_common(self, key: str, asset: Asset) -> None:
        """Write an asset that every item added from now on shares."""
        name = f"{key}.{asset.suffix}"
        self._common[key] = _write(self.root / "_common", key, asset, f"_common/{name}")
        self.wrote(1)

    def common(self, up: str) -> dict[str, Any]:
        """Show the shared assets, seen from a directory that lies ``up`` from here."""
        return {key: {**asset, "href": up + asset["href"]} for key, asset in self._common.items()}

    def collection(self, name: str, **about: Any) -> CollectionTree:
        """Begin a collection; the arguments are those of :class:`CollectionTree`."""
        self._collections.append(CollectionTree(self, name, **about))
        return self._collections[-1]

    def finish(self) -> None:
        """Write the collections, the catalog, and the dataset's description."""
        documents = [collection.finish() for collection in self._collections]
        catalog = {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": self.about.id,
            "title": self.about.title,
            "description": self.about.description,
            "links": _links(
                ("root", "./catalog.json"),
                *(
                    ("child", f"./{collection.id}/collection.json")
                    for collection in self._collections
                ),
            ),
        }
        _write_json(self.root / "catalog.json", catalog)
        _write_json(self.root / "dataset.json", self._hub_document(documents))

    def _hub_document(self, collections: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        about = self.about
        boxes = [document["extent"]["spatial"]["bbox"][0] for document in collections]
        kinds = {collection.id: [collection.kind] for collection in self._collections}
        return {
            "id": about.id,
            "title": about.title,
            "description": about.description,
            "citation": citation(about),
            "doi": about.doi,
            "registry": f"https://mlhub.earth/{about.id}",
            "documentation_link": f"{about.id}/_common/documentation.pdf",
            "bbox": {"type": "MultiPolygon", "coordinates": [[_ring(box)] for box in boxes]},
            "collections": [
                {"id": name, "types": types, "license": "CC-BY-4.0"}
                for name, types in kinds.items()
            ],
            "creator_contact": {"creator": "haversack", "contact": "nobody@example.org"},
            "date_added": "2023-11-30T00:00:00+00:00",
            "date_modified": "2024-01-15T00:00:00+00:00",
            "publications": [],
            "status": "ready",
            "tags": list(about.tags),
            "tools_applications": about.tools,
            "tutorials": [],
        }


def citation(about: About) -> str:
    """Say how to cite a dataset."""
    return f'haversack (2023) "{about.title}", Version 1.0. https://doi.org/{about.doi}'


def bounds(geometry: Mapping[str, Any]) -> list[float]:
    """Draw the box around a point or polygon: west, south, east, north."""
    shape = geometry["coordinates"]
    points = [shape] if geometry["type"] == "Point" else shape[0]
    xs, ys = zip(*points, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def _ring(box: Sequence[float]) -> list[list[float]]:
    west, south, east, north = box
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _time(when: str | tuple[str, str]) -> dict[str, Any]:
    if isinstance(when, str):
        return {"datetime": when}
    return {"datetime": None, "start_datetime": when[0], "end_datetime": when[1]}


def _links(*links: tuple[str, str]) -> list[dict[str, str]]:
    return [{"rel": rel, "href": href, "type": "application/json"} for rel, href in links]


def _item_links(item: Item) -> list[dict[str, str]]:
    return _links(
        ("root", "../../catalog.json"),
        ("parent", "../collection.json"),
        ("collection", "../collection.json"),
        *(("source", f"../../{where}/{name}/{name}.json") for where, name in item.sources),
    )


def _write(directory: Path, key: str, asset: Asset, href: str) -> dict[str, Any]:
    (directory / f"{key}.{asset.suffix}").write_bytes(asset.content)
    return {
        "href": href,
        "type": MEDIA_TYPES[asset.suffix],
        "title": asset.title,
        "roles": list(asset.roles),
        **asset.more,
        "file:size": len(asset.content),
        "file:checksum": "1220" + hashlib.sha256(asset.content).hexdigest(),
    }


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
