"""Where a catalog's documents and files lie: in an archive, or in a directory."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from haversack.catalog.gzipped import GzipFile
from haversack.catalog.tar import Member


class Source(Protocol):
    """What a catalog was read from. Places are ``/``-separated names within it.

    Attributes
    ----------
    path
        The archive, or the directory of the root document.
    lost
        Places that documents link to, where nothing is that belongs to the catalog.
    """

    @property
    def path(self) -> Path: ...

    @property
    def lost(self) -> list[str]: ...

    def item(self, row: int, place: str) -> bytes:
        """Read the document of an item."""

    def document(self, place: str) -> bytes:
        """Read the document of a catalog or collection."""

    def size_of(self, place: str) -> int | None:
        """Size of the file at a place, None where there is none."""


@dataclass(slots=True)
class ArchiveSource:
    """A catalog archive (``.tar.gz``), read where it lies.

    Attributes
    ----------
    files
        What it holds besides the documents of the catalog: assets and whatever else.
    """

    path: Path
    content: GzipFile
    files: dict[str, Member] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    offsets: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("I"))

    @property
    def lost(self) -> list[str]:
        return []

    def item(self, row: int, place: str) -> bytes:  # noqa: ARG002
        return self.content.read(self.offsets[row], self.sizes[row])

    def document(self, place: str) -> bytes:
        return self.documents[place]

    def file(self, place: str) -> Member | None:
        """Give the file at a place."""
        return self.files.get(place) or self.files.get(unquote(place))

    def size_of(self, place: str) -> int | None:
        member = self.file(place)
        return None if member is None else member.size


@dataclass(slots=True)
class TreeSource:
    """A static catalog in a directory."""

    path: Path
    lost: list[str] = field(default_factory=list)
    _own: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._own = os.path.join(os.path.realpath(self.path), "")  # noqa: PTH118

    def item(self, row: int, place: str) -> bytes:  # noqa: ARG002
        return self.document(place)

    def document(self, place: str) -> bytes:
        return (self.path / place).read_bytes()

    def size_of(self, place: str) -> int | None:
        file = self.file(place)
        return None if file is None else file.stat().st_size

    def file(self, place: str) -> Path | None:
        """Give the regular file at a place, which may lie beside the catalog's directory."""
        return next((path for path in self.candidates(place) if path.is_file()), None)

    def candidates(self, place: str) -> tuple[Path, ...]:
        """Say where the file of a place may be: catalogs differ in percent-encoding."""
        if "://" in place:
            return ()
        plain = unquote(place)
        return (self.path / place, *(() if plain == place else (self.path / plain,)))

    def own_file(self, place: str) -> Path | None:
        """Give the file at a place, None where it is not in the catalog's directory."""
        file = self.file(place)
        return file if file is not None and self.is_own(file) else None

    def is_own(self, path: Path) -> bool:
        """Tell whether a path is in the catalog's directory when links are followed."""
        return os.path.realpath(path).startswith(self._own)

    def overlaps(self, folder: str) -> bool:
        """Tell whether the catalog's directory is in a real one (``/a/b/``), or that in it."""
        return folder.startswith(self._own) or self._own.startswith(folder)
