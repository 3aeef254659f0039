"""Check every byte that a version depends on, and say by record and key what is damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from haversack.errors import FormatError, HaversackError, MissingExtraError, StorageError
from haversack.events import Progress, task
from haversack.packed.chunks.fileheader import HEADER_SIZE
from haversack.packed.chunks.layout import BLOCK, check_header
from haversack.packed.chunks.reader import Chunk
from haversack.packed.chunks.rowtable import GROUP
from haversack.packed.journal.tail import Tail
from haversack.packed.manifests.manifest import Manifest
from haversack.packed.manifests.places import chunk_path, deletions_path, journal_path
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.upkeep.strays import stray_journals
from haversack.storage.damage import Damage


def verify(snapshot: Snapshot, progress: Progress = None) -> list[Damage]:
    """Read all chunks and index files of a version and list their damage."""
    manifest = snapshot.manifest
    fresh = Snapshot(snapshot.root, msgspec.structs.replace(manifest, journal=None))
    found = [*_journal_damage(snapshot.root, manifest), *_stray_damage(snapshot.root)]
    total = sum(entry.bytes for entry in fresh.manifest.chunks)
    with task(progress, "verify", total=total, unit="B") as work:
        for number, entry in enumerate(fresh.manifest.chunks):
            try:
                chunk = fresh.chunk(number)
            except HaversackError as error:
                found.append(_damage(chunk_path(fresh.root, entry.id), "", error))
            else:
                found += _chunk_damage(chunk, entry.id)
            found += _index_damage(fresh, number)
            found += _deletions_damage(fresh, number)
            work.advance(entry.bytes)
    return found


def _chunk_damage(chunk: Chunk, chunk_id: str) -> Iterator[Damage]:
    bad = chunk.blocks.bad()
    found = [*_structure_damage(chunk, chunk_id), *_record_damage(chunk)]
    if len(bad) and not found:
        where = f"bytes {bad[0] * BLOCK} to {bad[0] * BLOCK + BLOCK}"
        found.append(Damage(chunk.path, where, "bytes between the records are damaged"))
    yield from found


def _structure_damage(chunk: Chunk, chunk_id: str) -> Iterator[Damage]:
    checks: list[Callable[[], object]] = [
        lambda: check_header(bytes(chunk.raw[:HEADER_SIZE]), chunk_id, chunk.path),
        lambda: chunk.section("crc"),
        lambda: chunk.keyed and chunk.key_table.check(),
    ]
    for check in checks:
        try:
            check()
        except FormatError as error:
            yield _damage(chunk.path, "", error)


def _record_damage(chunk: Chunk) -> Iterator[Damage]:
    encoded = np.array([kind.codec != "none" for kind in chunk.kinds], bool)
    for start in range(0, chunk.rows, GROUP):
        rows = np.arange(start, min(start + GROUP, chunk.rows))
        try:
            doubtful = chunk.blocks.in_bad(*chunk.table.spans(rows))
            doubtful |= encoded.take(chunk.table.kinds(rows))
        except FormatError as error:
            yield _damage(chunk.path, f"records {start} to {rows[-1]}", error)
            continue
        for row in rows[doubtful].tolist():
            try:
                chunk.check(row)
                if not chunk.uniform:
                    chunk.read(row)
            except FormatError as error:
                yield _damage(chunk.path, chunk.name_of(row), error)


def _index_damage(snapshot: Snapshot, number: int) -> Iterator[Damage]:
    index = snapshot.index(number)
    try:
        index.check()
        index.texts()
    except HaversackError as error:
        yield _damage(index.path, "", error)


def _deletions_damage(snapshot: Snapshot, number: int) -> Iterator[Damage]:
    entry = snapshot.manifest.chunks[number]
    try:
        snapshot.deleted(number)
    except HaversackError as error:
        path = deletions_path(snapshot.root, entry.id, entry.deleted.number if entry.deleted else 0)
        yield _damage(path, "", error)


def _journal_damage(root: Path, manifest: Manifest) -> Iterator[Damage]:
    if manifest.journal is None:
        return
    path = journal_path(root, manifest.journal)
    try:
        tail = Tail(root, manifest)
        for row in range(tail.rows):
            tail.read(row)
    except MissingExtraError:
        raise  # which is no damage
    except HaversackError as error:
        yield _damage(path, "", error)
        return
    if tail.torn:
        yield Damage(
            path,
            f"byte {tail.end}",
            f"the last {tail.torn} bytes are a commit that was cut off or damaged",
        )


def _stray_damage(root: Path) -> Iterator[Damage]:
    for stray in stray_journals(root):
        what = (
            f"no version names it, as its manifest is lost: {len(stray.commits)} whole commits are "
            "in it alone; `haversack repair` takes them back"
        )
        yield Damage(stray.path, "", what)


def _damage(path: Path, where: str, error: Exception) -> Damage:
    return Damage(path, where, str(error), refused=isinstance(error, StorageError))
