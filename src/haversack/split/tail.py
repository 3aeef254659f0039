"""The tail of a block: its chunk index and checksums, after HDF5's end of file.

``head (JSON) | chunk table | checksums | footer``, little-endian; see docs/spec/split-v1.md. It is
published with the block by one rename, so it never describes other bytes than those it follows.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError, NewerFormatError
from haversack.storage.checksum import crc32c
from haversack.storage.ranges import RangeFile

FORMAT = 1
MAGIC = b"\x89HVBLK\r\n"
_FOOTER = struct.Struct("<IIIII8s")  # head, chunks, checksums, format, crc32c, magic
_COVERED = _FOOTER.size - 12  # the checksum covers all before itself
_FIRST_READ = 1 << 16

CHUNK = np.dtype([("offset", "<u8"), ("size", "<u4"), ("first_checksum", "<u4")])


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
    """A block's head, its chunks (C order over the chunk grid), and their checksums."""

    head: BlockHead
    chunks: NDArray[Any]
    checksums: NDArray[np.uint32]

    def extent(self, chunk: int) -> tuple[int, int]:
        """Say where a chunk begins and how many bytes it has."""
        offset, size, _ = self.chunks[chunk].item()
        return offset, size

    def checksums_of(self, chunk: int) -> list[int]:
        """Give one chunk's checksums: of header and table, then of each Blosc block."""
        first = self.chunks[chunk].item()[2]
        last = chunk + 1 == len(self.chunks)
        end = len(self.checksums) if last else self.chunks[chunk + 1].item()[2]
        found: list[int] = self.checksums[first:end].tolist()
        return found


def encode_tail(tail: Tail) -> bytes:
    """Serialise a tail."""
    head = json.dumps(asdict(tail.head), sort_keys=True, separators=(",", ":")).encode()
    body = head + tail.chunks.astype(CHUNK).tobytes() + tail.checksums.astype("<u4").tobytes()
    counts = (len(head), len(tail.chunks), len(tail.checksums), FORMAT)
    footer = _FOOTER.pack(*counts, 0, MAGIC)
    crc = crc32c(body + footer[:_COVERED])
    return body + _FOOTER.pack(*counts, crc, MAGIC)


def has_tail(file: RangeFile) -> bool:
    """Whether a file ends as our blocks do."""
    return file.size >= len(MAGIC) and file.read(file.size - len(MAGIC), len(MAGIC)) == MAGIC


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
    head, chunks, sums, version, crc, _ = _FOOTER.unpack(end[-_FOOTER.size :])
    size = head + chunks * CHUNK.itemsize + 4 * sums + _FOOTER.size
    if size > file.size:
        raise IntegrityError(f"{file.path}: the tail is damaged: it claims {size} bytes")
    data = end[-size:] if size <= len(end) else file.read(file.size - size, size)
    if crc32c(data[: size - _FOOTER.size + _COVERED]) != crc:
        raise IntegrityError(f"{file.path}: the tail does not match its checksum")
    if version > FORMAT:
        raise NewerFormatError(
            f"{file.path} was written by format {version}, this haversack reads up to {FORMAT}: "
            "upgrade haversack"
        )
    return _parse(file, data, (head, chunks, sums))


def _parse(file: RangeFile, data: bytes, counts: tuple[int, int, int]) -> Tail:
    head_size, chunks, sums = counts
    try:
        fields: dict[str, Any] = json.loads(data[:head_size])
        fields["shape"], fields["chunk_shape"] = map(
            tuple, (fields["shape"], fields["chunk_shape"])
        )
        head = BlockHead(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{file.path}: the tail's head is not understood: {error}") from error
    table = np.frombuffer(data, CHUNK, chunks, head_size)
    checksums = np.frombuffer(data, "<u4", sums, head_size + table.nbytes)
    return Tail(head, table, checksums)
