"""What one commit does to a version: new chunks and deletions, applied to whatever is current."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from haversack.errors import KeyExistsError, RecordNotFoundError, UsageError
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.auto import Auto
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.keys import Key, KeyType, key_from_bytes
from haversack.packed.manifests.deletions import with_deletions
from haversack.packed.manifests.manifest import Manifest, add_columns
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.writing.drafts import Draft, Finished, touch
from haversack.packed.writing.sealing import drop_unnamed
from haversack.packed.writing.smallchunks import SMALL, merge_small

_OFTEN: Final = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a writer makes chunks.

    Attributes
    ----------
    chunk_bytes
        Size at which a chunk is closed and the next begun.
    auto
        Chooses the codecs of raw records.
    dedupe
        Keep equal payloads of a chunk once.
    """

    chunk_bytes: int
    auto: Auto | None = None
    dedupe: bool = False


class Change:
    """Chunks that wait for a manifest, the open one among them, and keys to delete.

    Parameters
    ----------
    base
        The version against which the keys were checked already.
    """

    def __init__(self, root: Path, base: Manifest, chunking: Chunking) -> None:
        self._root, self._chunking = root, chunking
        self._checked = {entry.id for entry in base.chunks}
        self._draft: Draft | None = None
        self.finished: list[Finished] = []
        self._doomed: dict[bytes, tuple[Key, bool]] = {}  # keys of the version; are they required?
        self._gone: defaultdict[str, set[int]] = defaultdict(set)  # rows of the new chunks
        self._merged: list[str] = []
        self._touched = time.monotonic()

    def __bool__(self) -> bool:
        return bool(self._draft or self.finished or self._doomed)

    @property
    def rows(self) -> int:
        """Records that wait."""
        drafted = self._draft.rows if self._draft else 0
        return drafted + sum(new.entry.rows for new in self.finished)

    def add(
        self,
        stored: Stored,
        key: bytes | None,
        text: str,
        metadata: Mapping[Any, Any],
        key_type: KeyType | None,
    ) -> None:
        """Add a record, whose key no record has that is not deleted before."""
        draft = self._draft
        if draft is None:
            how = self._chunking
            draft = self._draft = Draft(self._root, how.auto, dedupe=how.dedupe)
        draft.append(stored, key, text, metadata)
        if draft.size >= self._chunking.chunk_bytes:
            self.finish(key_type)

    def delete(self, key: bytes, given: Key, *, required: bool) -> None:
        """Delete the record of a key, be it one of this change's or of the version's.

        With ``required`` there must still be one when the change is applied.
        """
        if self._draft is not None and key in self._draft:
            self._gone[self._draft.chunk_id].add(self._draft.forget(key))
            return
        for new in self.finished:
            row = new.chunk.find(key) if new.chunk else None
            if row is not None and row not in self._gone[new.entry.id]:
                self._gone[new.entry.id].add(row)
                return
        self._doomed[key] = given, required

    def holds(self, key: bytes) -> bool | None:
        """Whether a record has that key after this change; None where it does not touch it."""
        if self._draft is not None and key in self._draft:
            return True
        for new in self.finished:
            row = new.chunk.find(key) if new.chunk else None
            if row is not None and row not in self._gone.get(new.entry.id, ()):
                return True
        return False if key in self._doomed else None

    def drafts(self, key: bytes) -> bool:
        """Whether a record of the open chunk has that key."""
        return self._draft is not None and key in self._draft

    def adopt(self, new: Sequence[Finished]) -> None:
        """Take chunks that others have finished, behind what there is."""
        self.finished += new

    def finish(self, key_type: KeyType | None) -> None:
        """Finish the open chunk; it waits for a manifest."""
        draft, self._draft = self._draft, None
        if draft is not None:
            self._keep_young()
            self.finished.append(draft.finish(key_type))

    def _keep_young(self) -> None:
        """Keep those who remove old files from what waits here for long."""
        if time.monotonic() > self._touched + _OFTEN:
            self._touched = time.monotonic()
            for new in self.finished:
                touch(self._root, new.entry.id)

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
            touch(self._root, new.entry.id)
            following = msgspec.structs.replace(
                following,
                chunks=[*following.chunks, new.entry],
                columns=add_columns(following.columns, new.columns),
            )
        following = self._without_gone(following)
        # What fills a chunk as large as was asked for is not small.
        small = min(SMALL, self._chunking.chunk_bytes)
        following, merged = merge_small(self._root, following, small=small)
        if merged is not None:
            self._merged.append(merged.entry.id)
        return following

    def drop_unnamed(self, published: Manifest | None = None) -> None:
        """Remove the files that this change has made and no version names that is kept.

        Parameters
        ----------
        published
            The version that has the change, where its commit did not fail.
        """
        if self._draft is not None:
            self._draft.abandon()
        mine = {new.entry.id for new in self.finished}.union(self._merged)
        drop_unnamed(self._root, mine, published)

    def _without_doomed(self, base: Manifest) -> Manifest:
        if not self._doomed:
            return base
        current, rows = Snapshot(self._root, base), defaultdict[int, list[int]](list)
        for key, (given, required) in self._doomed.items():
            row = current.find_row(key)
            if row is None and not required:
                continue
            if row is None:
                raise RecordNotFoundError(
                    f"{self._root}: another writer has deleted {given!r} meanwhile; "
                    "nothing of this flush was kept"
                )
            number, inside = current.place(row)
            rows[number].append(inside)
        return with_deletions(self._root, base, rows)

    def _without_gone(self, following: Manifest) -> Manifest:
        numbers = {entry.id: number for number, entry in enumerate(following.chunks)}
        rows = {numbers[chunk_id]: gone for chunk_id, gone in self._gone.items() if gone}
        return with_deletions(self._root, following, rows) if rows else following

    def _check_keys(self, base: Manifest, key_type: KeyType | None) -> None:
        if base.key_type is not None and base.key_type != key_type:
            raise UsageError(
                f"the keys of {self._root} are now {base.key_type}, not {key_type}: "
                "a dataset's keys are all text or all integers"
            )
        current = Snapshot(self._root, base)
        for number, entry in enumerate(base.chunks):
            if entry.keys and entry.id not in self._checked:
                theirs, gone = current.chunk(number), set(current.deleted(number).tolist())
                for new in self.finished:
                    self._compare(new, theirs, gone, key_type or "text")

    def _compare(self, new: Finished, theirs: Chunk, gone: set[int], key_type: KeyType) -> None:
        mine, dead = new.chunk, self._gone.get(new.entry.id, set())
        if mine is None:
            return
        common = np.isin(mine.section("key_hash"), theirs.section("key_hash"))
        for row in mine.section("key_row")[common].tolist():
            text = mine.key_text(row)
            found = None if text is None or row in dead else theirs.find(text)
            if text is not None and found is not None and found not in gone:
                raise KeyExistsError(
                    f"{self._root}: another writer has committed the key "
                    f"{key_from_bytes(text, key_type)!r} meanwhile; nothing of this flush was kept"
                )
