"""Write the chunks of a dataset anew, without what is deleted, and fewer of them.

Others read and write meanwhile. What they delete is carried over to the new chunks when these are
published; where they replaced the chunks themselves, it is begun again.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from haversack.errors import StorageError, UsageError
from haversack.events import Progress, Task, task
from haversack.packed.chunks.rowtable import Rows
from haversack.packed.manifests.deletions import read_deletions, with_deletions
from haversack.packed.manifests.manifest import ChunkEntry, Manifest, add_columns
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.reading.versions import open_version
from haversack.packed.upkeep.removal import DAY, Removed, remove_files
from haversack.packed.writing.copying import copy_rows, live_rows
from haversack.packed.writing.drafts import Draft, Finished, touch
from haversack.packed.writing.sealing import drop_unnamed, publish
from haversack.packed.writing.smallchunks import SMALL
from haversack.storage.looking import as_path
from haversack.storage.publish import is_full

_GIVE_UP: Final = "give up older versions: remove=True, keep=1 (--remove --keep 1)"
_TRIES: Final = 3  # where others replace the same chunks meanwhile


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction has done, or would do."""

    version: int
    chunks: int  # that were written anew
    into: int  # chunks that they have become; none where it was only asked for
    records: int  # deleted ones that were left out
    bytes: int  # that the new chunks are smaller; an estimate where it was only asked for
    removed: Removed = field(default_factory=Removed)


class _Group(NamedTuple):
    """Neighbouring chunks as they were, the rows copied of each, and what they have become."""

    entries: Sequence[ChunkEntry]
    live: Sequence[Rows]
    new: Finished | None  # None where all was deleted


def compact(
    path: str | os.PathLike[str],
    *,
    remove: bool = False,
    keep: int | None = None,
    older_than: float = DAY,
    chunk_bytes: int = 1 << 30,
    dry_run: bool = False,
    progress: Progress = None,
) -> Compacted:
    """Rewrite chunks with deleted records, merge small neighbours, and publish that as a version.

    The order of records stays. No file is removed unless that is asked for: older versions, which
    are kept, still have theirs.

    Parameters
    ----------
    path
        Directory of the dataset.
    remove
        Remove files that no version that is kept and no running build names, and that are older
        than ``older_than`` seconds: before, to make room, and afterwards.
    keep
        With ``remove``: keep only so many of the newest versions, and the tagged ones.
        Otherwise the newest 64 are kept. They are given up afterwards; before, where the disk is
        too full for the new chunks.
    chunk_bytes
        Size up to which neighbours are merged.
    dry_run
        Change nothing, and say what would be done.
    progress
        True draws a bar; a callable gets events.

    Raises
    ------
    IntegrityError
        A record to be copied is damaged: ``repair`` first.
    StorageError
        The disk refuses. The dataset is as it was, but for files that were to be removed.

    Examples
    --------
    >>> import numpy as np
    >>> from haversack.packed import PackWriter, open_packed, pack
    >>> ds = pack([(np.full(3, n), {"n": n}) for n in range(4)], "numbers", key="n")
    >>> with PackWriter("numbers") as writer:
    ...     writer.delete(2)
    >>> compact("numbers").records
    1
    >>> open_packed("numbers").info()["deleted bytes"]
    0
    """
    if keep is not None and (keep < 1 or not remove):
        raise UsageError(
            "keep= (--keep) goes with remove=True (--remove), and at least one version is kept"
        )
    if chunk_bytes < 1:
        raise UsageError(f"chunk_bytes must be positive, not {chunk_bytes}")
    root = as_path(path).absolute()
    open_version(root)  # says what is wrong with the place, if anything is
    work = partial(_estimate if dry_run else _compact, root, chunk_bytes, progress)
    free = partial(remove_files, root, older_than=older_than, dry_run=dry_run)
    # What nobody needs makes room for the new chunks.
    removed = free() if remove and not dry_run else Removed()
    try:
        done = work()
    except StorageError as error:
        if not is_full(error):
            raise
        if keep is None:
            raise StorageError(f"{error}, or {_GIVE_UP}") from error
        # Only now, as older versions may have whole what the newest has damaged.
        removed += free(keep=keep)
        done = work()
    if remove:
        removed += free(keep=keep)
    return dataclasses.replace(done, removed=removed)


def plan(entries: Sequence[ChunkEntry], chunk_bytes: int) -> list[range]:
    """Choose neighbours that are to become one chunk, and chunks that are to lose rows."""
    groups: list[range] = []
    start, size, largest, alike = 0, 0, 0, True
    for at, entry in enumerate(entries):
        left = entry.bytes - entry.deleted_bytes
        same = _kind(entry) == _kind(entries[start])
        # Records of one kind are read faster alone: only where all are small, kinds are mixed.
        joins = (alike and same) or max(largest, entry.bytes) < SMALL
        stay = any(_stays(one, chunk_bytes) for one in (entries[max(at - 1, 0)], entry))
        if at > start and (size + left > chunk_bytes or stay or not joins):
            groups.append(range(start, at))
            start, size, largest, alike, same = at, 0, 0, True, True
        size, largest, alike = size + left, max(largest, entry.bytes), alike and same
    groups.append(range(start, len(entries)))
    return [group for group in groups if len(group) > 1 or any(entries[n].deleted for n in group)]


def _stays(entry: ChunkEntry, chunk_bytes: int) -> bool:
    """Whether a chunk is left as it is: it fills half of what one may have."""
    return not entry.deleted and entry.bytes > chunk_bytes // 2


def _kind(entry: ChunkEntry) -> Any:
    return entry.dtype, entry.shape


def _estimate(root: Path, chunk_bytes: int, _: Progress) -> Compacted:
    manifest = open_version(root).manifest
    groups = plan(manifest.chunks, chunk_bytes)
    entries = [manifest.chunks[number] for group in groups for number in group]
    gone = sum(entry.deleted.rows for entry in entries if entry.deleted)
    freed = sum(entry.deleted_bytes for entry in entries)
    return Compacted(manifest.version, len(entries), len(groups), gone, freed)


def _compact(root: Path, chunk_bytes: int, progress: Progress) -> Compacted:
    published = publish(root, lambda base: base, unless=lambda base: base.journal is None)
    done: list[_Group] = []
    for _ in range(_TRIES):
        groups = plan(published.chunks, chunk_bytes)
        if not groups:
            break
        published, stood = _rewrite(root, published, groups, progress)
        done += stood
        if len(stood) == len(groups):
            break
    new = [group.new.entry for group in done if group.new]
    before = [entry for group in done for entry in group.entries]
    return Compacted(
        published.version,
        len(before),
        len(new),
        sum(entry.rows for entry in before) - sum(entry.rows for entry in new),
        sum(e.bytes + e.index_bytes for e in before) - sum(e.bytes + e.index_bytes for e in new),
    )


def _rewrite(
    root: Path, base: Manifest, groups: list[range], progress: Progress
) -> tuple[Manifest, list[_Group]]:
    """Write the groups anew and publish those whose chunks are still there."""
    written: list[_Group] = []
    snapshot = Snapshot(root, base)
    total = sum(base.chunks[number].bytes for group in groups for number in group)
    standing: list[tuple[_Group, Rows]] = []

    def all_replaced(current: Manifest) -> bool:
        standing[:] = _standing(root, current.chunks, written)
        return not standing

    def change(current: Manifest) -> Manifest:
        # Once more, as the journal's deletions have become lists.
        standing[:] = _standing(root, current.chunks, written)
        return _applied(root, current, standing)

    published: Manifest | None = None
    try:
        with task(progress, "compact", total=total, unit="B") as work:
            written.extend(_copied(snapshot, group, work) for group in groups)
        published = publish(root, change, unless=all_replaced)
    finally:
        drop_unnamed(root, {group.new.entry.id for group in written if group.new}, published)
    return published, [group for group, _ in standing]


def _copied(snapshot: Snapshot, group: range, work: Task) -> _Group:
    entries = [snapshot.manifest.chunks[number] for number in group]
    live = [live_rows(snapshot, number) for number in group]
    if not any(map(len, live)):
        work.advance(sum(entry.bytes for entry in entries))
        return _Group(entries, live, None)
    draft = Draft(snapshot.root)
    try:
        for number, rows in zip(group, live, strict=True):
            copy_rows(snapshot, number, rows, draft)
            work.advance(snapshot.manifest.chunks[number].bytes)
        return _Group(entries, live, draft.finish(snapshot.manifest.key_type))
    except BaseException:
        draft.abandon()
        raise


def _applied(root: Path, current: Manifest, standing: list[tuple[_Group, Rows]]) -> Manifest:
    """Put new chunks in the place of the old ones, with the rows that were deleted meanwhile."""
    chunks, columns = list(current.chunks), current.columns
    later: dict[str, Rows] = {}
    for group, moved in standing:
        run = _run_of(chunks, group)
        if group.new is None:
            del chunks[run.start : run.stop]
            continue
        touch(root, group.new.entry.id)
        chunks[run.start : run.stop] = [group.new.entry]
        columns = add_columns(columns, group.new.columns)
        later[group.new.entry.id] = moved
    columns = _columns(chunks, [group for group, _ in standing], columns)
    following = msgspec.structs.replace(current, chunks=chunks, columns=columns)
    doomed = {n: later[entry.id] for n, entry in enumerate(chunks) if len(later.get(entry.id, ()))}
    return with_deletions(root, following, doomed) if doomed else following


def _standing(
    root: Path, chunks: Sequence[ChunkEntry], written: list[_Group]
) -> list[tuple[_Group, Rows]]:
    """List the groups that others have not replaced, each with rows that are deleted by now."""
    found = []
    for group in written:
        run = _run_of(chunks, group)
        moved = _deleted_since(root, chunks[run.start : run.stop], group) if run else None
        if moved is not None:
            found.append((group, moved))
    return found


def _run_of(chunks: Sequence[ChunkEntry], group: _Group) -> range:
    """Find the chunks of a group; an empty range where others have merged or compacted them."""
    ids = _ids(group)
    start = next((n for n, entry in enumerate(chunks) if entry.id == ids[0]), 0)
    if [entry.id for entry in chunks[start : start + len(ids)]] != ids:
        return range(0)
    return range(start, start + len(ids))


def _ids(group: _Group) -> list[str]:
    return [entry.id for entry in group.entries]


def _deleted_since(root: Path, now: Sequence[ChunkEntry], group: _Group) -> Rows | None:
    """List the rows of the new chunk that were deleted meanwhile.

    None where rows are back that were deleted, as only a repair brings about.
    """
    found, first = [], 0
    for entry, live in zip(now, group.live, strict=True):
        gone = read_deletions(root, entry)
        dead = np.flatnonzero(np.isin(live, gone))
        if len(gone) - len(dead) != entry.rows - len(live):
            return None
        found.append(first + dead)
        first += len(live)
    return np.concatenate(found)


def _columns(
    chunks: list[ChunkEntry], written: list[_Group], columns: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Forget types that only deleted records had, where every chunk is new."""
    new = {group.new.entry.id: group.new for group in written if group.new}
    if any(entry.id not in new for entry in chunks):
        return columns
    fresh: dict[str, list[str]] = {}
    for entry in chunks:
        fresh = add_columns(fresh, new[entry.id].columns)
    return fresh
