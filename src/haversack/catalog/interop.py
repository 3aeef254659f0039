"""A catalog as pystac's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pystac

from haversack.catalog.stac import TREE_LINKS, is_absolute
from haversack.catalog.times import with_time

if TYPE_CHECKING:
    from haversack.catalog.catalog import Catalog


def to_pystac(catalog: Catalog) -> pystac.Catalog:
    """Build pystac's tree; references to files beside the catalog become absolute paths."""
    root = pystac.Catalog.from_dict(_bare(catalog.root(), "Catalog"))
    root.title = catalog.title
    parents = []
    for row in range(len(catalog.collections)):
        collection = pystac.Collection.from_dict(_bare(catalog.collection(row), "Collection"))
        root.add_child(collection)
        parents.append(collection)
    codes = catalog.items.collection.codes
    for row in range(len(catalog.items)):
        document = _bare(catalog.item(row), "Feature")
        times = with_time(document.get("properties") or {})
        item = pystac.Item.from_dict(document | {"properties": times})
        for asset_row in catalog.items.assets_of(row):
            _locate(catalog, asset_row, item.assets[catalog.assets.key[asset_row]])
        parents[codes[row]].add_item(item)
    return root


def _bare(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """Drop the links that pystac sets itself; a root that is a collection stands in as catalog."""
    links = [link for link in document.get("links", ()) if link.get("rel") not in TREE_LINKS]
    return document | {"links": links, "type": kind}


def _locate(catalog: Catalog, row: int, asset: pystac.Asset) -> None:
    target = catalog.target(row)
    if not is_absolute(target):
        asset.href = str(catalog.path / target)
