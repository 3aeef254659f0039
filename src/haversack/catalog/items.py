"""Read items without a tree around them: an ItemCollection, or a document a line (ndjson)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from haversack.catalog.columns import BytesColumn
from haversack.catalog.source import TreeSource
from haversack.catalog.stac import decode
from haversack.catalog.table import Table
from haversack.errors import FormatError

LINES = frozenset({".ndjson", ".jsonl", ".geojsonl", ".ndgeojson"})
_LONGEST = 64 << 20
_LARGEST = 4 << 30


class _Collection(msgspec.Struct):
    type: str
    features: list[msgspec.Raw]


_collection = msgspec.json.Decoder(_Collection)


@dataclass(slots=True)
class ItemsSource(TreeSource):
    """Items that were read from one file; their documents wait in a nameless one.

    Relative references are to what lies beside the file.
    """

    documents: BytesColumn = field(default_factory=BytesColumn)
    others: dict[str, bytes] = field(default_factory=dict)

    def item(self, row: int, place: str) -> bytes:  # noqa: ARG002
        return self.documents[row]

    def document(self, place: str) -> bytes:
        return self.others[place]


def looks_like_items(path: Path) -> bool:
    """Tell a file of items: by its suffix, or as a FeatureCollection by its head."""
    if path.suffix in LINES:
        return True
    if path.suffix not in {".json", ".geojson"}:
        return False
    try:
        _head.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, OSError):
        return False
    return True


class _Head(msgspec.Struct):
    type: str
    features: msgspec.Raw


_head = msgspec.json.Decoder(_Head)


def read_items(path: Path) -> tuple[ItemsSource, Table, str | None]:
    """Read the items, and collections if any, of one file.

    Raises
    ------
    FormatError
        A document is damaged or no STAC; the message names the line.
    """
    documents = _lines(path) if path.suffix in LINES else _features(path)
    return gather(path, documents)


def gather(
    path: Path, documents: Iterable[tuple[str, bytes]]
) -> tuple[ItemsSource, Table, str | None]:
    """Put documents, each with what to call it in messages, into a table."""
    source, table = ItemsSource(path.parent), Table()
    for name, content in documents:
        document = decode(content, f"{path}: {name}")
        # Each has a place of its own beside the file, which its references are relative to.
        place = f"{path.name}#{name}"
        if document.kind == "item":
            table.add_item(document, place, None, len(content))
            source.documents.append(content)
        elif document.kind == "collection":
            source.others[place] = content
            table.add_collection(document, place)
    return source, table, None


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            if len(line) == _LONGEST:
                raise FormatError(f"{path}: line {number} is longer than {_LONGEST:,} bytes")
            if line.strip():
                yield from _flat(f"line {number}", line.strip(), path)


def _flat(name: str, content: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    """Give a document, or those of a page of them."""
    if b'"FeatureCollection"' not in content[:4096]:
        yield name, content
        return
    for count, feature in enumerate(_decoded(content, f"{path}: {name}").features):
        yield f"{name}, feature {count}", bytes(feature)


def _features(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.stat().st_size > _LARGEST:
        raise FormatError(f"{path} is too large for one ItemCollection: write it as ndjson")
    found = _decoded(path.read_bytes(), str(path))
    for count, feature in enumerate(found.features):
        yield f"feature {count}", bytes(feature)


def _decoded(content: bytes, place: str) -> _Collection:
    try:
        found = _collection.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{place} is no whole ItemCollection: {error}") from None
    if found.type != "FeatureCollection":
        raise FormatError(f"{place} is a {found.type}, not a FeatureCollection")
    return found
