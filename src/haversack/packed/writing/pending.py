"""Steps that wait in memory for the next flush, which makes one frame of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from haversack.errors import HaversackError, KeyExistsError, RecordNotFoundError, UsageError
from haversack.packed.encoding.auto import Auto
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.keys import key_from_bytes, key_type
from haversack.packed.encoding.kinds import write_dtype
from haversack.packed.journal.frames import Operation
from haversack.packed.journal.replay import Outcome

MOST_BYTES: Final = 4 << 20  # of a commit that goes to the journal
MOST_STEPS: Final = 4_096
_STEP: Final = 256  # bytes that a step takes beside its payload and metadata, roughly


class Step(NamedTuple):
    """One call of a writer: add or put a record, or delete one."""

    op: Literal["add", "put", "delete"]
    key: bytes | None
    given_key: Any
    stored: Stored | None = None
    text: str = "{}"
    metadata: Mapping[Any, Any] = {}

    @property
    def size(self) -> int:
        return _STEP + len(self.text) + (self.stored.payload.size if self.stored else 0)


class Pending:
    """Some steps, in order, and which keys exist after them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._size = 0
        self._held: dict[bytes, bool] = {}

    @property
    def rows(self) -> int:
        """Records that wait."""
        return sum(step.stored is not None for step in self.steps)

    def has_room(self, step: Step) -> bool:
        return self._size + step.size <= MOST_BYTES and len(self.steps) < MOST_STEPS

    def add(self, step: Step) -> None:
        """Keep a step; its payload is copied, as the caller may change the array."""
        if step.stored is not None:
            kind, payload = step.stored
            step = step._replace(stored=Stored(kind, payload.copy()), metadata={})
        self.steps.append(step)
        self._size += step.size
        if step.key is not None:
            self._held[step.key] = step.op != "delete"

    def holds(self, key: bytes) -> bool | None:
        """Whether a record has that key after these steps; None where they do not touch it."""
        return self._held.get(key)

    def encode(self, auto: Auto) -> None:
        """Encode the raw records by what ``auto`` chooses for them."""
        records = iter(auto.encoded(step.stored for step in self.steps if step.stored is not None))
        self.steps = [
            step if step.stored is None else step._replace(stored=next(records))
            for step in self.steps
        ]

    def operations(
        self, row_of: Callable[[bytes], int | None]
    ) -> tuple[list[Operation], list[Any]]:
        """Turn the steps into those of a frame, and their payloads.

        ``row_of`` finds the row of the chunks that has a key.
        """
        payloads = [step.stored.payload for step in self.steps if step.stored is not None]
        return [_operation(step, row_of) for step in self.steps], payloads


def _operation(step: Step, row_of: Callable[[bytes], int | None]) -> Operation:
    at = None if step.key is None else row_of(step.key)
    key = None if step.key is None else key_from_bytes(step.key, key_type(step.given_key))
    if step.stored is None:
        return Operation(step.op, key, at)
    kind, payload = step.stored
    return Operation(
        op=step.op,
        key=key,
        at=at,
        dtype=write_dtype(kind.dtype),
        shape=list(kind.shape),
        codec=kind.codec,
        length=payload.size,
        meta=msgspec.Raw(step.text.encode()),
    )


def contradiction(path: Path, outcome: Outcome, pending: Pending) -> HaversackError:
    """Say why a frame is void: another writer's commit came before it."""
    keys = [step.given_key for step in pending.steps if step.key is not None]
    named = ", ".join(map(repr, keys[:3])) + (", ..." if len(keys) > 3 else "")
    if outcome is Outcome.KEY_EXISTS:
        return KeyExistsError(
            f"{path}: another writer has committed a key of this flush meanwhile ({named}); "
            "nothing of it was kept"
        )
    if outcome is Outcome.NO_SUCH_KEY:
        return RecordNotFoundError(
            f"{path}: another writer has deleted a key of this flush meanwhile ({named}); "
            "nothing of it was kept"
        )
    return UsageError(
        f"{path}: another writer has begun keys of another type; those of a dataset are all text "
        f"or all integers ({named})"
    )
