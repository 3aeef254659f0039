"""Repair a damaged dataset: keep every whole record, and publish them as a new version.

The damaged files stay where they are until ``compact`` removes what no version needs.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from haversack.errors import (
    ExistsError,
    FormatError,
    HaversackError,
    IntegrityError,
    PathNotFoundError,
    StorageError,
)
from haversack.events import Progress, Task, task
from haversack.packed.chunks.rowtable import Rows
from haversack.packed.encoding.metadata import loads
from haversack.packed.journal.log import Log
from haversack.packed.journal.replay import Row
from haversack.packed.manifests.deletions import read_deletions, with_rows
from haversack.packed.manifests.index import column_types, plain_fields
from haversack.packed.manifests.kept import kept_chunks, read_latest
from haversack.packed.manifests.manifest import ChunkEntry, Manifest, add_columns, encode, utc_now
from haversack.packed.manifests.places import (
    CHUNKS,
    INDEX,
    deletions_path,
    journal_path,
    manifest_path,
)
from haversack.packed.manifests.publishing import KEPT
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.upkeep.lostlists import is_damaged_list, mended_list, older_list
from haversack.packed.upkeep.removal import DAMAGED_SUFFIX
from haversack.packed.upkeep.repairbase import Base, find_base
from haversack.packed.upkeep.rescue import Rescued
from haversack.packed.upkeep.salvage import Salvage, examine
from haversack.packed.upkeep.strays import MARK, stray_journals
from haversack.packed.writing.copying import key_texts, live_rows
from haversack.packed.writing.drafts import Draft, discard, make_folders
from haversack.packed.writing.sealing import publish
from haversack.storage.damage import Damage
from haversack.storage.looking import as_path, exists
from haversack.storage.publish import create, storage_error, sync_directory

_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair has done, or would do.

    Attributes
    ----------
    version
        The version that has what was whole; the current one where nothing was wrong.
    kept
        How many records it has.
    lost
        What is not in it any more, each record by its key and place; and what else is uncertain.
    rebuilt
        Files that were damaged and whose content was written anew.
    """

    version: int
    kept: int
    lost: list[Damage]
    rebuilt: list[Path]


class _Moved(Exception):  # noqa: N818 (no error: it is begun again)
    """Another writer has published a version meanwhile."""


def repair(
    path: str | os.PathLike[str],
    *,
    undelete: bool = False,
    dry_run: bool = False,
    progress: Progress = None,
) -> Repaired:
    """Salvage every whole record of a damaged dataset, and publish them as a new version.

    Everything is read. Damaged records are left out, lost index files written anew from the chunks,
    and a manifest that cannot be read is replaced by the newest that can, or by what the files
    tell; commits of a journal that no version names are taken back. Nothing is removed; a dataset
    without damage stays as it is, but for its journal, which is sealed.

    Parameters
    ----------
    path
        Directory of the dataset.
    undelete
        Where a list of deleted records is lost, take these records back.
    dry_run
        Change nothing, and say what would be done.
    progress
        True draws a bar; a callable gets events.

    Raises
    ------
    IntegrityError
        A list of deleted records is lost and it is not to ``undelete``; nothing was changed.
    FormatError
        There is neither a manifest nor a chunk that can be read.
    StorageError
        The disk refuses, or others write all the time. Nothing was changed.

    Examples
    --------
    >>> import numpy as np
    >>> from haversack.packed import open_packed, pack
    >>> ds = pack([(np.full(3, n), {"n": n}) for n in range(4)], "numbers", key="n")
    >>> (index,) = (ds.path / "index").iterdir()
    >>> index.unlink()
    >>> done = repair("numbers")
    >>> done.kept, len(done.lost), open_packed("numbers").verify()
    (4, 4, [])
    >>> print(done.lost[0].where, "-", done.lost[0].what)
    record 0 (key '0'), position 0 of the version - its metadata are lost; ...
    """
    root = as_path(path).absolute()
    if not exists(root):
        raise PathNotFoundError(f"{root} does not exist")
    for _ in range(_TRIES):
        try:
            return _Repair(root, undelete=undelete, dry_run=dry_run).run(progress)
        except _Moved:
            continue
        except HaversackError:
            raise
        except OSError as error:
            raise storage_error("repair", root, error) from error
    raise StorageError(f"others write into {root} all the time: repair it when they are done")


class _Repair:
    """One attempt to repair a dataset."""

    def __init__(self, root: Path, *, undelete: bool, dry_run: bool) -> None:
        self._root, self._undelete, self._dry_run = root, undelete, dry_run
        self._strays = stray_journals(root)
        self._base = self._found()
        self._lost = list(self._base.damage)
        self._rebuilt = list(self._base.mended)
        self._changed = bool(self._strays or self._base.manifest.journal or not self._base.current)
        self._back: set[str] = set()  # chunks of which rows are back that were deleted
        self._made: list[str] = []
        self._chunks: list[ChunkEntry] = []
        self._columns = self._base.manifest.columns
        self._key_type = self._base.manifest.key_type

    def _found(self) -> Base:
        base = find_base(self._root, dry_run=self._dry_run)
        if base.current and not self._dry_run and self._has_whole_journal(base.manifest):
            with suppress(FormatError):
                publish(self._root, lambda old: old, unless=lambda old: old.journal is None)
                base = find_base(self._root, dry_run=False)._replace(mended=base.mended)
        return base

    def _has_whole_journal(self, manifest: Manifest) -> bool:
        if manifest.journal is None:
            return False
        log = Log(journal_path(self._root, manifest.journal), manifest.journal)
        with suppress(FormatError, FileNotFoundError):
            log.read_on()
            log.check()
            return not log.gaps and not log.torn
        return False

    def run(self, progress: Progress) -> Repaired:
        manifest, kept = self._base.manifest, 0
        total = sum(entry.bytes for entry in manifest.chunks)
        try:
            gone = [self._gone(entry) for entry in manifest.chunks]
            rescued = Rescued(self._root, manifest, self._strays, dry_run=self._dry_run)
            self._lost += rescued.damage
            self._key_type = rescued.key_type
            with task(progress, "repair", total=total, unit="B") as work:
                for number, entry in enumerate(manifest.chunks):
                    doomed = rescued.doomed.get(number, [])
                    more = np.union1d(gone[number], doomed).astype(np.int64)
                    kept += self._chunk(entry, more, kept, work, rescued)
            self._lost += rescued.settle()
            kept += self._seal_all(rescued)
            if not self._changed and not self._dry_run:
                self._set_aside()
            if not self._changed or self._dry_run:
                return Repaired(manifest.version, kept, self._lost, self._rebuilt)
            published = self._publish()
        except BaseException:
            with suppress(HaversackError, OSError):
                discard(self._root, set(self._made) - kept_chunks(self._root))
            raise
        self._lost += rescued.end()
        return Repaired(published.version, published.rows, self._lost, self._rebuilt)

    # Deletions.

    def _gone(self, entry: ChunkEntry) -> Rows:
        """List the deleted rows of a chunk, or those of them that can still be told."""
        try:
            return read_deletions(self._root, entry).astype(np.int64)
        except FormatError:
            assert entry.deleted is not None
            path = deletions_path(self._root, entry.id, entry.deleted.number)
        self._changed = True
        whole = mended_list(path, entry)
        if whole is not None:
            self._rebuilt.append(path)
            return whole
        older = older_list(self._root, entry)
        back = entry.deleted.rows - len(older)
        what = f"{back} deleted records of {entry.rows} of chunk {entry.id} cannot be told"
        if not self._undelete:
            raise IntegrityError(
                f"{path} is damaged: {what} from the others; nothing was changed; "
                "undelete=True (--undelete) takes them back"
            )
        self._lost.append(Damage(path, "", f"{what}: they are back, unless they were replaced"))
        self._back.add(entry.id)
        return older

    # Journals.

    def _seal(self, rows: list[Row], chunk_id: str | None = None) -> int:
        """Make a chunk of records, if there are any; give their number."""
        if rows and not self._dry_run:
            draft = Draft(self._root, chunk_id=chunk_id)
            try:
                for stored, key, text in rows:
                    draft.append_stored(stored, key, text)
                self._finish(draft)
            except BaseException:
                draft.abandon()
                raise
        return len(rows)

    def _seal_all(self, rescued: Rescued) -> int:
        kept = self._seal(rescued.rows)
        for taken in rescued.taken:
            # By its id, a repair that comes after this one knows what was taken back.
            chunk_id = taken.stray.id[:MARK] + secrets.token_hex(16 - MARK // 2)
            kept += self._seal(taken.rows, chunk_id)
        return kept

    def _finish(self, draft: Draft) -> None:
        new = draft.finish(self._key_type)
        self._made.append(new.entry.id)
        self._chunks.append(new.entry)
        self._columns = add_columns(self._columns, new.columns)

    # Chunks.

    def _chunk(
        self, entry: ChunkEntry, gone: Rows, first: int, work: Task, rescued: Rescued
    ) -> int:
        """Keep a chunk, or write anew what is whole of it; give the number of its records."""
        found = examine(self._root, entry, set(gone.tolist()), first)
        if rescued.taken:
            rows = [row for row in found.rows if rescued.stays(found.keys[row])]
            gone = np.union1d(gone, list(set(found.rows).difference(rows))).astype(np.int64)
            found = replace(found, rows=rows)
        self._lost += found.damage
        work.advance(entry.bytes)
        if found.whole:
            self._keep(entry, gone, found)
        else:
            self._changed = True
            self._rebuilt += found.damaged
            if found.rows and not self._dry_run:
                self._write(found)
        return len(found.rows)

    def _keep(self, entry: ChunkEntry, gone: Rows, found: Salvage) -> None:
        known = entry.deleted.rows if entry.deleted else 0
        if len(gone) != known or entry.id in self._back or is_damaged_list(self._root, entry):
            entry = with_rows(self._root, entry, gone) if not self._dry_run else entry
        self._chunks.append(entry)
        if not self._base.certain:  # nor are the types of the columns
            fields = [plain_fields(loads(text or "{}")) for text in found.texts]
            self._columns = add_columns(self._columns, column_types(fields))

    def _write(self, found: Salvage) -> None:
        draft = Draft(self._root)
        try:
            for record in found.records():
                draft.append_stored(*record)
            self._finish(draft)
        except BaseException:
            draft.abandon()
            raise

    # Publishing.

    def _publish(self) -> Manifest:
        base = self._base
        manifest = msgspec.structs.replace(
            base.manifest,
            chunks=self._without_doubles(),
            key_type=self._key_type,
            columns=self._columns,
            journal=None,
        )
        make_folders(self._root)
        for folder in (CHUNKS, INDEX):
            sync_directory(self._root / folder)
        commit_id, version = secrets.token_hex(16), base.highest + 1
        following = msgspec.structs.replace(
            manifest,
            version=version,
            commits=[*manifest.commits[-(KEPT - 1) :], commit_id],
            created=utc_now(),
        )
        try:
            create(manifest_path(self._root, version), encode(following))
        except ExistsError:
            raise _Moved from None
        latest = read_latest(self._root)
        if latest is None or commit_id not in latest.commits:
            raise _Moved
        self._set_aside()
        return following

    def _set_aside(self) -> None:
        """Take manifests and tags that cannot be read out of the way of those that can."""
        for path in self._base.unreadable:
            with suppress(FileNotFoundError):
                path.rename(path.with_name(path.name + DAMAGED_SUFFIX))
                sync_directory(path.parent)

    def _without_doubles(self) -> list[ChunkEntry]:
        """Delete records whose key a later one has, where deleted records may be back."""
        if self._base.certain and not self._back:
            return self._chunks
        manifest = msgspec.structs.replace(
            self._base.manifest, chunks=self._chunks, key_type=self._key_type, journal=None
        )
        snapshot, chunks, seen = Snapshot(self._root, manifest), list(self._chunks), set[bytes]()
        for number in range(len(chunks) - 1, -1, -1):
            live = live_rows(snapshot, number)
            keys = key_texts(snapshot.chunk(number), live)
            doubles = [row for row, key in zip(live.tolist(), keys, strict=True) if key in seen]
            seen.update(key for key in keys if key is not None)
            if doubles:
                gone = np.union1d(snapshot.gone_of(number), doubles).astype(np.int64)
                chunks[number] = with_rows(self._root, chunks[number], gone)
        return chunks
