"""What a hub directory holds now: its datasets by id, and where each address leads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from haversack.errors import FormatError, PathNotFoundError, UsageError
from haversack.server.about import describe
from haversack.server.secret import secret_of, segment
from haversack.server.tree import ABOUT, ENTRANCE, Collection, Stamp, Tree, stamp
from haversack.server.walk import DamagedTreeError, read_tree

log = logging.getLogger("haversack.server")


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A dataset as it is served: its tree, its description and the text to search in."""

    id: str
    tree: Tree
    about: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Door:
    """What an unguessable path segment opens: a dataset's assets, or an archive."""

    kind: Literal["assets", "catalog", "collection"]
    dataset: Dataset
    collection: Collection | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """All that is served at one moment."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    collections: dict[str, tuple[Dataset, Collection]] = field(default_factory=dict)
    models: dict[str, tuple[Dataset, str]] = field(default_factory=dict)
    doors: dict[str, Door] = field(default_factory=dict)


class Index:
    """The datasets of a hub directory, read anew when their catalogs change."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise PathNotFoundError(f"{root} is not a directory; a hub is served from a directory")
        if (root / ENTRANCE).exists():
            raise UsageError(
                f"{root} is itself a dataset: give the directory that holds it, "
                f"{root.resolve().parent}"
            )
        self.root = root.resolve()
        self._lock = Lock()
        self._read: dict[str, Dataset] = {}
        self._damaged: dict[str, dict[Path, Stamp]] = {}
        self._contents = Contents()
        self.refresh()

    @cached_property
    def _secret(self) -> bytes:
        # Made for the first dataset: a directory without any stays as it is.
        return secret_of(self.root)

    def segment(self, purpose: str, *names: str) -> str:
        """Derive the unguessable path segment for a purpose and names."""
        return segment(self._secret, purpose, *names)

    def door(self, token: str) -> Door | None:
        """Find what a path segment opens, without reading anything anew."""
        return self._contents.doors.get(token)

    def refresh(self) -> Contents:
        """Read what is new or has changed, and return all that is served now."""
        with self._lock:
            names = list(self._names())
            read = {name: dataset for name in names if (dataset := self._dataset(name))}
            if read != self._read:
                self._read, self._contents = read, self._gather(list(read.values()))
            return self._contents

    def _names(self) -> Iterator[str]:
        for place in sorted(self.root.iterdir()):
            if place.name.startswith(".") or not (place / ENTRANCE).exists():
                continue
            if place.resolve().is_relative_to(self.root):
                yield place.name
            elif place.name not in self._damaged:
                log.warning("%s leads out of the served directory: left out", place)
                self._damaged[place.name] = {}

    def _dataset(self, name: str) -> Dataset | None:
        home = self.root / name
        before = self._read.get(name)
        if before is not None and before.tree.is_current():
            return before
        version = self._damaged.get(name)
        if version is not None and all(stamp(path) == was for path, was in version.items()):
            return None
        version = {path: stamp(path) for path in (home / ENTRANCE, home / ABOUT)}
        try:
            return _load(home)
        except FormatError as error:
            log.warning("the dataset in %s is left out: %s", home, error)
            if isinstance(error, DamagedTreeError):
                version[error.place] = stamp(error.place)
            self._damaged[name] = version
            return None

    def _gather(self, read: list[Dataset]) -> Contents:
        contents = Contents()
        for dataset in read:
            if dataset.id in contents.datasets:
                log.warning("%s: dataset id %r is taken", dataset.tree.home, dataset.id)
                continue
            contents.datasets[dataset.id] = dataset
            self._open(contents, Door("assets", dataset))
            self._open(contents, Door("catalog", dataset))
            self._add_collections(contents, dataset)
            for model, path in dataset.tree.models.items():
                contents.models.setdefault(model, (dataset, path))
        return contents

    def _add_collections(self, contents: Contents, dataset: Dataset) -> None:
        for collection in dataset.tree.collections.values():
            if collection.id in contents.collections:
                log.warning("%s: collection id %r is taken", dataset.tree.home, collection.id)
                continue
            contents.collections[collection.id] = dataset, collection
            self._open(contents, Door("collection", dataset, collection))

    def _open(self, contents: Contents, door: Door) -> None:
        names = [door.dataset.id, *([door.collection.id] if door.collection else [])]
        contents.doors[self.segment(door.kind, *names)] = door


def _load(home: Path) -> Dataset:
    tree = read_tree(home)
    about, text = describe(tree)
    return Dataset(about["id"], tree, about, text)
