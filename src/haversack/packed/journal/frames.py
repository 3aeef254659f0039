"""The bytes of a journal: a header, and frames, each a whole commit of one writer.

The format is told in ``docs/spec/packed-v1.md``; the structures here are its tables. A frame's
checksums cover the journal's id, so that no frame of another journal is ever taken for one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from haversack.errors import FormatError
from haversack.packed.chunks.fileheader import check_header as check_any_header
from haversack.packed.chunks.fileheader import make_header
from haversack.packed.chunks.layout import Count
from haversack.storage.checksum import crc32c

_FRAME = struct.Struct("<8s16sQIIII12x")
_CRC = struct.Struct("<I")
_HEADER_MAGIC, FRAME_MAGIC = b"HSKJOURN", b"HSKFRAME"
FRAME_SIZE: Final = _FRAME.size + _CRC.size


class Operation(msgspec.Struct, omit_defaults=True):
    """One step of a commit.

    ``at`` is the row of the chunks, counted over all of them, that has the key where the journal
    does not say otherwise. ``length`` bytes of the frame's payload are the record's.
    """

    op: Literal["add", "put", "delete", "end"]
    key: str | int | None = None
    at: Count | None = None
    dtype: Any = None
    shape: list[Count] = []
    codec: str = "none"
    length: Count = 0
    meta: msgspec.Raw = msgspec.Raw(b"{}")


class Frame(NamedTuple):
    """A whole frame, checked, with its place in the journal."""

    id: bytes
    start: int
    end: int
    synced: int  # bytes that were durable, and read, when its writer wrote it
    frames_synced: int  # whole ones in those bytes
    operations: list[Operation]
    payloads: list[memoryview]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Operation]).decode


def header(journal_id: str) -> bytes:
    """Make the first bytes of a journal."""
    return make_header(_HEADER_MAGIC, journal_id)


def check_header(data: bytes, journal_id: str, path: Path) -> None:
    """Raise unless these are the first bytes of that journal."""
    check_any_header(data, _HEADER_MAGIC, journal_id, path, "journal")


def encode(
    journal_id: str,
    frame_id: bytes,
    operations: Sequence[Operation],
    payloads: Sequence[Any],
    *,
    synced: int,
    count: int,
) -> bytes:
    """Make a frame, to be appended by one write."""
    identity, text = bytes.fromhex(journal_id), _encode(operations)
    body = b"".join([text, *payloads])
    head = _FRAME.pack(
        FRAME_MAGIC, frame_id, synced, count, len(text), len(body) - len(text), crc32c(body)
    )
    return b"".join([head, _CRC.pack(crc32c(identity + head)), body])


def decode(data: bytes, at: int, offset: int, journal_id: str, path: Path) -> Frame | None:
    """Read the frame at ``at`` of some bytes of a journal; None where no whole one stands.

    ``offset`` is where the bytes begin in the file.

    Raises
    ------
    FormatError
        Its checksums are right, but it is not what a frame should be.
    """
    if len(data) - at < FRAME_SIZE:
        return None
    head = data[at : at + _FRAME.size]
    magic, frame_id, synced, count, text, payload, checksum = _FRAME.unpack(head)
    if magic != FRAME_MAGIC or at + FRAME_SIZE + text + payload > len(data):
        return None
    if crc32c(bytes.fromhex(journal_id) + head) != _CRC.unpack_from(data, at + _FRAME.size)[0]:
        return None
    start, end = at + FRAME_SIZE, at + FRAME_SIZE + text + payload
    if crc32c(data[start:end]) != checksum:
        return None
    try:
        operations = _decode(data[start : start + text])
    except (msgspec.DecodeError, RecursionError) as error:
        raise FormatError(f"{path}: the frame at {offset + at} is no frame: {error}") from error
    payloads = _cut(memoryview(data)[start + text : end], operations)
    if payloads is None:
        raise FormatError(f"{path}: the frame at {offset + at} has payloads of other lengths")
    return Frame(frame_id, offset + at, offset + end, synced, count, operations, payloads)


def _cut(data: memoryview, operations: list[Operation]) -> list[memoryview] | None:
    """Cut a frame's payload into those of its operations."""
    cut, at = [], 0
    for operation in operations:
        cut.append(data[at : at + operation.length])
        at += operation.length
    return cut if at == len(data) else None
