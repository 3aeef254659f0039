"""A stored chunk: one Blosc 1 buffer, so that HDF5's filter 32001 reads it.

It has 16 bytes of header, a table of offsets, then Blosc blocks, which do not know each other.
Format: https://github.com/Blosc/c-blosc README_CHUNK_FORMAT.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from haversack.errors import FormatError

LARGEST_CHUNK = 256 << 20  # decoded bytes; a header that claims more is taken for a lie
HEADER = struct.Struct("<BBBBIII")
STORED = 0x2  # the flag of data that is not compressed


def check_chunk_shape(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    """Refuse chunks that nobody writes: empty, or larger than memory should be given for.

    Raises
    ------
    FormatError
        The file claims such chunks.
    """
    nbytes = math.prod(shape) * dtype.itemsize
    if min(shape) < 1 or nbytes > LARGEST_CHUNK:
        raise FormatError(
            f"{path} claims chunks of shape {shape}, {nbytes} bytes, where 1 to {LARGEST_CHUNK} "
            "are read: write the array anew in smaller chunks, as h5repack does"
        )


class ChunkHeader(NamedTuple):
    """The first 16 bytes of a chunk, found plausible."""

    version: int
    codec_version: int
    flags: int
    typesize: int
    nbytes: int
    blocksize: int
    stored: int

    @property
    def is_stored(self) -> bool:
        """Whether the data is not compressed: one copy without a table of blocks."""
        return bool(self.flags & STORED)

    @property
    def nblocks(self) -> int:
        """Number of Blosc blocks."""
        return -(-self.nbytes // self.blocksize)

    @property
    def body(self) -> int:
        """Where the blocks begin: after the header and the table of their offsets."""
        return HEADER.size if self.is_stored else head_size(self.nblocks)


def read_header(data: bytes) -> ChunkHeader:
    """Read and check the header of a chunk.

    Raises
    ------
    FormatError
        Sizes that contradict each other or the length of the data.
    """
    if len(data) < HEADER.size:
        raise FormatError(f"a chunk of {len(data)} bytes is too short")
    header = ChunkHeader(*HEADER.unpack_from(data))
    plausible = (
        header.stored == len(data)
        and 0 < header.blocksize <= header.nbytes <= LARGEST_CHUNK
        and header.body + (header.nbytes if header.is_stored else 0) <= header.stored
    )
    if not plausible:
        raise FormatError(
            f"a chunk header claims {header.nbytes} bytes in blocks of {header.blocksize}, "
            f"{header.stored} stored, but {len(data)} are there"
        )
    return header


class StoredChunk:
    """The bytes of one chunk.

    Raises
    ------
    FormatError
        They contradict themselves.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = read_header(data)
        self.starts = self._starts()

    def _starts(self) -> Sequence[int]:
        """Find where each Blosc block begins."""
        header = self.header
        if header.is_stored:
            return range(HEADER.size, HEADER.size + header.nbytes, header.blocksize)
        starts = [*struct.unpack_from(f"<{header.nblocks}I", self.data, HEADER.size)]
        if min(starts) < header.body or max(starts) > header.stored:
            raise FormatError("a chunk's table of blocks points outside of the chunk")
        return starts

    def pieces(self) -> list[bytes]:
        """Cut out the stored bytes of each Blosc block.

        Blosc writes blocks in the order in which they are ready: one ends where the next one, by
        offset, begins.
        """
        ends = dict(pairwise(sorted([*self.starts, self.header.stored])))
        return [self.data[start : ends[start]] for start in self.starts]

    def decode(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Decode all of it.

        numcodecs survives what nobody has checked.

        Raises
        ------
        FormatError
            It does not hold what its array has.
        """
        size = math.prod(shape) * dtype.itemsize
        if self.header.nbytes != size:
            raise FormatError(f"a chunk holds {self.header.nbytes} bytes where {size} belong")
        if self.header.is_stored:
            return as_chunk(self.data[HEADER.size : HEADER.size + size], dtype, shape)
        decoded = np.empty(shape, dtype)
        try:
            blosc.decompress(self.data, decoded.reshape(-1).view(np.uint8))
        except RuntimeError as error:
            raise FormatError(f"a chunk cannot be decoded: {error}") from error
        return decoded


def in_order(chunk: bytes) -> bytes:
    """Make of a chunk one whose Blosc blocks lie one behind the other."""
    found = StoredChunk(chunk)
    if [*found.starts] == sorted(found.starts):
        return chunk
    return _assembled(found.header, found.header.nbytes, found.pieces())


def join(chunks: list[bytes]) -> bytes | None:
    """Make one chunk of several of one Blosc block each; None where they are not coded alike.

    Blosc itself cuts no blocks as small as these.
    """
    first = read_header(chunks[0])
    alike = HEADER.size - 4  # all of the header but the stored size
    if first.nblocks > 1 or len({chunk[:alike] for chunk in chunks}) > 1:
        return None
    return _assembled(first, first.nbytes * len(chunks), [chunk[first.body :] for chunk in chunks])


def _assembled(like: ChunkHeader, nbytes: int, blocks: Sequence[bytes]) -> bytes:
    """Make a chunk of Blosc blocks that are coded as those of another chunk."""
    begin = HEADER.size if like.is_stored else head_size(len(blocks))
    *offsets, size = accumulate(map(len, blocks), initial=begin)
    head = HEADER.pack(
        like.version, like.codec_version, like.flags, like.typesize, nbytes, like.blocksize, size
    )
    table = b"" if like.is_stored else struct.pack(f"<{len(offsets)}I", *offsets)
    return b"".join((head, table, *blocks))


def head_size(blocks: int) -> int:
    """Bytes of a compressed chunk's header and table."""
    return HEADER.size + 4 * blocks


def as_chunk(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Take bytes that were never compressed for a chunk."""
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise FormatError(f"a chunk has {len(data)} bytes, too few or too many for {shape} {dtype}")
    return np.frombuffer(data, dtype).reshape(shape)
