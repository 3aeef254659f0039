"""Check every byte that a version depends on, and say by record and key what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from haversack.errors import FormatError, HaversackError, MissingExtraError
from haversack.events import Progress, task
from haversack.packed.chunk import Chunk
from haversack.packed.deletions import deletions_path
from haversack.packed.journal import journal_path
from haversack.packed.layout import HEADER_SIZE, check_header
from haversack.packed.manifest import Manifest
from haversack.packed.parts import chunk_path
from haversack.packed.snapshot import Snapshot
from haversack.packed.tail import Tail
from haversack.storage.damage import Damage


def verify(snapshot: Snapshot, progress: Progress = None) -> list[Damage]:
    """Read all chunks and index files of a version and list their damage."""
    manifest = snapshot.manifest
    fresh = Snapshot(snapshot.root, msgspec.structs.replace(manifest, journal=None))
    found = list(_journal_damage(snapshot.root, manifest))
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
    try:
        check_header(bytes(chunk.raw[:HEADER_SIZE]), chunk_id, chunk.path)
        for name in ("key_hash", "key_row", "key_end", "key_text") if chunk.keyed else ():
            chunk.section(name)
    except FormatError as error:
        yield _damage(chunk.path, "", error)
    for row in range(chunk.rows):
        try:
            chunk.check(row)
            if not chunk.uniform and chunk.kind_of(row).codec != "none":
                chunk.read(row)
        except FormatError as error:
            yield _damage(chunk.path, f"record {row}", error)


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
            path, f"byte {tail.end}", f"the last {tail.torn} bytes are a commit that was cut off"
        )


def _damage(path: Path, where: str, error: Exception) -> Damage:
    return Damage(path, where, str(error).removeprefix(f"{path}: "))
