"""The rules by which frames, in the order of the journal, become records.

That order is the truth for everybody: each writer and reader applies the same rules to the same
frames and comes to the same records, which is why no writer needs a lock.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from haversack.errors import FormatError
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.keys import KeyType, key_bytes, key_type
from haversack.packed.encoding.kinds import Kind, make_kind
from haversack.packed.journal.frames import Frame, Operation
from haversack.packed.manifests.manifest import Manifest


class Row(NamedTuple):
    """A record of the journal: as it is stored, with its key's bytes and its metadata as JSON."""

    stored: Stored
    key: bytes | None
    text: str


class Outcome(Enum):
    """What became of a frame."""

    APPLIED = "applied"
    REPEATED = "a frame of this id stands before it"
    ENDED = "the journal had ended"
    KEY_EXISTS = "it adds a key that exists"
    NO_SUCH_KEY = "it deletes a key that does not exist"
    KEY_TYPE = "its keys are of another type"


class Replay:
    """What the frames so far make of the version that names the journal.

    Parameters
    ----------
    manifest
        That version.
    lost
        It is lost, and this is another one: rows of chunks that the journal names may be any.

    Attributes
    ----------
    rows
        All records that were added, in order; the dead ones among them too.
    dead
        Those of them that were deleted or replaced since.
    doomed
        Rows of the version's chunks, counted over all of them, that were deleted or replaced.
    """

    def __init__(self, manifest: Manifest, *, lost: bool = False) -> None:
        self.key_type: KeyType | None = manifest.key_type
        rows = sum(entry.rows for entry in manifest.chunks)
        self._base_rows = 1 << 63 if lost else rows
        self.rows: list[Row] = []
        self.dead: set[int] = set()
        self.doomed: set[int] = set()
        self.ended = False
        self._seen: set[bytes] = set()
        # Where each key of the journal is: its row, ~row of the chunks, None where it is nowhere.
        self._held: dict[bytes, int | None] = {}
        self._kind: tuple[Operation, Kind] | None = None

    def holder(self, key: bytes, at: int | None) -> int | None:
        """Say which record has a key that the chunks have at ``at``: a row, or ~row of them."""
        if at is not None and at >= self._base_rows:
            raise FormatError(f"a journal names row {at} of chunks of {self._base_rows} rows")
        return self._held.get(key, None if at is None else ~at)

    def touches(self, key: bytes) -> bool:
        """Whether any frame has added, put or deleted that key."""
        return key in self._held

    def apply(self, frame: Frame) -> Outcome:
        """Apply a frame whole, or not at all."""
        if self.ended:
            return Outcome.ENDED
        if frame.id in self._seen:
            return Outcome.REPEATED
        self._seen.add(frame.id)
        trial = _Trial(self)
        for operation, payload in zip(frame.operations, frame.payloads, strict=True):
            if operation.op == "end":
                trial.ended = True
                break
            refused = trial.step(operation, payload)
            if refused is not None:
                return refused
        self._take(trial)
        return Outcome.APPLIED

    def _take(self, trial: _Trial) -> None:
        self._held.update(trial.held)
        self.rows += trial.rows
        self.dead.update(row for row in trial.dropped if row >= 0)
        self.doomed.update(~row for row in trial.dropped if row < 0)
        self.key_type, self.ended = trial.key_type, trial.ended

    def row(self, operation: Operation, payload: memoryview, key: bytes | None) -> Row:
        """Make the record of an operation."""
        stored = Stored(self._kind_of(operation), np.frombuffer(payload, np.uint8))
        try:
            return Row(stored, key, bytes(operation.meta).decode())
        except UnicodeDecodeError as error:
            raise FormatError(f"metadata of a journal is no text: {error}") from error

    def _kind_of(self, operation: Operation) -> Kind:
        if self._kind is not None:
            known, kind = self._kind
            if (known.codec, known.shape, known.dtype) == (
                operation.codec,
                operation.shape,
                operation.dtype,
            ):
                return _fitting(kind, operation)
        kind = make_kind(operation.dtype, operation.shape, operation.codec)
        self._kind = (operation, kind)
        return _fitting(kind, operation)


class _Trial:
    """What a frame would change, should it prove to be free of contradictions."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.key_type, self.ended = replay.key_type, False
        self.rows: list[Row] = []
        self.held: dict[bytes, int | None] = {}
        self.dropped: list[int] = []

    def step(self, operation: Operation, payload: memoryview) -> Outcome | None:
        """Take one operation; give the reason for which the whole frame is void."""
        key = None
        if operation.key is not None:
            if self.key_type not in {None, key_type(operation.key)}:
                return Outcome.KEY_TYPE
            self.key_type = key_type(operation.key)
            key = key_bytes(operation.key)
            refused = self._move(key, operation)
            if refused is not None:
                return refused
        if operation.op != "delete":
            self.rows.append(self._replay.row(operation, payload, key))
        return None

    def _move(self, key: bytes, operation: Operation) -> Outcome | None:
        """Take the key from its holder, and give it to the record of this operation."""
        holder = self.held[key] if key in self.held else self._replay.holder(key, operation.at)
        if holder is None and operation.op == "delete":
            return Outcome.NO_SUCH_KEY
        if holder is not None and operation.op == "add":
            return Outcome.KEY_EXISTS
        if holder is not None:
            self.dropped.append(holder)
        deletes = operation.op == "delete"
        self.held[key] = None if deletes else len(self._replay.rows) + len(self.rows)
        return None


def _fitting(kind: Kind, operation: Operation) -> Kind:
    if kind.codec == "none" and operation.length != kind.nbytes:
        raise FormatError(f"a record of {operation.length} bytes where {kind.nbytes} belong")
    return kind
