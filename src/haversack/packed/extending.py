"""Add the records of another dataset, as they are stored, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from haversack.errors import KeyExistsError, UsageError
from haversack.events import Task
from haversack.packed.chunks.rowtable import Rows
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.keys import Key, hash64, key_from_bytes
from haversack.packed.encoding.metadata import loads
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.writing.committing import Committer, Hashes
from haversack.packed.writing.copying import copy_rows, key_texts
from haversack.packed.writing.drafts import Draft, Finished, discard
from haversack.packed.writing.pending import MOST_BYTES, MOST_STEPS, Step

OnConflict = Literal["error", "skip", "replace"]
CHOICES: Final = ("error", "skip", "replace")
_AT_ONCE: Final = 4 << 20  # bytes between two looks at the size of a chunk


class _Piece(NamedTuple):
    """Rows of one chunk (None: of the journal) that follow each other."""

    number: int | None
    rows: Rows


def extend(
    committer: Committer, source: Snapshot, rows: Rows, on_conflict: OnConflict, work: Task
) -> int:
    """Add rows of a snapshot; see :meth:`PackWriter.extend`."""
    if on_conflict not in CHOICES:
        raise UsageError(f"on_conflict is one of {', '.join(CHOICES)}, not {on_conflict!r}")
    replaced: dict[bytes, Key] = {}
    if source.key_type is not None and len(rows):
        _check_type(committer, source)
        if len(np.unique(rows)) < len(rows):
            raise UsageError(
                f"records of {source.root} are chosen more than once, and their keys are unique: "
                "choose each once"
            )
        conflicts = _conflicts(committer, source, rows)
        if conflicts and on_conflict == "error":
            raise _exists(committer, source, next(iter(conflicts.values())))
        if on_conflict == "skip":
            rows = np.delete(rows, list(conflicts))
        else:
            replaced = {key: key_from_bytes(key, source.key_type) for key in conflicts.values()}
    # What is chosen by its records would be encoded anew on its way through the writer's steps.
    if committer.chunking.auto is None and _is_small(source, rows):
        _as_steps(committer, source, rows, replaced, work)
    else:
        _as_chunks(committer, source, rows, replaced, work)
    return len(rows)


def _check_type(committer: Committer, source: Snapshot) -> None:
    known, given = committer.key_type, source.key_type
    if known is not None and known != given:
        raise UsageError(
            f"the keys of {committer.root} are {known}, those of {source.root} are {given}: "
            "a dataset's keys are all text or all integers"
        )


def _exists(committer: Committer, source: Snapshot, key: bytes) -> KeyExistsError:
    given = key_from_bytes(key, source.key_type or "text")
    return KeyExistsError(
        f"{committer.root} already has the key {given!r} of {source.root}: nothing was added; "
        'on_conflict="skip" (--on-conflict skip) keeps what is there, "replace" takes what is new'
    )


def _pieces(source: Snapshot, rows: Rows) -> Iterator[_Piece]:
    """Cut rows where the chunk changes."""
    starts = np.array(source.chunk_starts, np.int64)
    numbers = starts[1:].searchsorted(rows, side="right")
    for place in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(numbers)) + 1):
        if len(place):
            number = int(numbers[place[0]])
            inside = rows[place] - starts[number]
            yield _Piece(None if number == len(source.manifest.chunks) else number, inside)


def _conflicts(committer: Committer, source: Snapshot, rows: Rows) -> dict[int, bytes]:
    """Find which of the rows have a key that the dataset has: place among the rows -> key."""
    found: dict[int, bytes] = {}
    order, first = np.argsort(rows, kind="stable"), 0
    for piece in _pieces(source, rows[order]):  # each chunk once
        keys, hashes = _keys(source, piece)
        for at, key in committer.suspects(keys, hashes):
            if committer.has(key):
                found[int(order[first + at])] = key
        first += len(piece.rows)
    return found


def _keys(source: Snapshot, piece: _Piece) -> tuple[list[bytes | None], Hashes]:
    if piece.number is None:
        assert source.tail is not None
        keys = [source.tail.row(row).key for row in piece.rows.tolist()]
    else:
        chunk = source.chunk(piece.number)
        keys = key_texts(chunk, piece.rows)
        if len(piece.rows) * 8 > chunk.rows and chunk.keyed:
            table = np.zeros(chunk.rows, np.uint64)
            table[chunk.section("key_row")] = chunk.section("key_hash")
            return keys, table[piece.rows]
    return keys, np.array([0 if key is None else hash64(key) for key in keys], np.uint64)


# Copying.


def _is_small(source: Snapshot, rows: Rows) -> bool:
    """Whether the records fit into memory, and into the journal."""
    return (
        len(rows) <= MOST_STEPS
        and sum(_size(source, piece) * len(piece.rows) for piece in _pieces(source, rows))
        <= MOST_BYTES
    )


def _size(source: Snapshot, piece: _Piece) -> int:
    """Say how many bytes a record takes, on average over its chunk."""
    if piece.number is None:
        return 1  # the journal is small
    entry, chunk = source.manifest.chunks[piece.number], source.chunk(piece.number)
    return chunk.kinds[0].nbytes if chunk.uniform else entry.bytes // max(entry.rows, 1)


def _as_steps(
    committer: Committer, source: Snapshot, rows: Rows, replaced: dict[bytes, Key], work: Task
) -> None:
    steps = [
        Step(
            "put" if key in replaced else "add",
            key,
            None if key is None else key_from_bytes(key, source.key_type or "text"),
            stored,
            text,
            loads(text),
        )
        for piece in _pieces(source, rows)
        for stored, key, text in _stored(source, piece)
    ]
    if any(step.key is not None for step in steps):
        committer.key_type = source.key_type
    for step in steps:
        committer.take(step)
    work.advance(len(steps))


def _stored(source: Snapshot, piece: _Piece) -> Iterator[tuple[Stored, bytes | None, str]]:
    """Give records as they are stored, each checked."""
    if piece.number is None:
        assert source.tail is not None
        yield from (source.tail.row(row) for row in piece.rows.tolist())
        return
    chunk = source.chunk(piece.number)
    chunk.check_many(piece.rows)
    keys, texts = key_texts(chunk, piece.rows), source.index(piece.number).texts_of(piece.rows)
    for row, key, text in zip(piece.rows.tolist(), keys, texts, strict=True):
        yield Stored(chunk.kind_of(row), chunk.payload(row)), key, text


def _as_chunks(
    committer: Committer, source: Snapshot, rows: Rows, replaced: dict[bytes, Key], work: Task
) -> None:
    finished: list[Finished] = []
    draft: Draft | None = None
    try:
        for part in _parts(source, rows, min(_AT_ONCE, committer.chunking.chunk_bytes)):
            draft = draft or Draft(committer.root)
            _copy(source, part, draft)
            work.advance(len(part.rows))
            if draft.size >= committer.chunking.chunk_bytes:
                whole, draft = draft, None
                finished.append(whole.finish(source.key_type))
        if draft is not None:
            whole, draft = draft, None
            finished.append(whole.finish(source.key_type))
    except BaseException:
        if draft is not None:
            draft.abandon()
        discard(committer.root, [new.entry.id for new in finished])
        raise
    if any(new.entry.keys for new in finished):
        committer.key_type = source.key_type
    committer.adopt(finished, replaced)


def _parts(source: Snapshot, rows: Rows, size: int) -> Iterator[_Piece]:
    """Cut rows into pieces of about so many bytes."""
    for piece in _pieces(source, rows):
        step = max(1, size // max(1, _size(source, piece)))
        for start in range(0, len(piece.rows), step):
            yield piece._replace(rows=piece.rows[start : start + step])


def _copy(source: Snapshot, piece: _Piece, draft: Draft) -> None:
    if piece.number is not None:
        copy_rows(source, piece.number, piece.rows, draft)
        return
    for stored, key, text in _stored(source, piece):
        draft.append_stored(stored, key, text)


def chosen(source: Any) -> tuple[Snapshot, Rows]:
    """Give the snapshot and the rows of a dataset, or of a selection."""
    from haversack.packed.dataset import PackedDataset

    if not isinstance(source, PackedDataset):
        raise UsageError(
            f"records are taken from a packed dataset, or a selection of one, not from "
            f"{type(source).__name__}: open it with haversack.open(path)"
        )
    return source.located()
