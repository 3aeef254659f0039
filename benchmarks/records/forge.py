"""Packed datasets and memmaps of very many records, whose payloads are holes in sparse files."""

import math
import os
import secrets
from pathlib import Path

import msgspec

from benchmarks.records.sets import Set
from haversack.packed.chunks.layout import PAYLOADS, TRAILER_SIZE, header, read_footer
from haversack.packed.manifests.kept import read_latest
from haversack.packed.manifests.manifest import ChunkEntry, encode
from haversack.packed.manifests.places import chunk_path, index_path, manifest_path
from haversack.storage.checksum import crc32c
from haversack.storage.maps import Reservation

_STEP = 1 << 20


def memmap(chosen: Set, home: Path) -> None:
    """Make a file of zeros for the memmap."""
    home.mkdir()
    with (home / "data.bin").open("wb") as file:
        file.truncate(chosen.count * math.prod(chosen.shape))


def repeated(template: Path, copies: int, home: Path) -> None:
    """Make a dataset whose chunks are copies, under names of their own, of the template's only one.

    Everything is there but the payloads, which must be zeros.
    """
    manifest = read_latest(template)
    assert manifest is not None
    (only,) = manifest.chunks
    for folder in ("manifest", "chunks", "index"):
        (home / folder).mkdir(parents=True)
    chunks = [_copy(template, only, home) for _ in range(copies)]
    made = msgspec.structs.replace(manifest, chunks=chunks)
    manifest_path(home, made.version).write_bytes(encode(made))


def _copy(template: Path, entry: ChunkEntry, home: Path) -> ChunkEntry:
    name = secrets.token_hex(16)
    os.link(index_path(template, entry.id), index_path(home, name))
    with (
        chunk_path(template, entry.id).open("rb") as old,
        chunk_path(home, name).open("wb") as new,
    ):
        end = _payload_end(old.fileno(), entry, template)
        new.write(header(name))
        old.seek(end)
        new.seek(end)
        while rest := old.read(min(_STEP, entry.bytes - TRAILER_SIZE - old.tell())):
            new.write(rest)
        tail = _renamed(old.read(TRAILER_SIZE), name)
        new.write(tail)
    return msgspec.structs.replace(entry, id=name, trailer=int.from_bytes(tail[-4:], "little"))


def _payload_end(descriptor: int, entry: ChunkEntry, template: Path) -> int:
    place = Reservation(entry.bytes)
    place.place(descriptor, 0, entry.bytes)
    footer, _ = read_footer(place.bytes[: entry.bytes], entry.id, template)
    return max(PAYLOADS, footer.payload_end)


def _renamed(trailer: bytes, chunk_id: str) -> bytes:
    """Put another id into a trailer: docs/spec/packed-v1.md says where it and the checksum are."""
    body = trailer[:16] + bytes.fromhex(chunk_id) + trailer[32:60]
    return body + crc32c(body).to_bytes(4, "little")
