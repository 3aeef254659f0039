"""Deletion lists: which rows of a chunk no longer count in a version.

A chunk is never rewritten: a version's manifest names, beside the chunk, a small file that lists
the rows deleted so far. The file is told in ``docs/spec/packed-v1.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.errors import ExistsError, FormatError, IntegrityError
from haversack.packed.chunks.fileheader import FORMAT, refuse_newer
from haversack.packed.manifests.kept import missing
from haversack.packed.manifests.manifest import ChunkEntry, Deletions, Manifest
from haversack.packed.manifests.places import deletions_path
from haversack.storage.checksum import crc32c
from haversack.storage.looking import read_file
from haversack.storage.publish import create

DeletedRows = NDArray[np.uint32]

_HEADER = struct.Struct("<8sII16s")  # magic, format, number of rows, chunk id
_MAGIC = b"HSKDELET"


def read_deletions(root: Path, entry: ChunkEntry) -> DeletedRows:
    """Read the rows of a chunk that are deleted, in ascending order.

    Raises
    ------
    IntegrityError, FormatError
        The list is missing, damaged, or of another chunk.
    """
    named = entry.deleted
    if named is None:
        return np.empty(0, np.uint32)
    path = deletions_path(root, entry.id, named.number)
    try:
        data = read_file(path)
    except FileNotFoundError:
        raise missing(root, path, entry.rows) from None
    if crc32c(data) != named.crc32c:
        raise IntegrityError(
            f"{path} is damaged: it is not the list that the manifest names; try `haversack repair`"
        )
    rows = list_of(data, path, entry)
    if len(rows) != named.rows:
        raise FormatError(f"{path} has {len(rows)} rows instead of {named.rows}")
    return rows


def list_of(data: bytes, path: Path, entry: ChunkEntry) -> DeletedRows:
    """Turn the bytes of a list into the rows of a chunk; a FormatError says that they are none."""
    if len(data) < _HEADER.size:
        raise IntegrityError(f"{path} is cut short: {len(data)} bytes are no list")
    magic, version, count, identity = _HEADER.unpack_from(data)
    refuse_newer(version, path)
    if magic != _MAGIC or identity.hex() != entry.id:
        raise FormatError(f"{path} is not the list of deleted rows of chunk {entry.id}")
    if len(data) != _HEADER.size + 4 * count:
        raise FormatError(f"{path} has {len(data)} bytes for {count} rows")
    rows: DeletedRows = np.frombuffer(data, "<u4", count, _HEADER.size).astype(np.uint32)
    if count and (int(rows[-1]) >= entry.rows or (np.diff(rows.astype(np.int64)) <= 0).any()):
        raise FormatError(f"{path} lists rows that chunk {entry.id} does not have")
    return rows


def with_deletions(root: Path, base: Manifest, doomed: Mapping[int, Iterable[int]]) -> Manifest:
    """Write the lists for more deleted rows (number of the chunk -> rows) and name them."""
    chunks = list(base.chunks)
    for number, rows in doomed.items():
        entry = chunks[number]
        deleted = np.union1d(read_deletions(root, entry), np.array(list(rows), np.uint32))
        chunks[number] = with_rows(root, entry, deleted)
    return msgspec.structs.replace(base, chunks=chunks)


def with_rows(root: Path, entry: ChunkEntry, rows: NDArray[Any]) -> ChunkEntry:
    """Write the list of all deleted rows of a chunk, ascending, and name it."""
    named = _write(root, entry, rows.astype("<u4")) if len(rows) else None
    return msgspec.structs.replace(entry, deleted=named)


def _write(root: Path, entry: ChunkEntry, rows: DeletedRows) -> Deletions:
    identity = bytes.fromhex(entry.id)
    data = _HEADER.pack(_MAGIC, FORMAT, len(rows), identity) + rows.tobytes()
    number = entry.deleted.number + 1 if entry.deleted else 1
    while True:
        try:
            create(deletions_path(root, entry.id, number), data)
        except ExistsError:  # another writer's, whose version may or may not stand
            number += 1
        else:
            return Deletions(number=number, rows=len(rows), crc32c=crc32c(data))
