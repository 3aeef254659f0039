"""The MLHub API's description of a dataset, and the search through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from haversack.errors import FormatError
from haversack.server.decode import OBJECT, decode
from haversack.server.tree import ABOUT, ENTRANCE, Collection, Tree

_TEXTS = ("title", "description", "keywords")


def describe(tree: Tree) -> tuple[dict[str, Any], str]:
    """Make the dataset object of the MLHub API, and the text that a search looks through.

    The object comes from the catalog and its collections; what ``dataset.json`` says goes before.

    Raises
    ------
    FormatError
        ``dataset.json`` is no JSON object or has an id, a DOI or tags of another kind than text,
        or a collection's fields are not of the kind that STAC asks.
    """
    given = _given(tree)
    try:
        catalog = decode(tree.read(ENTRANCE), OBJECT)
        collections = [
            (entry, decode(tree.read(entry.path), OBJECT)) for entry in tree.collections.values()
        ]
        about = _made(tree, catalog, collections) | given
        told = [[document.get(key) for key in _TEXTS] for _, document in collections]
    except (AttributeError, KeyError, TypeError, ValueError, msgspec.DecodeError) as error:
        raise FormatError(f"{tree.home}: a collection is not as STAC asks: {error!r}") from error
    try:
        return about, searchable([about, told])
    except RecursionError as error:
        raise FormatError(f"{tree.home}: its description is nested too deeply") from error


def _given(tree: Tree) -> dict[str, Any]:
    if tree.about is None:
        return {}
    place = tree.home / ABOUT
    try:
        given = decode(tree.about, OBJECT)
        msgspec.convert(given, _Checked)
    except msgspec.DecodeError as error:
        raise FormatError(f"{place} does not describe a dataset: {error}") from error
    return given


class _Checked(msgspec.Struct):
    id: str = ""
    doi: str | None = None
    tags: list[str] | None = None


def _made(
    tree: Tree, catalog: dict[str, Any], collections: list[tuple[Collection, dict[str, Any]]]
) -> dict[str, Any]:
    documents = [catalog, *(document for _, document in collections)]
    return {
        "id": tree.id,
        "title": catalog.get("title") or tree.id,
        "description": catalog.get("description"),
        "citation": _first(documents, "sci:citation"),
        "doi": _first(documents, "sci:doi"),
        "registry": None,
        "documentation_link": None,
        "bbox": _footprint(document for _, document in collections),
        "collections": [_brief(entry, document) for entry, document in collections],
        "creator_contact": {"contact": None, "creator": _creator(documents)},
        "date_added": _first(documents, "created"),
        "date_modified": _first(documents, "updated"),
        "publications": [],
        "status": "ready",
        "tags": sorted({word for document in documents for word in document.get("keywords") or ()}),
        "tools_applications": None,
        "tutorials": [],
    }


def _first(documents: Iterable[dict[str, Any]], key: str) -> Any:
    return next((document[key] for document in documents if document.get(key)), None)


def _creator(documents: Iterable[dict[str, Any]]) -> str | None:
    providers = _first(documents, "providers") or ()
    return ", ".join(provider["name"] for provider in providers if provider.get("name")) or None


def _brief(entry: Collection, document: dict[str, Any]) -> dict[str, Any]:
    types = sorted(entry.types, reverse=True) or ["source_imagery"]
    return {"id": entry.id, "types": types, "license": document.get("license")}


def _footprint(collections: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    rings = []
    for collection in collections:
        for box in collection.get("extent", {}).get("spatial", {}).get("bbox", ()):
            middle = len(box) // 2
            (west, south), (east, north) = box[:2], box[middle : middle + 2]
            rings.append(
                [[[west, south], [east, south], [east, north], [west, north], [west, south]]]
            )
    return {"type": "MultiPolygon", "coordinates": rings} if rings else None


def searchable(about: Any) -> str:
    r"""Put all text of a description into one string, a line for each field.

    Examples
    --------
    >>> searchable({"title": "Land  Cover", "tags": ["maize", "Rice"], "version": 2})
    'land cover\nmaize\nrice'
    """
    return "\n".join(_plain(text) for text in _texts(about))


def matches(about: dict[str, Any], text: str, *, tags: list[str], phrases: list[str]) -> bool:
    """Tell whether a dataset has every tag exactly and every phrase somewhere in its text.

    Examples
    --------
    >>> matches({"tags": ["crops"]}, "land cover of mali", tags=["crops"], phrases=["Land Cover"])
    True
    >>> matches({"tags": ["crops"]}, "land cover of mali", tags=["crop"], phrases=[])
    False
    """
    has_tags = set(tags) <= set(about.get("tags") or ())
    return has_tags and all(_plain(phrase) in text for phrase in phrases)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
