"""Map chunk files into memory, after checking that they are those that the manifest names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed.chunks.layout import BLOCK
from haversack.packed.chunks.reader import Chunk
from haversack.packed.manifests.kept import missing
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.manifests.places import chunk_path
from haversack.storage.looking import opened
from haversack.storage.maps import Reservation, memory, will_need
from haversack.storage.publish import storage_error

LARGEST_RANGE = 1 << 46


def exceed_memory(entries: Sequence[ChunkEntry]) -> bool:
    """Whether chunks are more than memory will hold of them, so that most reads go to the disk.

    Of fewer the kernel reads megabytes around each page that is asked for: they are soon all in
    memory, in large pages, at the speed of sequential reads. Of these, that would be for nothing.
    """
    return sum(entry.bytes for entry in entries) > memory() // 2


def fetch(
    raw: NDArray[np.uint8], starts: NDArray[Any], stops: NDArray[Any], *, checked: bool
) -> None:
    """Begin to read payloads, and what has to be read to check them."""
    if not checked:
        starts = starts & -BLOCK
        stops = np.minimum((stops + BLOCK - 1) & -BLOCK, len(raw))
    will_need(raw, starts, stops)


def open_chunk(root: Path, entry: ChunkEntry, place: Reservation, offset: int = 0) -> Chunk:
    """Map a chunk's file after checking that it is the one that the manifest names."""
    path = chunk_path(root, entry.id)
    try:
        with opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            if size != entry.bytes:
                raise IntegrityError(
                    f"{path} has {size} bytes instead of {entry.bytes}: it was cut or changed"
                )
            place.place(descriptor, offset, size)
    except FileNotFoundError:
        raise missing(root, path, entry.rows) from None
    except OSError as error:
        raise storage_error("map", path, error) from error
    chunk = Chunk(path, entry.id, place.bytes[offset : offset + size])
    if chunk.trailer_crc != entry.trailer or chunk.rows != entry.rows:
        raise IntegrityError(f"{path} is not the file that the manifest names")
    return chunk


def reserve(root: Path, size: int) -> Reservation:
    """Reserve addresses for chunks of so many bytes."""
    if size >= LARGEST_RANGE:
        raise FormatError(f"{root}: chunks of {size} bytes are too large to map")
    try:
        return Reservation(size)
    except OSError as error:
        raise storage_error("map", root, error) from error
