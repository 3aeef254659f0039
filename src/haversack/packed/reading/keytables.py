"""Find a key among many chunks: their key tables, merged into one where there are more than a few.

A merged table is derived: a file in ``cache/`` that anyone may delete at any time. It says in which
chunk and row a key may be; the chunk itself says whether it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from haversack.errors import FormatError, HaversackError, LockTimeoutException
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.keys import hash64
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.manifests.places import CACHE
from haversack.packed.reading.mergedkeys import Merged, open_merged
from haversack.storage.lazily import lazily
from haversack.storage.lock import exclusive
from haversack.storage.publish import TEMPORARY_SUFFIX

ALONE: Final = 8  # tables that are asked one by one
PATIENCE: Final = 200  # keys that are looked for before tables are merged
_NAME = "keys-{}.table"
_TEMPORARY: Final = f".{{}}{TEMPORARY_SUFFIX}"

Opener = Callable[[int], Chunk]


class _Plan(NamedTuple):
    """Which tables are asked: a merged one, with the chunk of each part of it, and some alone."""

    merged: Merged | None
    numbers: list[int]  # -1 for a chunk that the version does not have
    alone: list[int]


class KeyTables:
    """The keys of a version's chunks.

    Parameters
    ----------
    root, entries
        The dataset, and the chunks.
    merged
        A merged table that is known to be there, perhaps of an earlier version.
    """

    def __init__(
        self,
        root: Path,
        entries: Sequence[ChunkEntry],
        merged: Merged | None = None,
    ) -> None:
        self._root, self._entries = root, entries
        self._asked, self.merged = 0, merged

    @lazily
    def plan(self) -> _Plan:
        """What is asked for a key; read at the first of them."""
        return self._planned(self.merged)

    def find(self, key: bytes, chunk: Opener) -> Iterator[tuple[int, int]]:
        """Give each chunk and row that has a key; ``chunk`` opens one by its number.

        Raises
        ------
        FormatError
            At the end, where a part is damaged that might have it as well.
        """
        if len(self.plan.alone) > ALONE:
            self._prepare(chunk)
        plan, damage = self.plan, None
        try:
            places = [] if plan.merged is None else plan.merged.find(hash64(key))
        except FormatError:
            plan, places = self._without_merged(plan), []
        for table, row in places:
            number = plan.numbers[table]
            try:
                if number >= 0 and chunk(number).key_table.is_key(row, key):
                    yield number, row
            except FormatError as error:
                damage = damage or error
        for number in plan.alone:
            try:
                found = chunk(number).find(key)
            except FormatError as error:
                damage = damage or error
                continue
            if found is not None:
                yield number, found
        if damage is not None:
            raise damage

    def _planned(self, merged: Merged | None) -> _Plan:
        self.merged = merged
        alone = {entry.id: number for number, entry in enumerate(self._entries) if entry.keys}
        numbers = [alone.pop(chunk_id, -1) for chunk_id in merged.ids] if merged else []
        return _Plan(merged, numbers, sorted(alone.values()))

    def _without_merged(self, plan: _Plan) -> _Plan:
        """Go on without a merged table that turned out to be damaged."""
        if plan.merged is not None and plan.merged.path is not None:
            with suppress(OSError):
                plan.merged.path.unlink()
        self.plan = self._planned(None)
        return self.plan

    def _prepare(self, chunk: Opener) -> None:
        """Look for a merged table that others have left; after some keys, make one."""
        self._asked += 1
        if self._asked % PATIENCE == 1:
            wanted = {entry.id for entry in self._entries if entry.keys}
            self.plan = self._planned(_best(self._root, wanted, self.plan.merged))
        if self._asked % PATIENCE == 0 and len(self.plan.alone) > ALONE:
            # Another one at it will be done when it is asked for the next time.
            with suppress(LockTimeoutException):
                self.plan = self._planned(self._made(chunk))

    def _made(self, chunk: Opener) -> Merged:
        folder = self._root / CACHE
        try:
            folder.mkdir(exist_ok=True)
            with exclusive(folder / "keys.lock", timeout=0):
                return _published(self._merge(chunk), folder)
        except LockTimeoutException:
            raise
        except OSError:  # a dataset that may not be written to
            return self._merge(chunk)

    def _merge(self, chunk: Opener) -> Merged:
        """Merge the tables that stand alone with the merged one; damaged ones go on alone."""
        plan = self.plan
        if plan.merged is not None and not plan.merged.whole():
            plan = self._without_merged(plan)
        ids: list[str] = []
        parts = [(np.empty(0, "<u8"), np.empty(0, "<u4"), np.empty(0, "<u4"))]
        if plan.merged is not None:
            held = np.array(plan.numbers) >= 0
            keep = held[plan.merged.tables]
            ids = [chunk_id for chunk_id, there in zip(plan.merged.ids, held, strict=True) if there]
            tables = (held.cumsum() - 1).astype("<u4")[plan.merged.tables[keep]]
            parts.append((plan.merged.hashes[keep], tables, plan.merged.rows[keep]))
        for number in plan.alone:
            with suppress(HaversackError):
                hashes, rows = chunk(number).key_table.hashes()
                parts.append((hashes, np.full(len(rows), len(ids), "<u4"), rows))
                ids.append(self._entries[number].id)
        hashes, tables, rows = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        # Of parts that are in order by themselves, a stable sort makes little work.
        order = hashes.argsort(kind="stable")
        return Merged(ids, hashes[order], tables[order], rows[order])


def _published(merged: Merged, folder: Path) -> Merged:
    """Leave a merged table to others, in place of those before it; the lock must be held."""
    name = _NAME.format(secrets.token_hex(8))
    temporary = folder / _TEMPORARY.format(name)
    try:
        merged.write(temporary)
        temporary.rename(folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Whoever made a temporary before is dead, as the lock is ours.
    for pattern in (_NAME.format("*"), _TEMPORARY.format(_NAME.format("*"))):
        for other in folder.glob(pattern):
            if other.name != name:
                other.unlink(missing_ok=True)
    return open_merged(folder / name) or merged


def _best(root: Path, wanted: set[str], held: Merged | None) -> Merged | None:
    """Give the merged table that has most of the wanted chunks: that which is held, or a file."""
    best, most = held, len(wanted.intersection(held.ids)) if held else 0
    with suppress(OSError):
        for path in (root / CACHE).glob(_NAME.format("*")):
            merged = open_merged(path)
            if merged is not None and len(wanted.intersection(merged.ids)) > most:
                best, most = merged, len(wanted.intersection(merged.ids))
    return best
