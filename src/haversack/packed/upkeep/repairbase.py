"""Find the version that a repair goes on from: the newest that can be read, or what files tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from haversack.errors import (
    FormatError,
    HaversackError,
    NewerFormatError,
)
from haversack.packed.encoding.keys import KeyType
from haversack.packed.manifests.deletions import list_of
from haversack.packed.manifests.kept import numbers, tag_paths
from haversack.packed.manifests.manifest import (
    ChunkEntry,
    Deletions,
    Manifest,
    Tagged,
    decode,
    empty_manifest,
    mend,
)
from haversack.packed.manifests.places import (
    CHUNKS,
    INDEX,
    MANIFESTS,
    chunk_path,
    deletions_path,
    index_path,
    manifest_path,
)
from haversack.packed.upkeep.roughchunk import entry_of
from haversack.packed.upkeep.salvage import read_index
from haversack.packed.upkeep.strays import stray_journals
from haversack.storage.checksum import crc32c
from haversack.storage.damage import Damage
from haversack.storage.looking import read_file, refuse_endless
from haversack.storage.publish import names_in, replace

_ID = re.compile(r"[0-9a-f]{32}")


class _Read(NamedTuple):
    path: Path
    manifest: Manifest | None  # None where it cannot be read
    mended: bool


class Base(NamedTuple):
    """A version to go on from.

    Attributes
    ----------
    highest
        The highest number that any manifest has, readable or not.
    current
        It is the newest version, and there as it is.
    certain
        Which records are deleted is known.
    unreadable
        Manifests and tags that cannot be read.
    mended
        Manifests and tags of which one byte was put right.
    """

    manifest: Manifest
    highest: int
    current: bool
    certain: bool
    unreadable: list[Path]
    mended: list[Path]
    damage: list[Damage]


def find_base(root: Path, *, dry_run: bool) -> Base:
    """Read all manifests and tags, mend those that can be, and choose the newest version.

    Raises
    ------
    NewerFormatError
        A later haversack wrote some of it: this one changes nothing.
    FormatError
        There is neither a manifest nor a chunk that can be read.
    """
    known = numbers(root)
    paths = [manifest_path(root, number) for number in known]
    tags = tag_paths(root)
    read = [*_read_all(paths, Manifest, dry_run=dry_run)]
    tagged = [*_read_all(tags, Tagged, dry_run=dry_run)]
    unreadable = [each.path for each in (*read, *tagged) if each.manifest is None]
    mended = [each.path for each in (*read, *tagged) if each.mended]
    lost = [Damage(path, "", "it cannot be read") for path in unreadable]
    highest = known[-1] if known else 0
    versions = {m.version: m for _, m, _ in read if m is not None}
    base = Base(empty_manifest(), highest, False, True, unreadable, mended, lost)
    if highest in versions:
        return base._replace(manifest=versions[highest], current=True)
    for _, found, _ in tagged:
        if found is not None:
            versions.setdefault(found.version, _untagged(found))
    if not versions:
        return _from_files(root, base)
    return _from_older(root, versions[max(versions)], base)


def _read_all(paths: list[Path], kind: type[Manifest], *, dry_run: bool) -> Iterator[_Read]:
    for path in paths:
        try:
            data = read_file(path)
        except FileNotFoundError:
            continue  # pruned meanwhile
        try:
            yield _Read(path, _decoded(data, path, kind), mended=False)
        except NewerFormatError:
            raise
        except FormatError:
            found = _mended(data, path, kind, dry_run=dry_run)
            yield _Read(path, found, mended=found is not None)


def _decoded(data: bytes, path: Path, kind: type[Manifest]) -> Manifest:
    found = decode(data, path, kind)
    if kind is Manifest and path.name != manifest_path(path, found.version).name:
        raise FormatError(f"{path} is the manifest of version {found.version}")
    return found


def _mended(data: bytes, path: Path, kind: type[Manifest], *, dry_run: bool) -> Manifest | None:
    whole = mend(data)
    try:
        found = None if whole is None else _decoded(whole, path, kind)
    except FormatError:
        return None
    if found is not None and whole is not None and not dry_run:
        replace(path, whole)
    return found


def _untagged(tagged: Manifest) -> Manifest:
    return Manifest(**{name: getattr(tagged, name) for name in Manifest.__struct_fields__})


def _from_older(root: Path, manifest: Manifest, base: Base) -> Base:
    """Go on from an older version, with the chunks that the text of the newest still names."""
    more: list[ChunkEntry] = []
    if manifest.journal is None and base.highest > manifest.version:
        more = list(_named_by(manifest_path(root, base.highest), root, manifest))
    what = (
        f"it is gone; what was committed after version {manifest.version} is lost, but for "
        f"{sum(entry.rows for entry in more)} records, and what was deleted after it may be back"
    )
    newest = manifest_path(root, base.highest) if base.highest else root / MANIFESTS
    damage = [each for each in base.damage if each.path != newest] + [Damage(newest, "", what)]
    chunks = [*manifest.chunks, *more]
    return base._replace(
        manifest=msgspec.structs.replace(manifest, chunks=chunks),
        highest=max(base.highest, manifest.version),
        damage=damage,
        certain=not more,
    )


def _named_by(path: Path, root: Path, manifest: Manifest) -> Iterator[ChunkEntry]:
    """Read the chunks that a damaged manifest names beside all those of an older one."""
    try:
        text = read_file(path)
    except (FormatError, OSError):
        return
    if all(entry.id.encode() in text for entry in manifest.chunks):
        older = {entry.id for entry in manifest.chunks}
        ids = [i for i in _chunk_ids(root) if i.encode() in text and i not in older]
        for chunk_id in sorted(ids, key=lambda i: text.index(i.encode())):
            entry = _entry(root, chunk_id)
            if entry is not None:
                yield entry


# From files alone.


def _from_files(root: Path, base: Base) -> Base:
    """Make a version of all chunk files, in the order in which they were written last."""

    def age(chunk_id: str) -> tuple[int, str]:
        return chunk_path(root, chunk_id).stat().st_mtime_ns, chunk_id

    ids = sorted(_chunk_ids(root), key=age)
    entries = [entry for chunk_id in ids if (entry := _entry(root, chunk_id)) is not None]
    if not entries and not stray_journals(root):
        raise FormatError(f"{root} has neither a manifest nor a chunk that can be read")
    what = (
        "there is no manifest that can be read; records are in the order of their files' times, "
        "what was deleted or replaced may be back, and records without a key that were written "
        "anew by a merge or a compaction may be there twice"
    )
    lost = [
        Damage(chunk_path(root, chunk_id), "", "its records are lost: nothing tells their kinds")
        for chunk_id in set(ids).difference(entry.id for entry in entries)
    ]
    manifest = msgspec.structs.replace(
        base.manifest, chunks=entries, key_type=_key_type(root, entries)
    )
    damage = [*base.damage, Damage(root / MANIFESTS, "", what), *lost]
    return base._replace(manifest=manifest, damage=damage, certain=False)


def _chunk_ids(root: Path) -> list[str]:
    names = (Path(name) for name in names_in(root / CHUNKS))
    return [name.stem for name in names if name.suffix == ".chunk" and _ID.fullmatch(name.stem)]


def _entry(root: Path, chunk_id: str) -> ChunkEntry | None:
    path = chunk_path(root, chunk_id)
    try:
        refuse_endless(path)
        entry = entry_of(path, chunk_id, np.memmap(path, np.uint8, "r"))
    except (HaversackError, OSError, ValueError):
        return None
    try:
        data = read_file(index_path(root, chunk_id))
    except (FormatError, OSError):
        data = b""
    entry = msgspec.structs.replace(
        entry, index_bytes=len(data), index_crc32c=crc32c(data), deleted=_newest_list(root, entry)
    )
    index = read_index(index_path(root, chunk_id), entry)
    if None in index.texts:
        return msgspec.structs.replace(entry, index_bytes=0, index_crc32c=1)  # what no file has
    return entry


def _newest_list(root: Path, entry: ChunkEntry) -> Deletions | None:
    """Find the deletion list of a chunk with the highest number that is one."""
    pattern = re.compile(rf"{entry.id}\.(\d+)\.del")
    found = (pattern.fullmatch(name) for name in names_in(root / INDEX))
    for number in sorted((int(match[1]) for match in found if match), reverse=True):
        path = deletions_path(root, entry.id, number)
        try:
            data = read_file(path)
            rows = list_of(data, path, entry)
        except (HaversackError, OSError):
            continue
        if len(rows):
            return Deletions(number=number, rows=len(rows), crc32c=crc32c(data))
    return None


def _key_type(root: Path, entries: list[ChunkEntry]) -> KeyType | None:
    keyed = [entry for entry in entries if entry.keys]
    kinds = {read_index(index_path(root, entry.id), entry).key_type for entry in keyed} - {None}
    return kinds.pop() if len(kinds) == 1 else "text" if keyed else None
