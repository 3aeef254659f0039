"""The bytes of a chunk file: a header, payloads, a row table, a footer and a trailer.

The format is told in ``docs/spec/packed-v1.md``; the structures here are its tables.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed.chunks.fileheader import FORMAT, make_header, refuse_newer
from haversack.packed.chunks.fileheader import check_header as check_any_header
from haversack.storage.checksum import crc32c

PAYLOADS: Final = 4096  # where the payloads begin: whole pages, so that records meet few of them
ALIGNMENT: Final = 64  # of raw payloads that are not all alike, and of the row table's sections
BLOCK_BITS: Final = 14
BLOCK: Final = 1 << BLOCK_BITS  # bytes that are checked at once
MOST_ROWS: Final = (1 << 32) - 1

_TRAILER = struct.Struct("<8sQ16sQIIIII")
_CRC = struct.Struct("<I")
_HEADER_MAGIC, _TRAILER_MAGIC = b"HSKCHUNK", b"HSKTRAIL"
TRAILER_SIZE: Final = _TRAILER.size + _CRC.size

# The sections of the row table and their types. Which are there: see the specification.
SECTIONS: Final[dict[str, np.dtype[Any]]] = {
    "slot": np.dtype("<u4"),
    "offset": np.dtype("<u8"),
    "length": np.dtype("<u4"),
    "kind": np.dtype("<u4"),
    "crc": np.dtype("<u4"),
    "key_hash": np.dtype("<u8"),
    "key_row": np.dtype("<u4"),
    "key_end": np.dtype("<u8"),
    "key_text": np.dtype("u1"),
    "block": np.dtype("<u4"),
}

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Section(msgspec.Struct, frozen=True):
    """One array of the row table: where it lies and the crc32c of its bytes."""

    offset: Count
    length: Count
    crc32c: Count


class Footer(msgspec.Struct, frozen=True):
    """What a chunk says about itself; a kind is [dtype's number, codec's number, shape].

    ``slots`` are the payloads that it holds: fewer than its rows where equal ones are kept once.
    """

    rows: Count
    slots: Count
    payload_end: Count
    dtypes: list[Any]
    codecs: list[str]
    kinds: list[tuple[Count, Count, list[Count]]]
    uniform: bool
    sections: dict[str, Section]


# Made now: threads that decode a type first at once crash msgspec.
_decode = msgspec.json.Decoder(Footer).decode


def header(chunk_id: str) -> bytes:
    """Make the first page of a chunk file."""
    return make_header(_HEADER_MAGIC, chunk_id).ljust(PAYLOADS, b"\0")


def check_header(data: bytes, chunk_id: str, path: Path) -> None:
    """Raise unless these are the first bytes of that chunk."""
    check_any_header(data, _HEADER_MAGIC, chunk_id, path, "chunk")


def trailer(chunk_id: str, *, size: int, footer_at: int, footer: bytes, rows: int) -> bytes:
    """Make the last 64 bytes of a chunk file of ``size`` bytes."""
    body = _TRAILER.pack(
        _TRAILER_MAGIC,
        size,
        bytes.fromhex(chunk_id),
        footer_at,
        len(footer),
        crc32c(footer),
        rows,
        FORMAT,
        0,
    )
    return body + _CRC.pack(crc32c(body))


def read_footer(data: Any, chunk_id: str, path: Path) -> tuple[Footer, int]:
    """Find and check the footer of a whole chunk file; give it and its trailer's checksum."""
    size = len(data)
    if size < PAYLOADS + TRAILER_SIZE:
        raise IntegrityError(f"{path}: {size} bytes are too few for a chunk: it is cut short")
    tail = bytes(data[size - TRAILER_SIZE :])
    (checksum,) = _CRC.unpack_from(tail, _TRAILER.size)
    magic, total, identity, at, length, footer_crc, rows, version, _ = _TRAILER.unpack_from(tail)
    if magic != _TRAILER_MAGIC or crc32c(tail[: _TRAILER.size]) != checksum or total != size:
        raise IntegrityError(f"{path}: the trailer is damaged or cut off")
    refuse_newer(version, path)
    if identity.hex() != chunk_id:
        raise IntegrityError(f"{path}: this file is chunk {identity.hex()}, not {chunk_id}")
    if at + length > size - TRAILER_SIZE:
        raise FormatError(f"{path}: the footer lies outside the file")
    text = bytes(data[at : at + length])
    if crc32c(text) != footer_crc:
        raise IntegrityError(f"{path}: the footer is damaged")
    footer = _decode_footer(text, path)
    if (
        footer.rows != rows
        or not min(rows, 1) <= footer.slots <= rows <= MOST_ROWS
        or not PAYLOADS <= footer.payload_end <= at
    ):
        raise FormatError(f"{path}: the footer contradicts the trailer")
    return footer, checksum


def _decode_footer(text: bytes, path: Path) -> Footer:
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FormatError(f"{path}: the footer is not what it should be: {error}") from error


def scalars(array: NDArray[Any]) -> memoryview[int]:
    """View numbers of a file for taking single ones, which costs a third of what numpy asks."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return memoryview(native)  # type: ignore[arg-type]
