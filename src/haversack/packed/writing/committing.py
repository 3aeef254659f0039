"""Gather the steps of a writer, and commit them: by the journal where few, as a version else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.errors import (
    HaversackError,
    KeyExistsError,
    RecordNotFoundError,
    UsageError,
    VersionGoneError,
)
from haversack.packed.encoding.keys import Key, KeyType
from haversack.packed.encoding.metadata import loads
from haversack.packed.journal.log import Journal
from haversack.packed.journal.replay import Outcome
from haversack.packed.manifests.kept import read_latest
from haversack.packed.manifests.manifest import empty_manifest
from haversack.packed.manifests.publishing import already_there
from haversack.packed.reading.current import open_latest
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.writing.change import Change, Chunking
from haversack.packed.writing.drafts import Finished, make_folders
from haversack.packed.writing.pending import Pending, Step, contradiction
from haversack.packed.writing.sealing import publish, start_journal
from haversack.storage.filesystem import appends_atomically

Hashes = NDArray[np.uint64]

_TURN, _TURNS = 0.002, 50  # seconds between looks for the next journal, and how many


class Committer:
    """What a writer has not committed yet, and the version that it goes on from.

    Parameters
    ----------
    new
        Make a dataset that is not there yet, and refuse to add to one.
    """

    def __init__(self, root: Path, chunking: Chunking, *, new: bool) -> None:
        self.root, self.chunking, self._new = root, chunking, new
        snapshot = open_latest(root)
        if new and snapshot is not None:
            raise already_there(root)
        self._exists = snapshot is not None
        self._base = snapshot or Snapshot(root, empty_manifest())
        self.key_type: KeyType | None = self._base.key_type
        self._journal: Journal | None = None
        make_folders(root)
        self._may_journal = appends_atomically(root)
        self._start()

    def _start(self) -> None:
        """Wait for steps with nothing pending."""
        self._change = Change(self.root, self._base.manifest, self.chunking)
        # The first version is a chunk; later ones begin small, and may go to the journal.
        self._pending = Pending() if self._exists and self._may_journal else None

    # Gathering.

    @property
    def rows(self) -> int:
        """Records that are not committed yet."""
        return self._change.rows + (self._pending.rows if self._pending else 0)

    def has(self, key: bytes) -> bool:
        """Whether a record has the key once all that is pending is done."""
        held = self._pending.holds(key) if self._pending is not None else self._change.holds(key)
        if held is not None:
            return held
        try:
            row = self._base.find_row(key)
        except VersionGoneError:
            self._renew()
            row = self._base.find_row(key)
        if self._journal is not None:
            return self._journal.replay.holder(key, row) is not None
        return row is not None

    def _renew(self) -> None:
        """Go on from the current version where files of the one before were removed."""
        if self._journal is not None:
            self._open_journal(self._journal.id)
        else:
            self._base = open_latest(self.root) or self._base

    def take(self, step: Step) -> None:
        """Keep one step: in memory while there are few, else in chunks."""
        if self._pending is not None:
            if self._pending.has_room(step):
                self._pending.add(step)
                return
            self._spill()
        self._to_change(step)

    def _spill(self) -> None:
        pending, self._pending = self._pending, None
        for step in pending.steps if pending is not None else ():
            self._to_change(step._replace(metadata=loads(step.text)))

    def _to_change(self, step: Step) -> None:
        if step.key is not None and step.op != "add":
            self._change.delete(step.key, step.given_key, required=step.op == "delete")
        if step.stored is not None:
            self._change.add(step.stored, step.key, step.text, step.metadata, self.key_type)

    def suspects(self, keys: Sequence[bytes | None], hashes: Hashes) -> Iterator[tuple[int, bytes]]:
        """Choose those of many keys that a record may have, by their hashes: (place, key)."""
        known = [chunk.section("key_hash") for chunk in self._base.chunks() if chunk.keyed]
        known += [new.chunk.section("key_hash") for new in self._change.finished if new.chunk]
        suspect = np.zeros(len(hashes), bool)
        for table in known:
            if len(table):
                places = np.minimum(table.searchsorted(hashes), len(table) - 1)
                suspect |= table[places] == hashes
        tail = self._base.tail
        for at, (key, found) in enumerate(zip(keys, suspect.tolist(), strict=True)):
            if key is not None and (
                found
                or self._change.drafts(key)
                or (self._pending is not None and self._pending.holds(key) is not None)
                or (self._journal is not None and self._journal.replay.touches(key))
                or (tail is not None and tail.find(key) is not None)
            ):
                yield at, key

    def adopt(self, new: Sequence[Finished], replaced: Mapping[bytes, Key]) -> None:
        """Add finished chunks behind all steps, after deleting the records that they replace."""
        self._spill()
        for key, given in replaced.items():
            self._change.delete(key, given, required=False)
        self._change.finish(self.key_type)
        self._change.adopt(new)

    # Committing.

    def commit(self) -> None:
        """Make all steps durable and visible, together."""
        if self._pending is not None and self._pending.steps:
            self._to_journal(self._pending)
        elif self._change or not self._exists:
            self._publish()

    def close(self, *, seal: bool) -> None:
        """Commit, and make a chunk of the journal if asked to."""
        try:
            if self._journal is None:
                self._spill()  # a journal for this alone would cost more
            self.commit()
            if seal:
                self._seal()
        finally:
            self.drop()

    def _seal(self) -> None:
        """Make a chunk of the journal, and fewer of many small ones."""
        change = self._change
        published = publish(
            self.root,
            lambda base: change.applied(base, base.key_type),
            unless=lambda base: base.journal is None,
        )
        change.drop_unnamed(published)

    def rollback(self) -> None:
        """Drop what is not committed, and learn what others have committed."""
        self._change.drop_unnamed()
        if self._journal is not None:
            self._journal.read_on()
            if not self._journal.replay.ended:
                self.key_type = self._journal.replay.key_type or self._base.key_type
                self._start()
                return
        self._reopen()

    def drop(self) -> None:
        """Let go of what is not committed, and of the journal."""
        self._close_journal()
        self._change.drop_unnamed()

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _to_journal(self, pending: Pending) -> None:
        if self.chunking.auto is not None:
            pending.encode(self.chunking.auto)
        journal, outcome = self._appended(pending)
        self.key_type = journal.replay.key_type or self.key_type
        self._start()
        if outcome is not Outcome.APPLIED:
            raise contradiction(self.root, outcome, pending)
        if journal.is_full:
            # The commit stands; should this fail, the next one will meet the same and tell of it.
            with suppress(HaversackError, OSError):
                self._open_journal(journal.id)

    def _appended(self, pending: Pending) -> tuple[Journal, Outcome]:
        while True:
            journal = self._journal or self._open_journal()
            try:
                steps = pending.operations(self._base.find_row)
            except VersionGoneError:
                self._renew()
                continue
            outcome = journal.append(*steps)
            if outcome is not Outcome.ENDED:
                return journal, outcome
            self._await_next(journal.id)
            self._open_journal(journal.id)

    def _open_journal(self, ended: str | None = None) -> Journal:
        self._close_journal()
        journal = self._journal = start_journal(self.root, ended)
        self._base = Snapshot(self.root, msgspec.structs.replace(journal.manifest, journal=None))
        return journal

    def _await_next(self, ended: str) -> None:
        """Give who ended the journal the time to publish the next."""
        for _ in range(_TURNS):
            latest = read_latest(self.root)
            if latest is None or latest.journal != ended:
                return
            time.sleep(_TURN)

    def _publish(self) -> None:
        change = self._change
        try:
            change.finish(self.key_type)
            first = self._new and not self._exists
            published = publish(
                self.root, lambda base: change.applied(base, self.key_type), first=first
            )
        except (KeyExistsError, RecordNotFoundError, UsageError, VersionGoneError):
            change.drop_unnamed()
            self._reopen()
            raise
        change.drop_unnamed(published)
        self._exists = True
        self._reopen()

    def _reopen(self) -> None:
        """Go on from the current version."""
        self._close_journal()
        latest = open_latest(self.root)
        if latest is not None:
            self._base, self._exists = latest, self._exists or not self._new
        self.key_type = self._base.key_type
        self._start()
