"""Read a catalog archive as the old hub served it: one stream, no extraction."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path

from haversack.catalog.gzipped import GzipFile
from haversack.catalog.source import ArchiveSource
from haversack.catalog.stac import StacDocument, decode, resolve
from haversack.catalog.table import Table
from haversack.catalog.tar import Caps, Member, read_members
from haversack.errors import EmptySourceError, FormatError

_NAMES = {"catalog.json", "collection.json"}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An item that the rest of the archive must place."""

    document: StacDocument
    member: Member


@dataclass(slots=True)
class _Reading:
    source: ArchiveSource
    prefix: str  # of what documents are called in messages
    table: Table = field(default_factory=Table)
    above: dict[str, StacDocument] = field(default_factory=dict)
    waiting: list[_Waiting] = field(default_factory=list)
    damaged: dict[str, FormatError] = field(default_factory=dict)


def read_archive(path: Path, caps: Caps | None = None) -> tuple[ArchiveSource, Table, str | None]:
    """Read an archive into a table; also give the place of its root document.

    Items are the documents that catalogs link to, and those that lie as the hub's archives have
    them (``ID/ID.json``); any other JSON is a file like others.

    Raises
    ------
    EmptySourceError
        The archive is whole, and nothing is in it.
    FormatError
        The archive or one of its documents is damaged, or its names are not safe.
    """
    reading = _Reading(ArchiveSource(path, GzipFile(path)), f"{path}: ")
    blocks, count = reading.source.content.blocks(), 0
    for member, content in read_members(blocks, path, caps or Caps(), _may_be_stac):
        count += 1
        if content is None or not _take_document(reading, member, content):
            reading.source.files[member.name] = member
    if not count:
        raise EmptySourceError(f"{path} is empty: there is no file in it")
    linked = _linked(reading.above)
    _refuse_damage(reading, linked)
    _place_waiting(reading, linked)
    return reading.source, reading.table, _root(reading.above)


def _may_be_stac(name: str) -> bool:
    return name.endswith(".json")


def _take_document(reading: _Reading, member: Member, content: bytes) -> bool:
    try:
        document = decode(content, reading.prefix + member.name)
    except FormatError as error:
        reading.damaged[member.name] = error
        return False
    if document.type != "Feature":
        reading.above[member.name] = document
        reading.source.documents[member.name] = content
        if document.kind == "collection":
            reading.table.add_collection(document, member.name)
    elif document.collection and _lies_as_item(member.name):
        _add(reading, document, member, None)
    else:
        reading.waiting.append(_Waiting(document, member))
    return True


def _lies_as_item(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    return base == folder.rpartition("/")[2] + ".json"


def _add(reading: _Reading, document: StacDocument, member: Member, parent: str | None) -> None:
    reading.table.add_item(document, member.name, parent, member.size)
    reading.source.offsets.append(member.offset)
    reading.source.sizes.append(member.size)


def _linked(above: dict[str, StacDocument]) -> dict[str, str]:
    """Map each place that a catalog or collection links to as child or item to the linking one."""
    return {
        resolve(link.href, place): place
        for place, document in above.items()
        for link in document.links
        if link.rel in {"child", "item"}
    }


def _refuse_damage(reading: _Reading, linked: dict[str, str]) -> None:
    for name, error in reading.damaged.items():
        if name in linked or _lies_as_item(name) or posixpath.basename(name) in _NAMES:
            raise error


def _place_waiting(reading: _Reading, linked: dict[str, str]) -> None:
    any_linked = len(reading.table) > 0
    any_linked |= any(waiting.member.name in linked for waiting in reading.waiting)
    for waiting in reading.waiting:
        name = waiting.member.name
        if any_linked and name not in linked and not _lies_as_item(name):
            reading.source.files[name] = waiting.member
            continue
        _add(reading, waiting.document, waiting.member, _parent(reading.above, linked, name))


def _parent(above: dict[str, StacDocument], linked: dict[str, str], name: str) -> str | None:
    """Find the collection that links to an item, or whose folder it lies in."""
    place = linked.get(name)
    if place is not None and above[place].kind == "collection":
        return above[place].id
    folders = {posixpath.dirname(p): d.id for p, d in above.items() if d.kind == "collection"}
    folder = posixpath.dirname(name)
    while folder and folder not in folders:
        folder = posixpath.dirname(folder)
    return folders.get(folder)


def _root(above: dict[str, StacDocument]) -> str | None:
    """Choose the root: the highest catalog, else the highest collection."""
    ranked = sorted(above, key=lambda p: (above[p].kind != "catalog", p.count("/"), p))
    return ranked[0] if ranked else None


def looks_like_archive(path: Path) -> bool:
    """Tell a gzip file by its first bytes."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
