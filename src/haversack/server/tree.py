"""Read a dataset's directory: the documents that its catalog links, and the files these name.

Only what is named here can be served; nothing is found by listing directories.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from haversack.errors import FormatError

log = logging.getLogger("haversack.server")

ENTRANCE, ABOUT = "catalog.json", "dataset.json"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|/")

Stamp = tuple[int, int, int] | None


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


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection and its items, by id; paths are relative to the dataset's directory."""

    id: str
    path: str
    items: dict[str, str]
    types: set[str]


@dataclass(frozen=True)
class Tree:
    """All that the catalog in a dataset's directory names."""

    home: Path
    id: str
    about: bytes | None
    documents: frozenset[str]
    collections: dict[str, Collection]
    models: dict[str, str]
    assets: dict[str, frozenset[str]]  # directory -> names of files in it
    stamps: dict[str, Stamp] = field(repr=False)  # of what decides whether to read it anew

    def read(self, path: str) -> bytes:
        """Read a document of this tree whole."""
        return (self.home / path).read_bytes()

    def names(self, path: str) -> bool:
        """Tell whether an asset of the catalog lies at this path."""
        directory, _, name = path.rpartition("/")
        return name in self.assets.get(directory, ())

    def file(self, path: str) -> Path | None:
        """Find a regular file of this tree; None if it is not there or leads outside."""
        whole = (self.home / path).resolve()
        return whole if whole.is_relative_to(self.home) and whole.is_file() else None

    def asset_paths(self) -> Iterator[str]:
        """Walk over the paths of all assets that lie in this directory."""
        for directory, names in self.assets.items():
            for name in names:
                yield posixpath.join(directory, name)

    @cached_property
    def asset_bytes(self) -> int:
        """Bytes of all assets that are here."""
        return sum(_size(self.home / path) for path in self.asset_paths())

    def find(self, document: str, href: str) -> str | None:
        """Find what an href of a document points to in this directory; None when elsewhere."""
        return find(self.home, document, href)

    def is_current(self) -> bool:
        """Tell whether the catalog and its collections are as they were when they were read."""
        return all(stamp(self.home / path) == was for path, was in self.stamps.items())


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


def find(home: Path, document: str, href: str) -> str | None:
    """Find what an href of a document points to in ``home``; None when it is elsewhere.

    Files are looked for under the href as it stands first: many writers do not percent-encode.

    Examples
    --------
    >>> find(Path("/nowhere"), "fields/a/a.json", "../../_common/readme.md")
    '_common/readme.md'
    >>> find(Path("/nowhere"), "catalog.json", "../outside.tif") is None
    True
    >>> find(Path("/nowhere"), "catalog.json", "https://example.com/a.tif") is None
    True
    """
    if not href or _SCHEME.match(href) or "\0" in href:
        return None
    path = _join(document, href)
    if not set("%?#").isdisjoint(href) and (path is None or not os.path.lexists(home / path)):
        path = _join(document, unquote(urlsplit(href).path))
    return path if path is None or "\0" not in path else None


def stamp(path: Path) -> Stamp:
    """Tell a file's version: it differs after every change that leaves a trace."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _join(document: str, href: str) -> str | None:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(document), href))
    outside = path in {".", ".."} or path.startswith(("../", "/"))
    return None if outside else path


def _shared(assets: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    """Keep equal sets once: most items of a collection have files of the same names."""
    known: dict[frozenset[str], frozenset[str]] = {}
    frozen = ((directory, frozenset(names)) for directory, names in assets.items())
    return {directory: known.setdefault(names, names) for directory, names in frozen}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Reader:
    """Walks from the catalog down its child and item links."""

    def __init__(self, home: Path) -> None:
        self._home, self._real = home, home.resolve()
        self._decoder = msgspec.json.Decoder(Document)
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
            document = self._decoder.decode(self._bytes(path))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
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
            elif not _SCHEME.match(asset.href) or asset.href.startswith("/"):
                self._outside.append(f"{path}, asset {key!r}")
