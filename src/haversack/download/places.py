"""Paths that can stand side by side: none is another's, and none is a file above another."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Container, Iterable

from haversack.storage.names import fold


class Places:
    """The paths that are taken in a directory, whatever their case.

    Parameters
    ----------
    paths
        Files, ``/``-separated and relative, that agree with each other.

    Examples
    --------
    >>> places = Places(["a/catalog.json"])
    >>> places.take("a/b.tif", "1"), places.take("A/b.TIF", "2"), places.take("a/b.tif/c", "3")
    ('a/b.tif', 'A/b~d4735e3a.TIF', 'a/b~8e794323.tif/c')
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}  # what a folder has become, by its path
        self._taken: set[str] = set()  # those folders, folded
        for path in paths:
            self._files.add(fold(path))
            self._folder(posixpath.dirname(path))

    def take(self, path: str, identity: str) -> str:
        """Take a path; where another is in its way, the part that would be both gets a hash.

        ``identity`` is what the hash of the file is of; that of a folder is of its own path, so
        that its files stay together.
        """
        folder, name = posixpath.split(path)
        free = _free(self._folder(folder), name, identity, self._files, self._taken)
        self._files.add(fold(free))
        return free

    def _folder(self, path: str) -> str:
        if path and path not in self._folders:
            parent, name = posixpath.split(path)
            free = _free(self._folder(parent), name, path, self._files)
            self._folders[path] = free
            self._taken.add(fold(free))
        return self._folders[path] if path else ""


def _free(above: str, name: str, identity: str, *taken: Container[str]) -> str:
    path = posixpath.join(above, name)
    stem, suffix = posixpath.splitext(name)
    length = 8
    while any(fold(path) in those for those in taken):
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        path = posixpath.join(above, f"{stem}~{digest[:length]}{suffix}")
        length += 1
    return path
