"""The tail of a block: where in it all data lies, and checksums, after HDF5's end of file.

``head (JSON) | chunks | Blosc blocks | footer``, little-endian; see docs/spec/split-v1.md. A reader
needs no byte of a chunk's own head, and no more of its body than it wants. The tail is published
with the block by one rename, so it never describes other bytes than those that it follows.
"""

from __future__ import annotations

import json
import operator
import struct
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError, NewerFormatError
from haversack.split.chunks.alike import Alike, group
from haversack.storage.checksum import crc32c
from haversack.storage.ranges import RangeFile

FORMAT = 1
MAGIC = b"\x89HVBLK\r\n"
_FOOTER = struct.Struct("<IIIII8s")  # head, chunks, Blosc blocks, format, crc32c, magic
_COVERED = _FOOTER.size - 12  # the checksum covers all before itself
_FIRST_READ = 1 << 16
_MOST_HEAD, _MOST = 64 << 10, 256 << 20  # bytes of a head, and of a tail
# A chunk: the 16 bytes of its Blosc header, where it is in the file, its first Blosc block.
CHUNK = np.dtype(
    [
        ("version", "u1"),
        ("codec_version", "u1"),
        ("flags", "u1"),
        ("typesize", "u1"),
        ("nbytes", "<u4"),
        ("blocksize", "<u4"),
        ("size", "<u4"),
        ("offset", "<u8"),
        ("first", "<u4"),
    ]
)
PIECE = np.dtype([("start", "<u4"), ("crc32c", "<u4")])  # a Blosc block: where in the chunk


@dataclass(frozen=True, slots=True)
class BlockHead:
    """What a block says of itself."""

    array: str
    generation: str
    block: int
    dtype: str
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    hdf5_size: int
    hdf5_crc32c: int


@dataclass(frozen=True, slots=True)
class Tail:
    """A block's head, its chunks (C order over the chunk grid), and all their Blosc blocks."""

    head: BlockHead
    chunks: NDArray[Any]
    pieces: NDArray[Any]

    def pieces_of(self, chunk: int) -> NDArray[Any]:
        """Give the Blosc blocks of one chunk."""
        first, end = int(self.chunks["first"][chunk]), len(self.pieces)
        if chunk + 1 < len(self.chunks):
            end = int(self.chunks["first"][chunk + 1])
        return self.pieces[first:end]

    def check(self, nbytes: int, file: RangeFile) -> list[Alike]:
        """Group the chunks by how they are coded, once it is sure that they can lie so in a file.

        No decoder has to find out that they cannot.

        Parameters
        ----------
        nbytes
            Decoded bytes of a chunk.
        file
            Where they lie.

        Raises
        ------
        FormatError
            They contradict themselves.
        """
        ways = group(self.chunks)
        is_known = bool(ways) or not len(self.chunks)
        is_sound = is_known and all(alike.is_sound(nbytes) for alike in ways)
        if not (is_sound and self._is_listed(ways)) or self._overlap(file.size):
            raise FormatError(f"{file.path}: the tail's table of chunks contradicts itself")
        if not all(alike.fits(self.chunks, self.pieces["start"]) for alike in ways):
            raise FormatError(f"{file.path}: the tail's table of Blosc blocks contradicts itself")
        return ways

    def _is_listed(self, ways: list[Alike]) -> bool:
        """Whether each chunk says where its Blosc blocks begin in the list of all."""
        counts = np.empty(len(self.chunks), np.int64)
        for alike in ways:
            counts[alike.chunks] = alike.header.nblocks
        ends = counts.cumsum()
        total = int(ends[-1]) if len(ends) else 0
        return total == len(self.pieces) and bool((self.chunks["first"] == ends - counts).all())

    def _overlap(self, end: int) -> bool:
        """Whether chunks share bytes, or lie beyond the end of the file."""
        offset, size = self.chunks["offset"], self.chunks["size"]
        if not len(offset):
            return False
        if offset.max() > end:
            return True
        ends = offset + size
        if (ends[:-1] <= offset[1:]).all():  # in order, as haversack writes them
            return bool(ends[-1] > end)
        order = offset.argsort()
        offset, ends = offset[order], ends[order]
        return bool((ends[:-1] > offset[1:]).any() or ends[-1] > end)


def encode_tail(tail: Tail) -> bytes:
    """Serialise a tail."""
    head = json.dumps(asdict(tail.head), sort_keys=True, separators=(",", ":")).encode()
    body = head + tail.chunks.astype(CHUNK).tobytes() + tail.pieces.astype(PIECE).tobytes()
    counts = (len(head), len(tail.chunks), len(tail.pieces), FORMAT)
    footer = _FOOTER.pack(*counts, 0, MAGIC)
    crc = crc32c(body + footer[:_COVERED])
    return body + _FOOTER.pack(*counts, crc, MAGIC)


def has_tail(file: RangeFile) -> bool:
    """Whether a file ends as our blocks do."""
    return file.size >= len(MAGIC) and file.read(file.size - len(MAGIC), len(MAGIC)) == MAGIC


def expect_tail(file: RangeFile) -> None:
    """Have the disk bring what :func:`read_tail` will read."""
    size = min(file.size, _FIRST_READ)
    file.expect(file.size - size, size)


def read_tail(file: RangeFile) -> Tail:
    """Read and check the tail of a block.

    Raises
    ------
    NewerFormatError
        The block was written by a later haversack.
    IntegrityError
        The tail is missing, cut or changed.
    """
    end = file.read(max(0, file.size - _FIRST_READ), min(file.size, _FIRST_READ))
    if len(end) < _FOOTER.size or not end.endswith(MAGIC):
        raise IntegrityError(f"{file.path} has no tail: the block is cut short or damaged")
    head, chunks, pieces, version, crc, _ = _FOOTER.unpack(end[-_FOOTER.size :])
    size = head + chunks * CHUNK.itemsize + pieces * PIECE.itemsize + _FOOTER.size
    if size > min(file.size, _MOST) or head > _MOST_HEAD:
        raise IntegrityError(f"{file.path}: the tail is damaged: it claims {size} bytes")
    data = end[-size:] if size <= len(end) else file.read(file.size - size, size)
    if crc32c(data[: size - _FOOTER.size + _COVERED]) != crc:
        raise IntegrityError(f"{file.path}: the tail does not match its checksum")
    if version > FORMAT:
        raise NewerFormatError(
            f"{file.path} was written by format {version}, this haversack reads up to {FORMAT}: "
            "upgrade haversack"
        )
    return _parse(file, data, (head, chunks, pieces))


def _parse(file: RangeFile, data: bytes, counts: tuple[int, int, int]) -> Tail:
    head_size, chunks, pieces = counts
    try:
        fields: dict[str, Any] = json.loads(data[:head_size])
        for shape in ("shape", "chunk_shape"):
            fields[shape] = tuple(map(operator.index, fields[shape]))
        head = BlockHead(**fields)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError(f"{file.path}: the tail's head is not understood: {error}") from error
    table = np.frombuffer(data, CHUNK, chunks, head_size)
    return Tail(head, table, np.frombuffer(data, PIECE, pieces, head_size + table.nbytes))
