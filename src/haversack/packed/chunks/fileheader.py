"""The first 64 bytes of chunk files and journals: what a file is, in which format, and its id."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from haversack.errors import IntegrityError, NewerFormatError
from haversack.storage.checksum import crc32c

FORMAT: Final = 1
_HEADER = struct.Struct("<8sII16s28x")
_CRC = struct.Struct("<I")
HEADER_SIZE: Final = _HEADER.size + _CRC.size


def make_header(magic: bytes, file_id: str) -> bytes:
    """Make the header of a file that is known by its magic bytes and its id."""
    head = _HEADER.pack(magic, FORMAT, 0, bytes.fromhex(file_id))
    return head + _CRC.pack(crc32c(head))


def check_header(data: bytes, magic: bytes, file_id: str, path: Path, kind: str) -> None:
    """Raise unless a file that begins so is of this kind and has this id."""
    if len(data) < HEADER_SIZE:
        raise IntegrityError(f"{path} is cut short: {len(data)} bytes are no {kind}")
    found, version, _, identity = _HEADER.unpack_from(data)
    (checksum,) = _CRC.unpack_from(data, _HEADER.size)
    if found != magic or crc32c(data[: _HEADER.size]) != checksum:
        raise IntegrityError(f"{path}: the header is damaged")
    refuse_newer(version, path)
    if identity.hex() != file_id:
        raise IntegrityError(f"{path}: this file is {kind} {identity.hex()}, not {file_id}")


def refuse_newer(version: int, path: Path) -> None:
    """Raise if a file was written by a later format than this one."""
    if version > FORMAT:
        raise NewerFormatError(
            f"{path} is of packed format {version}; this haversack reads up to {FORMAT}: upgrade it"
        )
