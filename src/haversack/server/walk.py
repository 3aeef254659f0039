"""Read a dataset's directory from its catalog down the links."""

from __future__ import annotations

import logging
import posixpath
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from haversack.errors import FormatError
from haversack.server.decode import decode
from haversack.server.tree import (
    ABOUT,
    ENTRANCE,
    Collection,
    Stamp,
    Tree,
    find,
    is_elsewhere,
    stamp,
)

log = logging.getLogger("haversack.server")


class DamagedTreeError(FormatError):
    """A document of a tree, at ``place``, is missing or is no STAC."""

    def __init__(self, place: Path, what: str) -> None:
        super().__init__(f"{place} {what}")
        self.place = place


class Link(msgspec.Struct, gc=False):
    """A STAC link."""

    rel: str = ""
    href: str = ""


class Asset(msgspec.Struct, gc=False):
    """A STAC asset."""

    href: str


class Document(msgspec.Struct):
    """What the server must know of a STAC catalog, collection or item."""

    id: str
    type: str = ""
    collection: str | None = None
    links: list[Link] = []
    assets: dict[str, Asset] | None = None
    properties: dict[str, msgspec.Raw] | None = None
    stac_extensions: list[str] | None = None

    @property
    def is_label(self) -> bool:
        """Whether this item holds labels rather than imagery."""
        extensions = self.stac_extensions or ()
        return any(name == "label" or "/label/" in name for name in extensions)

    @property
    def is_model(self) -> bool:
        """Whether this item describes a trained model."""
        return any(name.startswith("ml-model:") for name in self.properties or ())


DOCUMENT = msgspec.json.Decoder(Document)


def read_tree(home: Path) -> Tree:
    """Read the catalog in ``home`` with all its collections and items.

    Raises
    ------
    DamagedTreeError
        A document is missing, is no JSON, or is no STAC.
    """
    reader = _Reader(home)
    reader.walk()
    return reader.tree()


class _Reader:
    """Walks from the catalog down its child and item links."""

    def __init__(self, home: Path) -> None:
        self._home, self._real = home, home.resolve()
        self._documents: set[str] = set()
        self._collections: dict[str, Collection] = {}
        self._models: dict[str, str] = {}
        self._assets: dict[str, set[str]] = {}
        self._stamps: dict[str, Stamp] = {}
        self._safe_directories = {""}
        self._outside: list[str] = []
        self._id = ""

    def walk(self) -> None:
        waiting: list[tuple[str, Collection | None]] = [(ENTRANCE, None)]
        while waiting:
            path, parent = waiting.pop()
            if path in self._documents:
                continue
            document = self._read(path)
            self._documents.add(path)
            self._note_assets(path, document)
            if document.type == "Feature":
                self._note_item(path, document, parent)
            else:
                inside = self._enter(path, document, parent)
                waiting += [(target, inside) for target in self._targets(path, document)]

    def tree(self) -> Tree:
        if self._outside:
            told = f"{len(self._outside)} assets lie outside their dataset and are not served"
            log.warning("%s: %s, the first is %s", self._home, told, self._outside[0])
        self._stamps[ABOUT] = stamp(self._home / ABOUT)
        for collection in self._collections.values():
            ordered = sorted(collection.items.items())
            collection.items.clear()
            collection.items.update(ordered)
        return Tree(
            home=self._home,
            id=self._id,
            about=self._bytes(ABOUT) if self._stamps[ABOUT] else None,
            documents=frozenset(self._documents),
            collections=self._collections,
            models=self._models,
            assets=_shared(self._assets),
            stamps=self._stamps,
        )

    def _read(self, path: str) -> Document:
        before = stamp(self._home / path)
        try:
            document = decode(self._bytes(path), DOCUMENT)
        except msgspec.DecodeError as error:
            what = f"is not a STAC document: {error}"
            raise DamagedTreeError(self._home / path, what) from error
        if document.type != "Feature":
            self._stamps[path] = before
        return document

    def _bytes(self, path: str) -> bytes:
        if not self._stays_inside(path):
            raise DamagedTreeError(self._home / path, "is a link to a place outside its dataset")
        try:
            return (self._home / path).read_bytes()
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise DamagedTreeError(self._home / path, what) from error

    def _stays_inside(self, path: str) -> bool:
        directory = posixpath.dirname(path)
        if directory not in self._safe_directories:
            if not self._stays_inside(directory):
                return False
            self._safe_directories.add(directory)
        whole = self._home / path
        return not whole.is_symlink() or whole.resolve().is_relative_to(self._real)

    def _targets(self, path: str, document: Document) -> Iterator[str]:
        # Backwards, as the last one is taken first.
        for link in reversed(document.links):
            if link.rel in {"child", "item"}:
                target = find(self._home, path, link.href)
                if target is not None:
                    yield target

    def _enter(self, path: str, document: Document, parent: Collection | None) -> Collection | None:
        if path == ENTRANCE:
            self._id = document.id
        if document.type != "Collection":
            return parent
        if document.id in self._collections:
            log.warning("%s: a second collection of id %r", self._home / path, document.id)
        return self._collections.setdefault(document.id, Collection(document.id, path, {}, set()))

    def _note_item(self, path: str, document: Document, parent: Collection | None) -> None:
        if document.is_model:
            self._models[document.id] = path
        if parent is None:
            return
        parent.types.add("labels" if document.is_label else "source_imagery")
        if parent.items.setdefault(document.id, path) is not path:
            log.warning("%s: a second item of id %r", self._home / path, document.id)

    def _note_assets(self, path: str, document: Document) -> None:
        for key, asset in (document.assets or {}).items():
            target = find(self._home, path, asset.href)
            if target is not None:
                directory, name = posixpath.split(target)
                self._assets.setdefault(directory, set()).add(sys.intern(name))
            elif not is_elsewhere(asset.href):
                self._outside.append(f"{path}, asset {key!r}")


def _shared(assets: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    """Keep equal sets once: most items of a collection have files of the same names."""
    known: dict[frozenset[str], frozenset[str]] = {}
    frozen = ((directory, frozenset(names)) for directory, names in assets.items())
    return {directory: known.setdefault(names, names) for directory, names in frozen}
