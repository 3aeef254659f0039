"""A version of a packed dataset that is open: which it is, its tags, what is done to it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from haversack.events import Progress
from haversack.packed import about
from haversack.packed.manifests.manifest import Manifest
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.reading.versions import Version, tag, untag, versions
from haversack.packed.upkeep.verify import verify
from haversack.storage.damage import Damage


class OpenVersion:
    """What is open, without its records.

    Parameters
    ----------
    length
        How many records are chosen of it.
    """

    def __init__(self, snapshot: Snapshot, length: int) -> None:
        self._snapshot, self._length = snapshot, length

    @property
    def path(self) -> Path:
        return self._snapshot.root

    @property
    def version(self) -> int:
        """The number of the version that is open."""
        return self._snapshot.manifest.version

    @property
    def manifest(self) -> Manifest:
        return self._snapshot.manifest

    @property
    def snapshot(self) -> dict[str, Any]:
        """What exactly is open, in plain values, for :func:`open_snapshot`."""
        commit, end = self.manifest.commits[-1], self._snapshot.end
        return {"version": self.version, "commit": commit, "journal": end}

    def versions(self) -> list[Version]:
        """List the versions that can be opened, the oldest first: the newest 64, and the tagged.

        Examples
        --------
        >>> import numpy as np
        >>> from haversack.packed import PackWriter, open_packed, pack
        >>> ds = pack([(np.zeros(2), {})], "history", key=lambda item: "a")
        >>> ds.tag("before")
        >>> with PackWriter("history") as writer:
        ...     writer.delete("a")
        >>> [(version.number, version.records, version.tags) for version in ds.versions()]
        [(1, 1, ('before',)), (2, 0, ())]
        >>> len(open_packed("history", version="before"))
        1
        """
        return versions(self.path)

    def tag(self, name: str, *, move: bool = False) -> None:
        """Keep the version that is open (all of it, of a selection too) under a name.

        Parameters
        ----------
        name
            Any text.
        move
            Take the name from the version that has it.

        Raises
        ------
        ExistsError
            The dataset has the tag already.
        VersionGoneError
            The version is no longer kept.
        """
        tag(self._snapshot, name, move=move)

    def untag(self, name: str) -> None:
        """Remove a tag; a version that nothing else keeps can no longer be opened.

        Raises
        ------
        NotFoundError
            There is no such tag.
        """
        untag(self.path, name)

    def info(self) -> dict[str, Any]:
        """Describe the dataset in plain values."""
        return about.info(self._snapshot, self._length)

    def verify(self, progress: Progress = None) -> list[Damage]:
        """Read all files of the version whole and list what is damaged."""
        return verify(self._snapshot, progress)

    def close(self) -> None:
        """Let go of the files; arrays that are still used keep theirs mapped."""
        self._snapshot.let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return about.line(self._snapshot, self._length)

    def _repr_html_(self) -> str:
        return about.html(self._snapshot, self._length)
