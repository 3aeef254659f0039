"""Blosc chunks: how they are made, what lies where in one, and how to decode it safely.

A chunk is one Blosc 1 buffer, so that HDF5's filter 32001 reads it: 16 bytes of header, a table of
block offsets, then Blosc blocks. Its checksums come before any call into Blosc: a flipped bit in
header or table can crash a decoder. Format: https://github.com/Blosc/c-blosc README_CHUNK_FORMAT.
"""

from __future__ import annotations

import math
import struct
import threading
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError, UsageError
from haversack.storage.checksum import crc32c

LARGEST_CHUNK = 256 << 20  # decoded bytes; a header that claims more is taken for a lie
_HEADER = struct.Struct("<BBBBIII")
_STORED = 0x2
_BITSHUFFLE = 2


@dataclass(frozen=True, slots=True)
class Compression:
    """How new chunks are compressed: a Blosc compressor and its level."""

    name: str
    compressor: str
    level: int


_COMPRESSIONS = {
    "blosc": Compression("blosc", "lz4", 5),
    "zstd": Compression("zstd", "zstd", 1),
    "zlib": Compression("zlib", "zlib", 5),
    "none": Compression("none", "lz4", 0),
}


def compression_named(name: str | None) -> Compression:
    """Find a compression: ``blosc`` (lz4), ``zstd``, ``zlib``, or ``none`` (None)."""
    found = _COMPRESSIONS.get(name or "none")
    if found is None:
        known = ", ".join(map(repr, _COMPRESSIONS))
        raise UsageError(f"compression {name!r} is not known: choose one of {known}, None")
    return found


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """The first 16 bytes of a chunk, found plausible."""

    flags: int
    typesize: int
    nbytes: int
    blocksize: int
    stored: int

    @property
    def is_stored(self) -> bool:
        """Whether the data is not compressed: one copy without a table of blocks."""
        return bool(self.flags & _STORED)

    @property
    def nblocks(self) -> int:
        """Number of Blosc blocks."""
        return -(-self.nbytes // self.blocksize) if self.blocksize else 0

    @property
    def body(self) -> int:
        """Where the blocks begin: after the header and the table of their offsets."""
        return _HEADER.size if self.is_stored else _HEADER.size + 4 * self.nblocks


def check_chunk_shape(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    """Refuse chunks that nobody writes: empty, or larger than memory should be given for.

    Raises
    ------
    FormatError
        The file claims such chunks.
    """
    if min(shape) < 1 or math.prod(shape) * dtype.itemsize > LARGEST_CHUNK:
        raise FormatError(f"{path} claims chunks of shape {shape}")


def encode(chunk: NDArray[Any], compression: Compression, blocksize: int) -> bytes:
    """Compress a contiguous array into one chunk."""
    data: bytes = blosc.compress(
        chunk.reshape(-1).view(np.uint8),
        compression.compressor.encode(),
        compression.level,
        _BITSHUFFLE,
        blocksize,
        chunk.itemsize,
    )
    return data


def read_header(data: bytes) -> ChunkHeader:
    """Read and check the header of a chunk, all of whose bytes are given.

    Raises
    ------
    FormatError
        Sizes that contradict each other or the length of the data.
    """
    if len(data) < _HEADER.size:
        raise FormatError(f"a chunk of {len(data)} bytes is too short")
    _, _, flags, typesize, nbytes, blocksize, stored = _HEADER.unpack_from(data)
    header = ChunkHeader(flags, typesize, nbytes, blocksize, stored)
    plausible = (
        stored == len(data)
        and 0 < blocksize <= max(nbytes, 1)
        and 0 < nbytes <= LARGEST_CHUNK
        and header.body + (nbytes if header.is_stored else 0) <= stored
    )
    if not plausible:
        raise FormatError(
            f"a chunk header claims {nbytes} bytes in blocks of {blocksize}, {stored} stored, "
            f"but {len(data)} are there"
        )
    return header


def block_extents(data: bytes, header: ChunkHeader) -> list[tuple[int, int]]:
    """Find where the stored bytes of each Blosc block begin and end.

    Blosc writes blocks in the order in which they are ready: an extent ends where the next one, by
    offset, begins.
    """
    if header.is_stored:
        size = header.blocksize
        starts = range(_HEADER.size, _HEADER.size + header.nbytes, size)
        return [(start, min(start + size, header.stored)) for start in starts]
    offsets = struct.unpack_from(f"<{header.nblocks}I", data, _HEADER.size)
    limits = [*sorted(offsets), header.stored]
    if limits[0] < header.body or limits[-2] > header.stored:
        raise FormatError("a chunk's table of blocks points outside of the chunk")
    ends = dict(pairwise(limits))
    return [(start, ends[start]) for start in offsets]


def checksums(data: bytes) -> list[int]:
    """Compute a chunk's checksums: of its header and table, then of each Blosc block."""
    header = read_header(data)
    view = memoryview(data)
    blocks = (crc32c(view[start:end]) for start, end in block_extents(data, header))
    return [crc32c(view[: header.body]), *blocks]


def check(data: bytes, expected: NDArray[np.uint32]) -> None:
    """Compare a chunk with its checksums before anything is decoded.

    Raises
    ------
    IntegrityError
        Some bytes changed.
    """
    body = _HEADER.size if len(expected) and data[2] & _STORED else _table_end(len(expected))
    view = memoryview(data)
    if not len(expected) or crc32c(view[:body]) != expected[0]:
        raise IntegrityError("the header does not match its checksum")
    for number, (start, end) in enumerate(block_extents(data, read_header(data))):
        if crc32c(view[start:end]) != expected[number + 1]:
            raise IntegrityError(f"Blosc block {number} does not match its checksum")


def _table_end(checksum_count: int) -> int:
    return _HEADER.size + 4 * (checksum_count - 1)


def as_chunk(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Take bytes that were never compressed for a chunk."""
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise FormatError(f"a chunk has {len(data)} bytes, too few or too many for {shape} {dtype}")
    return np.frombuffer(data, dtype).reshape(shape)


_scratch = threading.local()


def decode(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Decode a chunk into this thread's scratch memory, which the next call overwrites.

    Raises
    ------
    FormatError
        The chunk does not hold what its array has.
    """
    header = read_header(data)
    size = math.prod(shape) * dtype.itemsize
    if header.nbytes != size:
        raise FormatError(f"a chunk holds {header.nbytes} bytes where {size} belong")
    block_extents(data, header)
    buffer = getattr(_scratch, "buffer", None)
    if buffer is None or buffer.nbytes < size:
        buffer = _scratch.buffer = np.empty(size, np.uint8)
    into = buffer[:size]
    try:
        blosc.decompress(data, into)
    except RuntimeError as error:
        raise FormatError(f"a chunk cannot be decoded: {error}") from error
    decoded: NDArray[Any] = into.view(dtype).reshape(shape)
    return decoded
