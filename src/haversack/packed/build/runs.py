"""Runs: how many items one has, and the chunks that it becomes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from haversack.errors import HaversackError, KeyExistsError, StorageError, UsageError
from haversack.packed.build.failures import Failure, Skipped
from haversack.packed.build.portions import Portion, Recipe
from haversack.packed.encoding.auto import Auto
from haversack.packed.encoding.encoder import AUTO
from haversack.packed.encoding.keys import KeyType, key_bytes, key_type
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.writing.drafts import Draft, discard
from haversack.storage.looking import exists

SAMPLE: Final = 64  # items by whose sizes the runs are cut
SAMPLE_BYTES: Final = 64 << 20  # of which fewer are enough
SMALLEST: Final = 16 << 20  # bytes of a run, if there are as many
LARGEST: Final = 256 << 20
UNKNOWN: Final = 64 << 20  # where the number of items is not known
_PIECES: Final = 16  # runs of a small build, so that workers have some each
_MOST_RUNS: Final = 1000
_MOST_ITEMS: Final = 1 << 18
_OVERHEAD: Final = 16  # bytes that a record takes beside its own
_INT64: Final = (-(1 << 63), (1 << 63) - 1)
_PAUSE: Final = 0.5  # seconds between looks at whether the build goes on


def run_length(sizes: Sequence[int], total: int | None, chunk_bytes: int) -> int:
    """Choose how many items a run has, from the sizes of the first ones.

    A power of two, so that a build to which some items were added resumes all the same.

    Examples
    --------
    >>> run_length([784] * 64, 60_000, 1 << 30)
    16384
    >>> run_length([600_000] * 64, None, 1 << 30)
    64
    """
    mean = max(sum(sizes) // max(len(sizes), 1), 1) + _OVERHEAD
    if total is None:
        target = UNKNOWN
    else:
        target = max(min(total * mean // _PIECES, LARGEST), total * mean // _MOST_RUNS, SMALLEST)
    if chunk_bytes >= SMALLEST:
        target = min(target, chunk_bytes)
    count = max(min(target // mean, _MOST_ITEMS), 1)
    return 1 << (count.bit_length() - 1)


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk of a run whose files are whole and synced."""

    entry: ChunkEntry
    columns: dict[str, str]


@dataclass(slots=True)
class Run:
    """A run that is done: its chunks, and what became of its items.

    Where it failed, there are no chunks, but the item that made it fail or the trouble that the
    disk made. ``marks`` is what its items are compared by, None where they cannot be; ``depends``
    tells whether records were left out for their keys, which earlier runs have.
    """

    first: int
    count: int = 0
    parts: list[Part] = field(default_factory=list)
    key_type: KeyType | None = None
    skipped: list[Skipped] = field(default_factory=list)
    marks: str | None = None
    depends: bool = False
    failure: Failure | None = None
    trouble: Exception | None = None

    def numbers(self) -> list[int]:
        """Give the numbers of the items that became records, in the order of rows."""
        gone = {skipped.number for skipped in self.skipped}
        return [n for n in range(self.first, self.first + self.count) if n not in gone]

    def starts(self) -> list[int]:
        """Give the first row of each part among those of all."""
        return list(accumulate((part.entry.rows for part in self.parts), initial=0))


class RunWriter:
    """Writes a run's portions into chunks."""

    def __init__(self, job: Job, first: int) -> None:
        self.run = Run(first)
        self._root, self._recipe, self._chunk_bytes = job.root, job.recipe, job.chunk_bytes
        self._key_type, self._dedupe = job.key_type, job.dedupe
        self._id = f"{job.build_id}{first & 0xFFFFFFFFFF:010x}"
        self._auto = Auto() if self._recipe.codec == AUTO else None
        self._draft: Draft | None = None
        self._keys: set[bytes] = set()
        self._marks = None if job.recipe.read is None else blake2b(digest_size=16)

    def add(self, portion: Portion) -> None:
        """Write a portion; an item that fails ends the run, unless failing ones are skipped.

        Raises
        ------
        StorageError
            The disk refuses.
        """
        self._note(portion)
        keys: Sequence[bytes | None] = [None] * len(portion.keys)
        if self._recipe.key is not None:
            portion, keys = self._checked(portion)
        if portion.failures and self._recipe.errors == "raise":
            self.run.failure = portion.failures[0]
            self.abandon()
            return
        self.run.skipped += [failure.skipped() for failure in portion.failures]
        self._write(portion, keys)

    def _note(self, portion: Portion) -> None:
        self.run.count += portion.count
        if self._marks is None or portion.marks is None:
            self._marks = None
        else:
            self._marks.update(b"".join(portion.marks))

    def _checked(self, portion: Portion) -> tuple[Portion, Sequence[bytes | None]]:
        """Take out rows whose key is none, of another type than those before, or not new."""
        keys: list[bytes | None] = []
        gone: dict[int, Failure] = {}
        numbers = portion.numbers() if portion.failures else range(portion.first, 1 << 62)
        for row, key in enumerate(portion.keys):
            try:
                keys.append(self._new_key(key))
            except HaversackError as error:
                gone[row] = Failure.of(numbers[row], portion.items[row], error)
        return portion.without(set(gone), list(gone.values())) if gone else portion, keys

    def _new_key(self, key: Any) -> bytes | None:
        if key is None:
            return None
        kind, data = _typed(key)
        if kind != self._key_type:
            if self._key_type is not None:
                raise other_type(key, self._key_type, kind)
            self._key_type = kind
        if data in self._keys:
            raise KeyExistsError(f"the key {key!r} was given before")
        self._keys.add(data)
        self.run.key_type = kind
        return data

    def _write(self, portion: Portion, keys: Sequence[bytes | None]) -> None:
        if not portion.kinds:
            return
        draft = self._draft or self._begin()
        if draft.stays_below(self._chunk_bytes, portion.size, len(keys)):
            draft.extend(portion.kinds, portion.payloads, keys, portion.texts, portion.fields)
            return
        for at, key in enumerate(keys):
            draft, row = self._draft or self._begin(), slice(at, at + 1)
            draft.extend(
                portion.kinds[row],
                portion.payloads[row],
                [key],
                portion.texts[row],
                portion.fields[row],
            )
            if draft.size >= self._chunk_bytes:
                self._seal()

    def _begin(self) -> Draft:
        chunk_id = f"{self._id}{len(self.run.parts):06x}"
        self._draft = Draft(self._root, self._auto, dedupe=self._dedupe, chunk_id=chunk_id)
        return self._draft

    def _seal(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            finished = draft.finish(self.run.key_type)
            self.run.parts.append(Part(finished.entry, finished.columns))

    def finish(self) -> Run:
        """Seal the last chunk and give the run; where it failed, nothing of it is left."""
        try:
            self._seal()
        except BaseException:
            self.abandon()
            raise
        self.run.marks = None if self._marks is None else self._marks.hexdigest()
        return self.run

    def abandon(self) -> None:
        """Remove what was written."""
        if self._draft is not None:
            self._draft.abandon()
            self._draft = None
        discard(self._root, [part.entry.id for part in self.run.parts])
        self.run.parts.clear()


def type_of(key: Any) -> KeyType | None:
    """Give the type of a key, None where it is none."""
    try:
        return key_type(key)
    except HaversackError:
        return None


def _typed(key: Any) -> tuple[KeyType, bytes]:
    """Give the type and the bytes of a key, those that are most common at once."""
    if type(key) is str and key.isascii():
        return "text", key.encode()
    if type(key) is int and _INT64[0] <= key <= _INT64[1]:
        return "int", b"%d" % key
    return key_type(key), key_bytes(key)


def other_type(key: Any, held: str, kind: str) -> UsageError:
    """Say that keys are of two types."""
    return UsageError(
        f"the keys before are {held}; {key!r} is {kind}: "
        "a dataset's keys are all text or all integers"
    )


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs to build runs, but for their items."""

    root: Path
    build_id: str
    recipe: Recipe
    chunk_bytes: int
    notes: Path  # where the build keeps its progress; it has ended when that is gone
    dedupe: bool = False
    key_type: KeyType | None = None  # of all keys, if that is known

    def writer(self, first: int) -> RunWriter:
        """Begin the run whose first item has that number."""
        return RunWriter(self, first)

    def build(self, first: int, items: Iterable[Any]) -> Run:
        """Build one whole run, as a worker does who may be in another process."""
        writer, looked = self.writer(first), time.monotonic()
        try:
            for portion in self.recipe.portions(first, items):
                writer.add(portion)
                if writer.run.failure is not None:
                    break
                if time.monotonic() - looked > _PAUSE:
                    looked = time.monotonic()
                    self._check_goes_on()
            return writer.finish()
        except Exception as error:  # noqa: BLE001 (given back, to be raised where the build is)
            writer.abandon()
            return Run(first, trouble=error)
        except BaseException:
            writer.abandon()
            raise

    def _check_goes_on(self) -> None:
        if not exists(self.notes):
            raise StorageError(f"{self.root}: the build has ended")
