"""A stored chunk: what lies where in it, and how to decode some of it safely.

A chunk is one Blosc 1 buffer, so that HDF5's filter 32001 reads it: 16 bytes of header, a table of
block offsets, then Blosc blocks. Its checksums come before any call into Blosc: a flipped bit in
header or table can crash a decoder. Format: https://github.com/Blosc/c-blosc README_CHUNK_FORMAT.
"""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.storage.checksum import crc32c

LARGEST_CHUNK = 256 << 20  # decoded bytes; a header that claims more is taken for a lie
_HEADER = struct.Struct("<BBBBIII")
_STORED = 0x2

_scratch = threading.local()


def check_chunk_shape(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    """Refuse chunks that nobody writes: empty, or larger than memory should be given for.

    Raises
    ------
    FormatError
        The file claims such chunks.
    """
    if min(shape) < 1 or math.prod(shape) * dtype.itemsize > LARGEST_CHUNK:
        raise FormatError(f"{path} claims chunks of shape {shape}")


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
        return bool(self.flags & _STORED)

    @property
    def nblocks(self) -> int:
        """Number of Blosc blocks."""
        return -(-self.nbytes // self.blocksize)

    @property
    def body(self) -> int:
        """Where the blocks begin: after the header and the table of their offsets."""
        return _HEADER.size if self.is_stored else _HEADER.size + 4 * self.nblocks


def read_header(data: bytes, size: int) -> ChunkHeader:
    """Read and check the header of a chunk of which ``size`` bytes are stored.

    Raises
    ------
    FormatError
        Sizes that contradict each other or the length of the data.
    """
    if len(data) < _HEADER.size:
        raise FormatError(f"a chunk of {size} bytes is too short")
    header = ChunkHeader(*_HEADER.unpack_from(data))
    plausible = (
        header.stored == size
        and 0 < header.blocksize <= header.nbytes <= LARGEST_CHUNK
        and header.body + (header.nbytes if header.is_stored else 0) <= header.stored
    )
    if not plausible:
        raise FormatError(
            f"a chunk header claims {header.nbytes} bytes in blocks of {header.blocksize}, "
            f"{header.stored} stored, but {size} are there"
        )
    return header


class StoredChunk:
    """The bytes of one chunk, and where in them its Blosc blocks lie.

    Parameters
    ----------
    data
        All stored bytes, or with ``rest`` at least the header and the table of blocks.
    expected
        The chunk's checksums, where it has any: of header and table, then of each block.
    rest
        Number of all stored bytes, and a function that reads some of them: (start, size).

    Raises
    ------
    IntegrityError
        Header or table do not match their checksum.
    FormatError
        They contradict themselves.
    """

    def __init__(
        self,
        data: bytes,
        expected: Sequence[int] | None = None,
        rest: tuple[int, Callable[[int, int], bytes]] | None = None,
    ) -> None:
        self._at, self._seen, self._expected = 0, np.frombuffer(data, np.uint8), expected
        size = rest[0] if rest else len(data)
        self._read = rest[1] if rest else None
        if expected is not None:
            self._check_head(data, expected)
        self.header = read_header(data, size)
        if len(data) < self.header.body:
            raise FormatError(f"{len(data)} bytes do not hold a table of {self.header.nblocks}")
        self.extents = self._extents()
        if expected is not None and len(expected) != len(self.extents) + 1:
            raise IntegrityError(f"{len(self.extents)} blocks have {len(expected)} checksums")

    def _check_head(self, data: bytes, expected: Sequence[int]) -> None:
        is_stored = len(data) >= _HEADER.size and data[2] & _STORED
        end = _HEADER.size if is_stored else _HEADER.size + 4 * (len(expected) - 1)
        if not len(expected) or crc32c(self._seen[:end]) != expected[0]:
            raise IntegrityError("the header does not match its checksum")

    def _extents(self) -> list[tuple[int, int]]:
        """Find where the stored bytes of each block begin and end.

        Blosc writes blocks in the order in which they are ready: an extent ends where the next
        one, by offset, begins.
        """
        header = self.header
        if header.is_stored:
            starts = range(_HEADER.size, _HEADER.size + header.nbytes, header.blocksize)
            end = _HEADER.size + header.nbytes
            return [(start, min(start + header.blocksize, end)) for start in starts]
        offsets = struct.unpack_from(f"<{header.nblocks}I", self._seen.data, _HEADER.size)
        limits = [*sorted(offsets), header.stored]
        if limits[0] < header.body or limits[-2] > header.stored:
            raise FormatError("a chunk's table of blocks points outside of the chunk")
        ends = dict(pairwise(limits))
        return [(start, ends[start]) for start in offsets]

    def _stored(self, block: int) -> NDArray[np.uint8]:
        """Give the bytes of a block."""
        start, end = self.extents[block]
        return self._seen[start - self._at : end - self._at]

    def _load(self, blocks: range) -> None:
        """Read what is not there of some blocks, with what lies between them."""
        if self._read is None:
            return
        extents = self.extents[blocks.start : blocks.stop]
        start, end = min(extents)[0], max(end for _, end in extents)
        if not (self._at <= start and end <= self._at + len(self._seen)):
            data = self._read(start, end - start)
            self._at, self._seen = start, np.frombuffer(data, np.uint8)

    def checksums(self) -> list[int]:
        """Compute the checksums: of header and table, then of each block."""
        blocks = (crc32c(self._stored(number)) for number in range(len(self.extents)))
        return [crc32c(self._seen[: self.header.body]), *blocks]

    def check(self, blocks: range | None = None) -> None:
        """Compare blocks, by default all, with their checksums.

        Raises
        ------
        IntegrityError
            Some bytes changed.
        """
        if self._expected is None:
            return
        for number in range(len(self.extents)) if blocks is None else blocks:
            if crc32c(self._stored(number)) != self._expected[number + 1]:
                raise IntegrityError(f"Blosc block {number} does not match its checksum")

    def decode(
        self, dtype: np.dtype[Any], shape: tuple[int, ...], rows: range | None = None
    ) -> NDArray[Any]:
        """Check and decode the blocks that hold some rows; other rows have no meaning.

        The array lies in this thread's scratch memory, which the next call overwrites.

        Parameters
        ----------
        dtype, shape
            What the whole chunk is.
        rows
            Rows of the first axis; None stands for all.

        Raises
        ------
        IntegrityError
            Some bytes changed.
        FormatError
            The chunk does not hold what its array has.
        """
        size = math.prod(shape) * dtype.itemsize
        if self.header.nbytes != size:
            raise FormatError(f"a chunk holds {self.header.nbytes} bytes where {size} belong")
        blocks = self._holding(rows, size // shape[0])
        self._load(blocks)
        self.check(blocks)
        whole = _memory(size)
        begin = blocks.start * self.header.blocksize
        into = whole[begin : min(size, blocks.stop * self.header.blocksize)]
        if self.header.is_stored:
            start = self.extents[blocks.start][0] - self._at
            into[:] = self._seen[start : start + len(into)]
        else:
            self._decompress(blocks, into)
        decoded: NDArray[Any] = whole.view(dtype).reshape(shape)
        return decoded

    def _holding(self, rows: range | None, row_bytes: int) -> range:
        """Find the blocks that hold some rows."""
        count = len(self.extents)
        if rows is None:
            return range(count)
        first = rows.start * row_bytes // self.header.blocksize
        end = -(-rows.stop * row_bytes // self.header.blocksize)
        if end == count and self.header.nbytes % self.header.blocksize:
            # A last block that is shorter cannot stand alone: it is coded differently.
            first = min(first, max(0, count - 2))
        return range(first, end)

    def _decompress(self, blocks: range, into: NDArray[np.uint8]) -> None:
        whole = len(blocks) == len(self.extents) and not self._at
        data = self._seen if whole else self._excerpt(blocks, len(into))
        try:
            blosc.decompress(data, into)
        except RuntimeError as error:
            raise FormatError(f"a chunk cannot be decoded: {error}") from error

    def _excerpt(self, blocks: range, nbytes: int) -> bytes:
        """Make a chunk of some of this chunk's blocks: Blosc's blocks do not know each other."""
        return _assembled(self.header, nbytes, [self._stored(number) for number in blocks])


def join(chunks: list[bytes]) -> bytes | None:
    """Make one chunk of several of one Blosc block each; None where they are not coded alike.

    Blosc itself cuts no blocks as small as these.
    """
    first = read_header(chunks[0], len(chunks[0]))
    alike = _HEADER.size - 4  # all of the header but the stored size
    if first.is_stored or first.nblocks > 1 or len({chunk[:alike] for chunk in chunks}) > 1:
        return None
    return _assembled(first, first.nbytes * len(chunks), [chunk[first.body :] for chunk in chunks])


def _assembled(like: ChunkHeader, nbytes: int, blocks: Sequence[Any]) -> bytes:
    """Make a chunk of Blosc blocks that are coded as those of another chunk."""
    offsets = [*accumulate(map(len, blocks), initial=head_size(len(blocks)))]
    size = offsets.pop()
    head = _HEADER.pack(
        like.version, like.codec_version, like.flags, like.typesize, nbytes, like.blocksize, size
    )
    return b"".join((head, struct.pack(f"<{len(offsets)}I", *offsets), *blocks))


def head_size(blocks: int) -> int:
    """Bytes of a chunk's header and table."""
    return _HEADER.size + 4 * blocks


def as_chunk(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Take bytes that were never compressed for a chunk."""
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise FormatError(f"a chunk has {len(data)} bytes, too few or too many for {shape} {dtype}")
    return np.frombuffer(data, dtype).reshape(shape)


def _memory(size: int) -> NDArray[np.uint8]:
    buffer: NDArray[np.uint8] | None = getattr(_scratch, "buffer", None)
    if buffer is None or buffer.nbytes < size:
        buffer = _scratch.buffer = np.empty(size, np.uint8)
    return buffer[:size]
