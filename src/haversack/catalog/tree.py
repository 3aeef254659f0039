"""Read a static catalog from a directory by its links."""

from __future__ import annotations

import posixpath
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from haversack.catalog.source import TreeSource
from haversack.catalog.stac import StacDocument, decode, is_stac, resolve
from haversack.catalog.table import Table
from haversack.errors import PathNotFoundError

_ROOTS = ("catalog.json", "collection.json")
_DOWN = {"child", "item"}


@dataclass(slots=True)
class _Walk:
    source: TreeSource
    table: Table = field(default_factory=Table)
    seen: set[str] = field(default_factory=set)
    # Documents to read, each with the id of the collection that leads to it.
    queue: deque[tuple[str, str | None]] = field(default_factory=deque)


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
    walk.queue.append((document.name, None))
    while walk.queue:
        _visit(walk, *walk.queue.popleft())
    return walk.source, walk.table, document.name


def _visit(walk: _Walk, place: str, parent: str | None) -> None:
    if place in walk.seen:
        return
    walk.seen.add(place)
    path = walk.source.path / place
    if not path.is_file():
        walk.source.lost.append(place)
        return
    content = path.read_bytes()
    document = decode(content, str(path))
    if document.kind == "item":
        walk.table.add_item(document, place, parent, len(content))
        return
    if document.kind == "collection":
        walk.table.add_collection(document, place)
        parent = document.id
    walk.queue.extend((found, parent) for found in _below(walk, document, place))


def _below(walk: _Walk, document: StacDocument, place: str) -> list[str]:
    """Places of a document's children and items, by link or where the hub's trees have them."""
    found = []
    for link in document.links:
        if link.rel in _DOWN:
            target = _local(walk.source.path, link.href, place)
            if target is None:
                walk.source.unfollowed.append(link.href)
            else:
                found.append(target)
    return found or _by_layout(walk.source.path, document, place)


def _local(root: Path, href: str, place: str) -> str | None:
    if href.startswith("file://"):
        return unquote(urlsplit(href).path)
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
