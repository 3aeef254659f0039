"""What one commit does to a version: new chunks and deletions, applied to whatever is current."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from haversack.errors import HaversackError, KeyExistsError, RecordNotFoundError, UsageError
from haversack.packed.chunk import Chunk
from haversack.packed.deletions import read_deletions, with_deletions
from haversack.packed.drafts import Finished, discard
from haversack.packed.keys import Key, KeyType, key_from_bytes
from haversack.packed.manifest import ChunkEntry, Manifest, kept_chunks
from haversack.packed.merge import SMALL, add_columns, merge_small
from haversack.packed.parts import open_chunk, reserve
from haversack.packed.snapshot import Snapshot
from haversack.storage.publish import sync_directory


class Change:
    """Finished chunks that wait for a manifest, and keys to delete.

    Parameters
    ----------
    root
        Directory of the dataset.
    base
        The version against which the keys were checked already.
    small
        Bytes below which a chunk may be merged with its neighbours.
    """

    def __init__(self, root: Path, base: Manifest, *, small: int = SMALL) -> None:
        self._root, self._small = root, small
        self._checked = {entry.id for entry in base.chunks}
        self.finished: list[Finished] = []
        self.doomed: dict[bytes, Key] = {}
        self._merged: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.finished or self.doomed)

    def holds(self, key: bytes) -> bool:
        """Whether one of the new chunks has that key."""
        return any(new.chunk and new.chunk.find(key) is not None for new in self.finished)

    def applied(self, base: Manifest, key_type: KeyType | None) -> Manifest:
        """Make the successor of a version, which others may have moved on since.

        Raises
        ------
        KeyExistsError, RecordNotFoundError, UsageError
            What others have committed contradicts it.
        """
        following = self._without_doomed(base)
        if any(new.chunk for new in self.finished):
            self._check_keys(following, key_type)
            following = msgspec.structs.replace(following, key_type=key_type)
        for new in self.finished:
            following = msgspec.structs.replace(
                following,
                chunks=[*following.chunks, new.entry],
                columns=add_columns(following.columns, new.columns),
            )
        following, merged = merge_small(self._root, following, small=self._small)
        if merged is not None:
            self._merged.append(merged.entry.id)
        for folder in ("chunks", "index"):
            sync_directory(self._root / folder)
        return following

    def drop_unnamed(self, published: Manifest | None = None) -> None:
        """Remove the files that this change has made and no version names that is kept.

        What was published once, others may read until its version is pruned; and a commit that
        failed may stand all the same.

        Parameters
        ----------
        published
            The version that has the change, where its commit did not fail.
        """
        mine = {new.entry.id for new in self.finished}.union(self._merged)
        if published is not None:
            mine.difference_update(entry.id for entry in published.chunks)
        if mine:
            try:
                mine -= kept_chunks(self._root)
            except (HaversackError, OSError):
                return  # who cannot tell what is named removes nothing
            discard(self._root, mine)

    def _without_doomed(self, base: Manifest) -> Manifest:
        if not self.doomed:
            return base
        current, rows = Snapshot(self._root, base), defaultdict[int, list[int]](list)
        for key in self.doomed.values():
            position = current.find(key)
            if position is None:
                raise RecordNotFoundError(
                    f"{self._root}: another writer has deleted {key!r} meanwhile"
                )
            number, row = current.place(position)
            rows[number].append(row)
        return with_deletions(self._root, base, rows)

    def _check_keys(self, base: Manifest, key_type: KeyType | None) -> None:
        if base.key_type is not None and base.key_type != key_type:
            raise UsageError(
                f"the keys of {self._root} are now {base.key_type}, not {key_type}: "
                "a dataset's keys are all text or all integers"
            )
        for entry in base.chunks:
            if entry.keys and entry.id not in self._checked:
                for new in self.finished:
                    if new.chunk is not None:
                        self._compare(new.chunk, entry, key_type or "text")

    def _compare(self, mine: Chunk, entry: ChunkEntry, key_type: KeyType) -> None:
        theirs = open_chunk(self._root, entry, reserve(self._root, entry.bytes))
        gone = set(read_deletions(self._root, entry).tolist())
        common = np.isin(mine.section("key_hash"), theirs.section("key_hash"))
        for row in mine.section("key_row")[common].tolist():
            text = mine.key_text(row)
            found = None if text is None else theirs.find(text)
            if text is not None and found is not None and found not in gone:
                raise KeyExistsError(
                    f"{self._root}: another writer has committed the key "
                    f"{key_from_bytes(text, key_type)!r} meanwhile"
                )
