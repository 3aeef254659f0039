"""Keys that no two runs may both have."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.packed.build.failures import Failure
from haversack.packed.build.runs import Part, Run
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.keys import KeyType
from haversack.packed.manifests.index import IndexFile
from haversack.packed.reading.mapped import open_chunk, reserve
from haversack.packed.writing.drafts import Draft, discard


class UniqueKeys:
    """The keys of all runs so far, by their hashes.

    Hashes are held in sorted pieces, each at least twice as long as the next, so that neither
    adding to them nor asking goes over all of them again and again.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._chunks: list[Chunk] = []
        self._pieces: list[tuple[NDArray[Any], NDArray[Any]]] = []  # hashes, and whose they are

    def taken(self, run: Run) -> list[tuple[int, int, bytes]]:
        """List a run's records whose keys were there before: part, row and key."""
        found: list[tuple[int, int, bytes]] = []
        for number, part in enumerate(run.parts):
            if part.entry.keys:
                chunk = self._open(part)
                rows = self._suspects(chunk)
                for row in sorted(rows):
                    text = chunk.key_text(row)
                    if text is not None and any(c.find(text) is not None for c in rows[row]):
                        found.append((number, row, text))
        return found

    def add(self, run: Run) -> None:
        """Add the keys of a run."""
        for part in run.parts:
            if part.entry.keys:
                chunk = self._open(part)
                hashes = chunk.section("key_hash")
                self._pieces.append((hashes, np.full(len(hashes), len(self._chunks), np.uint32)))
                self._chunks.append(chunk)
                self._merge()

    def _open(self, part: Part) -> Chunk:
        return open_chunk(self._root, part.entry, reserve(self._root, part.entry.bytes))

    def _suspects(self, chunk: Chunk) -> dict[int, list[Chunk]]:
        """Find the rows whose hashes others have, and these."""
        hashes, rows = chunk.section("key_hash"), chunk.section("key_row")
        found: dict[int, list[Chunk]] = {}
        for held, owner in self._pieces:
            first = held.searchsorted(hashes)
            last = held.searchsorted(hashes, side="right")
            for at in np.flatnonzero(last > first).tolist():
                owners = {self._chunks[which] for which in owner[first[at] : last[at]].tolist()}
                found.setdefault(int(rows[at]), []).extend(owners)
        return found

    def _merge(self) -> None:
        pieces = self._pieces
        while len(pieces) > 1 and len(pieces[-2][0]) < 2 * len(pieces[-1][0]):
            second, first = pieces.pop(), pieces.pop()
            hashes = np.concatenate((first[0], second[0]))
            order = hashes.argsort(kind="stable")
            pieces.append((hashes[order], np.concatenate((first[1], second[1]))[order]))


def all_keys(root: Path, run: Run) -> list[tuple[int, int, bytes]]:
    """List all of a run's records that have keys: part, row and key."""
    found: list[tuple[int, int, bytes]] = []
    for number, part in enumerate(run.parts):
        chunk = open_chunk(root, part.entry, reserve(root, part.entry.bytes))
        texts = ((row, chunk.key_text(row)) for row in range(chunk.rows))
        found += [(number, row, text) for row, text in texts if text is not None]
    return found


def leave_out(root: Path, run: Run, failures: dict[tuple[int, int], Failure]) -> None:
    """Write the chunks of a run anew without some records, by part and row."""
    parts: list[Part] = []
    for number, part in enumerate(run.parts):
        rows = {row for which, row in failures if which == number}
        if rows:
            parts += _without(root, part, rows, run.key_type)
            discard(root, [part.entry.id])
        else:
            parts.append(part)
    run.skipped += [failure.skipped() for failure in failures.values()]
    run.skipped.sort(key=lambda skipped: skipped.number)
    run.parts, run.depends = parts, True
    if not any(part.entry.keys for part in parts):
        run.key_type = None


def _without(root: Path, part: Part, rows: set[int], key_type: KeyType | None) -> list[Part]:
    entry = part.entry
    if len(rows) == entry.rows:
        return []
    chunk = open_chunk(root, entry, reserve(root, entry.bytes))
    texts = IndexFile(root, entry).texts()
    # A build's files are known by how their names begin.
    draft = Draft(root, chunk_id=entry.id[:26] + secrets.token_hex(3))
    try:
        for row in range(chunk.rows):
            if row not in rows:
                chunk.check(row)
                stored = Stored(chunk.kind_of(row), chunk.payload(row))
                draft.append_stored(stored, chunk.key_text(row), texts[row], chunk.sharing(row))
        finished = draft.finish(key_type)
    except BaseException:
        draft.abandon()
        raise
    return [Part(finished.entry, finished.columns)]
