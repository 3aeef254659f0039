"""Take the images that labels were drawn on: the items that chosen items link to as source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import numpy as np

from haversack.catalog.filters import Selection
from haversack.catalog.stac import is_absolute, path_of, resolve

_OF_API = re.compile(r"/collections/([^/]+)/items/([^/]+)/?$")
_OF_TREE = re.compile(r"(?:^|/)([^/]+)/([^/]+)/\2\.json$")  # as the old hub lays items out


def with_sources(selection: Selection) -> Selection:
    """Add to a selection the items that its items name as ``source``, with all their assets.

    Links are followed within the catalog, and to addresses of its ids: those that a STAC API gives
    to items, and ``COLLECTION/ITEM/ITEM.json`` anywhere.
    """
    catalog = selection.catalog
    by_place = {place: row for row, place in enumerate(catalog.items.place)}
    by_name = {
        (catalog.items.collection[row], name): row for row, name in enumerate(catalog.items.id)
    }
    items = set(selection.items.tolist())
    found: set[int] = set()
    for row in items:
        for href in _sources(catalog.item(row)):
            target = _find(href, catalog.items.place[row], by_place, by_name)
            if target is not None and target not in items:
                found.add(target)
    more = [asset for row in found for asset in catalog.items.assets_of(row)]
    return Selection(
        catalog,
        np.union1d(selection.items, np.array(sorted(found), np.int64)),
        np.union1d(selection.assets, np.array(more, np.int64)),
        selection.steps,
    )


def _sources(document: dict[str, Any]) -> Iterator[str]:
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "source":
            href = link.get("href")
            if isinstance(href, str):
                yield href


def _find(
    href: str, place: str, by_place: dict[str, int], by_name: dict[tuple[str, str], int]
) -> int | None:
    if not is_absolute(href):
        target = resolve(href, place)
        found = by_place.get(target, by_place.get(unquote(target)))
        if found is not None:
            return found
    path = path_of(href)
    named = _OF_API.search(path) or _OF_TREE.search(path)
    return by_name.get((unquote(named.group(1)), unquote(named.group(2)))) if named else None
