"""PNG: samples as they are stored, so a palette's indices, and no alpha made of a key colour."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.encoding.images.head import Head

MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_GRAY, _PALETTE = 0, 3
_DEPTHS = {_GRAY: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}
_IHDR = struct.Struct(">IIBBBBB")
_LENGTH = struct.Struct(">I")
_FRAME = 12  # bytes of a chunk beside its content: length, name, checksum


@dataclass(frozen=True, slots=True)
class PngHead(Head):
    """``bits`` of a sample; ``bare`` where other chunks would make the decoder change samples."""

    bits: int
    bare: bool


def head(data: memoryview) -> PngHead:
    """Read what a PNG holds, up to its first pixels."""
    chunks = _chunks(data)
    name, at, size = next(chunks)
    if name != b"IHDR" or size != _IHDR.size:
        raise FormatError("a PNG that does not begin with IHDR")
    width, height, bits, colour, *_ = _IHDR.unpack_from(data, at)
    if colour not in _SAMPLES or bits not in _DEPTHS.get(colour, (8, 16)):
        raise FormatError(f"a PNG of colour type {colour} with {bits} bits")
    bare = colour == _PALETTE
    for name, _, _ in chunks:
        if name == b"IDAT":
            break
        bare = bare or name == b"tRNS"
    samples = _SAMPLES[colour]
    shape = (height, width) if samples == 1 else (height, width, samples)
    return PngHead(np.dtype("u1" if bits <= 8 else "<u2"), shape, bits, bare)


def check(data: memoryview) -> None:
    """Compare every chunk with its checksum; the last one must be there."""
    for name, at, size in _chunks(data):
        if zlib.crc32(data[at - 4 : at + size]) != _LENGTH.unpack_from(data, at + size)[0]:
            raise FormatError(f"a PNG whose chunk {name!r} at {at} is damaged")


def decode(data: memoryview, head: PngHead, out: NDArray[Any], library: Any) -> None:
    """Decode into an array of the head's dtype and shape."""
    library.png_decode(_bare(data) if head.bare else data, out=out)
    if head.bits < 8:
        # The decoder spreads them over 0 to 255.
        out //= 255 // ((1 << head.bits) - 1)


def _chunks(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """List name, place and size of each chunk's content, up to IEND."""
    at, name = len(MAGIC), b""
    while name != b"IEND":
        if at + _FRAME > len(data):
            raise FormatError("a PNG that is cut short")
        (size,), name = _LENGTH.unpack_from(data, at), bytes(data[at + 4 : at + 8])
        if at + _FRAME + size > len(data):
            raise FormatError("a PNG that is cut short")
        yield name, at + 8, size
        at += _FRAME + size


def _bare(data: memoryview) -> bytes:
    """Keep what tells of the samples, with a palette's indices as gray."""
    pieces = [MAGIC]
    for name, at, size in _chunks(data):
        if name == b"IHDR":
            fields = list(_IHDR.unpack_from(data, at))
            fields[3] = _GRAY if fields[3] == _PALETTE else fields[3]
            content = name + _IHDR.pack(*fields)
            pieces += [_LENGTH.pack(size), content, _LENGTH.pack(zlib.crc32(content))]
        elif name in (b"IDAT", b"IEND"):
            pieces.append(bytes(data[at - 8 : at + size + 4]))
    return b"".join(pieces)
