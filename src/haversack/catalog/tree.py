"""Read a static catalog from a directory by its links."""

from __future__ import annotations

import logging
import posixpath
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from haversack.catalog.source import TreeSource
from haversack.catalog.stac import StacDocument, decode, is_stac, path_of, resolve
from haversack.catalog.table import Table
from haversack.errors import PathNotFoundError

_ROOTS = ("catalog.json", "collection.json")
_DOWN = {"child", "item"}

log = logging.getLogger("haversack.catalog")


@dataclass(frozen=True, slots=True)
class _Found:
    """A document to read, the collection that leads to it, and the document that names it."""

    place: str
    parent: str | None = None
    holder: str | None = None


@dataclass(slots=True)
class _Walk:
    source: TreeSource
    table: Table = field(default_factory=Table)
    seen: set[str] = field(default_factory=set)
    queue: deque[_Found] = field(default_factory=deque)


def root_document(path: Path) -> Path | None:
    """Find the document that a catalog at ``path`` begins with."""
    if path.is_dir():
        return next((path / name for name in _ROOTS if (path / name).is_file()), None)
    return path if path.suffix == ".json" and path.is_file() else None


def looks_like_tree(path: Path) -> bool:
    """Tell whether a static catalog begins at a path."""
    document = root_document(path)
    return document is not None and is_stac(document.read_bytes())


def read_tree(path: Path) -> tuple[TreeSource, Table, str | None]:
    """Read the catalog that begins at ``path`` into a table; also give its root's place.

    What documents link to that is not there, or not in the root's directory when links of the file
    system are followed, is passed over with a warning.

    Raises
    ------
    PathNotFoundError
        There is no catalog.json or collection.json.
    FormatError
        A document is damaged.
    """
    document = root_document(path)
    if document is None:
        raise PathNotFoundError(f"{path} holds no catalog.json or collection.json")
    walk = _Walk(TreeSource(document.parent))
    walk.queue.append(_Found(document.name))
    while walk.queue:
        _visit(walk, walk.queue.popleft())
    return walk.source, walk.table, document.name


def _visit(walk: _Walk, found: _Found) -> None:
    place, parent = found.place, found.parent
    if place in walk.seen:
        return
    walk.seen.add(place)
    path = walk.source.path / place
    if (reason := _unread(walk, found, path)) is not None:
        walk.source.lost.append(place)
        log.warning("%s %s: a link of %s leads there", path, reason, found.holder)
        return
    content = path.read_bytes()
    document = decode(content, str(path))
    if document.kind == "item":
        walk.table.add_item(document, place, parent, len(content))
        return
    if document.kind == "collection":
        walk.table.add_collection(document, place)
        parent = document.id
    walk.queue.extend(_Found(below, parent, str(path)) for below in _below(walk, document, place))


def _unread(walk: _Walk, found: _Found, path: Path) -> str | None:
    """Say why a document is passed over; the root is what the user named, wherever it is."""
    if not path.is_file():
        return "is not there"
    is_ours = found.holder is None or walk.source.is_own(path)
    return None if is_ours else "is not in the catalog's directory"


def _below(walk: _Walk, document: StacDocument, place: str) -> list[str]:
    """Places of a document's children and items, by link or where the hub's trees have them."""
    hrefs = [link.href for link in document.links if link.rel in _DOWN]
    found = [_local(walk.source.path, href, place) for href in hrefs]
    if elsewhere := found.count(None):
        log.warning(
            "%s: %d of its links lead to other machines, and are not followed",
            walk.source.path / place,
            elsewhere,
        )
    here = [target for target in found if target is not None]
    return here or _by_layout(walk.source.path, document, place)


def _local(root: Path, href: str, place: str) -> str | None:
    if href.startswith("file://"):
        return unquote(path_of(href))
    if "://" in href:
        return None
    target = resolve(href, place)
    return target if (root / target).exists() else unquote(target)


def _by_layout(root: Path, document: StacDocument, place: str) -> list[str]:
    folder = root / posixpath.dirname(place)
    if document.kind == "catalog":
        paths = [path / "collection.json" for path in folder.iterdir()]
    else:
        paths = [path / f"{path.name}.json" for path in folder.iterdir()]
    return [path.relative_to(root).as_posix() for path in sorted(paths) if path.is_file()]
