"""The Blosc blocks of a block in which each is one row of its chunk."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.split.blockfiles.tail import Tail
from haversack.split.chunks.alike import Alike
from haversack.split.chunks.blosc import Workspace
from haversack.split.chunks.chunk import HEADER
from haversack.storage.ranges import RangeFile

Numbers = NDArray[np.int64]
Shape = tuple[int, ...]
Damaged = Callable[[Shape, str], Exception]


class Rows:
    """Where the rows of all chunks of a block lie, each of them one Blosc block, all coded alike.

    Parameters
    ----------
    file, tail, alike
        Of the block; and how all its chunks are coded.
    damaged
        Makes the error that names a chunk and what is wrong with it.
    """

    def __init__(self, file: RangeFile, tail: Tail, alike: Alike, damaged: Damaged) -> None:
        self.file, self._damaged = file, damaged
        chunks, head = tail.chunks, tail.head
        self.dtype, self.chunk_shape = np.dtype(head.dtype), head.chunk_shape
        self.grid = _grid(head.shape, head.chunk_shape)
        self.strides = tuple(math.prod(self.grid[n + 1 :]) for n in range(len(self.grid)))
        self._coding, self.nbytes = alike.header[:4], alike.header.blocksize
        self.is_stored = alike.header.is_stored
        self._offset, self._size = chunks["offset"], chunks["size"]
        # Of shape (chunks, rows): where in its chunk each begins, and its checksum.
        self._starts = alike.of_each(chunks, tail.pieces["start"])
        self.crcs = alike.of_each(chunks, tail.pieces["crc32c"])

    @classmethod
    def of(cls, file: RangeFile, tail: Tail, ways: list[Alike], damaged: Damaged) -> Rows | None:
        """Take a block so; None where it is coded in another way."""
        row = math.prod(tail.head.chunk_shape[1:]) * np.dtype(tail.head.dtype).itemsize
        if len(ways) != 1:
            return None
        return cls(file, tail, ways[0], damaged) if ways[0].header.blocksize == row else None

    def marks(self, chunk: int, rows: range) -> list[int]:
        """Tell where in the file successive rows of a chunk begin, and where the last ends."""
        offset: int = self._offset.item(chunk)
        found = self._starts[chunk, rows.start : rows.stop + 1].tolist()
        if rows.stop == self.chunk_shape[0]:
            found.append(self._size.item(chunk))
        return [offset + at for at in found]

    def find(self, chunks: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Find where in the file rows begin and end, each given by its chunk and its number."""
        last = self.chunk_shape[0] - 1
        ends = np.where(
            rows < last, self._starts[chunks, np.minimum(rows + 1, last)], self._size[chunks]
        )
        offset = self._offset[chunks].astype(np.int64)
        return offset + self._starts[chunks, rows], offset + ends

    def damaged(self, chunk: int, error: str) -> Exception:
        """Say which chunk an error is about."""
        return self._damaged(tuple(map(int, np.unravel_index(chunk, self.grid))), error)

    def mismatch(self, chunk: int, row: int) -> Exception:
        """Say which row of which chunk is not what was written."""
        at, _ = self.marks(chunk, range(row, row + 1))
        return self.damaged(chunk, f"the Blosc block at byte {at} does not match its checksum")

    def decode(self, table: bytes, size: int, address: int, space: Workspace, chunk: int) -> None:
        """Decode rows that lie in the first bytes stored, behind a head, one behind the other.

        Parameters
        ----------
        table, size
            Where each begins there, in 32 bits, little-endian, and where the last ends; the head
            has ``head_size`` bytes.
        address
            Where they go.
        space
            Where they lie.
        chunk
            One of theirs, for an error.
        """
        if self.is_stored:
            self._copy(table, address, space)
            return
        buffer, nbytes = space.stored.data.data, len(table) // 4 * self.nbytes
        HEADER.pack_into(buffer, 0, *self._coding, nbytes, self.nbytes, size)
        buffer[HEADER.size : HEADER.size + len(table)] = table
        try:
            space.decompress(size, nbytes, address)
        except FormatError as error:
            raise self.damaged(chunk, str(error)) from error

    def _copy(self, table: bytes, address: int, space: Workspace) -> None:
        """Copy rows that are not compressed."""
        where = np.frombuffer(table, "<u4")
        breaks = np.flatnonzero(np.diff(where) != self.nbytes) + 1
        for begin, end in pairwise([0, *breaks.tolist(), len(where)]):
            nbytes = (end - begin) * self.nbytes
            ctypes.memmove(address, space.stored.address + int(where[begin]), nbytes)
            address += nbytes


def _grid(shape: Shape, chunk_shape: Shape) -> Shape:
    return tuple([-(-length // size) for length, size in zip(shape, chunk_shape, strict=True)])
