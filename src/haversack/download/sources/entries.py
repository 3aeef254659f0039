"""Make items of files that no catalog describes: what is told of each, and its path."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, count
from mimetypes import guess_type
from typing import Any

from haversack.catalog.times import with_time
from haversack.download.sources.document import Document, Documents

_LOOSE = "items"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: its path below the folder, its address, and what is told of it.

    ``modified`` is the moment of its last change, as RFC 3339 has it.
    """

    path: str
    url: str
    size: int | None = None
    md5: str | None = None
    modified: str | None = None


def items_of(entries: Iterable[Entry]) -> Documents:
    """Make an item for each file, in the collection of its first folder, named by its path.

    Of files of one name the second is called with its suffix, and others with a number.
    """
    taken: set[tuple[str, str]] = set()
    for entry in entries:
        folder, _, rest = entry.path.rpartition("/")
        collection, _, inner = folder.partition("/")
        collection = collection or _LOOSE
        whole = "__".join([*filter(None, inner.split("/")), rest])
        name = _free(taken, collection, whole)
        taken.add((collection, name))
        yield _item(entry, collection, name), collection


def _free(taken: set[tuple[str, str]], collection: str, whole: str) -> str:
    plain = posixpath.splitext(whole)[0] or whole
    numbered = (f"{whole}~{number}" for number in count(2))
    names = chain((plain, whole), numbered)
    return next(name for name in names if (collection, name) not in taken)


def _item(entry: Entry, collection: str, name: str) -> Document:
    asset: dict[str, Any] = {"href": entry.url, "roles": ["data"]}
    kind = guess_type(entry.path)[0]
    asset |= {"type": kind} if kind else {}
    asset |= {"file:size": entry.size} if entry.size is not None else {}
    asset |= {"file:checksum": f"d50110{entry.md5}"} if entry.md5 else {}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": None,
        "properties": with_time({"datetime": entry.modified}),
        "links": [],
        "assets": {"data": asset},
    }
