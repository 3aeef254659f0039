"""STAC's JSON, decoded as far as the table of items and assets needs it.

STAC 1.0 and 1.1: https://github.com/radiantearth/stac-spec. Geometries and properties stay bytes
until a filter asks for them.
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any, TypeVar

import msgspec

from haversack.errors import FormatError

T = TypeVar("T")
# Relations that say where a document lies in its tree.
TREE_LINKS = frozenset({"root", "self", "parent", "child", "item", "collection", "items"})


class StacAsset(msgspec.Struct, gc=False):
    """One asset as STAC writes it."""

    href: str
    type: str | None = None
    roles: tuple[str, ...] | None = None
    size: int | None = msgspec.field(name="file:size", default=None)
    checksum: str | None = msgspec.field(name="file:checksum", default=None)


class StacLink(msgspec.Struct, gc=False):
    """One link as STAC writes it."""

    rel: str
    href: str


class StacTimes(msgspec.Struct, gc=False):
    """The times among an item's properties."""

    datetime: str | None = None
    start_datetime: str | None = None
    end_datetime: str | None = None


class StacDocument(msgspec.Struct, gc=False):
    """A catalog, a collection or an item."""

    type: str
    stac_version: str
    id: str
    title: str | None = None
    description: str | None = None
    collection: str | None = None
    properties: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    geometry: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    bbox: list[float | None] | None = None
    assets: dict[str, StacAsset] = {}
    links: list[StacLink] = []
    # Read from the properties; no member of STAC has such a name.
    times: StacTimes = msgspec.field(name=" times", default_factory=StacTimes)

    @property
    def kind(self) -> str:
        return _KINDS[self.type]


class _Head(msgspec.Struct):
    """What tells STAC from any other JSON."""

    type: str
    stac_version: str


_KINDS = {"Catalog": "catalog", "Collection": "collection", "Feature": "item"}
_document = msgspec.json.Decoder(StacDocument)
_times = msgspec.json.Decoder(StacTimes)
_head = msgspec.json.Decoder(_Head)
_plain = msgspec.json.Decoder(dict[str, Any])
_NO_NUMBER = re.compile(rb"\b(NaN|Infinity)\b")
_DAMAGE = (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError)


def decode(content: bytes, place: str) -> StacDocument:
    """Decode a catalog, a collection or an item.

    Raises
    ------
    FormatError
        The document is no JSON, or no STAC; it names ``place``.

    Examples
    --------
    >>> decode(b'{"type": "Catalog", "stac_version": "1.1.0", "id": "a"}', "catalog.json").kind
    'catalog'
    """
    try:
        document = _decoded(_document, content)
    except _DAMAGE as error:
        raise FormatError(f"{place} is not whole STAC: {error}") from None
    try:
        document.times = _times.decode(document.properties)
    except _DAMAGE as error:
        raise FormatError(f"{place} is not whole STAC: {_below('properties', error)}") from None
    if document.type not in _KINDS:
        raise FormatError(f"{place} is a {document.type}: neither catalog, collection nor item")
    return document


def _below(name: str, error: Exception) -> str:
    """Tell where in a document its part disagrees, as msgspec would have said it of the whole."""
    said, _, path = str(error).partition(" - at `$")
    return f"{said} - at `$.{name}{path or '`'}"


def is_stac(content: bytes) -> bool:
    """Tell whether JSON claims to be STAC, whole or not."""
    try:
        return _decoded(_head, content).type in _KINDS
    except _DAMAGE:
        return False


def parse(content: bytes, place: str) -> dict[str, Any]:
    """Decode a whole document as plain values."""
    try:
        return _decoded(_plain, content)
    except _DAMAGE as error:
        raise FormatError(f"{place} is not whole JSON: {error}") from None


def _decoded(decoder: msgspec.json.Decoder[T], content: bytes) -> T:
    """Decode JSON, also with the NaN and Infinity that Python writes; these become null."""
    try:
        return decoder.decode(content)
    except msgspec.DecodeError:
        if not _NO_NUMBER.search(content):
            raise
    value = json.loads(content, parse_constant=lambda _: None)
    return decoder.decode(msgspec.json.encode(value))


def is_absolute(href: str) -> bool:
    """Tell an address with a scheme, or an absolute path, from a relative reference."""
    return href.startswith("/") or "://" in href


def path_of(href: str) -> str:
    """Give the path of an address, of whatever text there is: Python's parser refuses some.

    Examples
    --------
    >>> path_of("https://a.example/b/c.json?d"), path_of("b/c.json#d"), path_of("http://[bad/x")
    ('/b/c.json', 'b/c.json', '/x')
    """
    base = href.partition("#")[0].partition("?")[0]
    _, separator, rest = base.partition("://")
    if not separator:
        return base
    _, slash, path = rest.partition("/")
    return f"{slash}{path}"


def resolve(href: str, place: str) -> str:
    """Resolve a relative reference against the place of the document that holds it.

    Places are ``/``-separated and relative to the source's root; one that leads out of it begins
    with ``..``. They are not percent-decoded: catalogs differ in that, so a source that lacks a
    place looks for the decoded one.

    Examples
    --------
    >>> resolve("../a.tif", "scenes/one/one.json")
    'scenes/a.tif'
    >>> resolve("https://example.org/a.tif", "scenes/one/one.json")
    'https://example.org/a.tif'
    """
    if is_absolute(href):
        return href
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), href))
