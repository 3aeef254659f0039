"""What the catalog in a dataset's directory names: documents, items, and files of assets.

Only what is named here can be served; nothing is found by listing directories.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from haversack.catalog.stac import path_of

ENTRANCE, ABOUT = "catalog.json", "dataset.json"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")

Stamp = tuple[int, int, int] | None


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


def is_elsewhere(href: str) -> bool:
    """Tell an address with a scheme from one within the dataset."""
    return _SCHEME.match(href) is not None


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
    if not href or is_elsewhere(href) or href.startswith("/") or "\0" in href:
        return None
    path = _join(document, href)
    if not set("%?#").isdisjoint(href) and (path is None or not os.path.lexists(home / path)):
        path = _join(document, unquote(path_of(href)))
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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
