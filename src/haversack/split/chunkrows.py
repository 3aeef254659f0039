"""The Blosc blocks of a block in which each is one row of its chunk."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.split.blosc import Workspace
from haversack.split.chunk import HEADER, STORED
from haversack.split.tail import Tail
from haversack.storage.ranges import RangeFile

_LIKE = 12  # bytes of a chunk's header that are the same in chunks coded alike

Numbers = NDArray[np.int64]
Shape = tuple[int, ...]
Damaged = Callable[[Shape, str], Exception]


class Rows:
    """Where the rows of all chunks of a block lie, each of them one Blosc block, all coded alike.

    Parameters
    ----------
    file, tail
        Of the block.
    damaged
        Makes the error that names a chunk and what is wrong with it.
    """

    def __init__(self, file: RangeFile, tail: Tail, damaged: Damaged) -> None:
        self.file, self._damaged = file, damaged
        chunks, head = tail.chunks, tail.head
        self.dtype, self.chunk_shape = np.dtype(head.dtype), head.chunk_shape
        self.grid = _grid(head.shape, head.chunk_shape)
        self.strides = tuple(math.prod(self.grid[n + 1 :]) for n in range(len(self.grid)))
        self._like: tuple[int, ...] = chunks[0].item()[:4]
        self.nbytes = int(chunks["blocksize"][0])
        # Of shape (chunks, rows): where in the file each row begins and ends, and its checksum.
        starts = tail.pieces["start"].astype(np.int64).reshape(len(chunks), -1)
        ends = np.column_stack([starts[:, 1:], chunks["size"]])
        offset = chunks["offset"].astype(np.int64)[:, None]
        self.starts, self.ends = starts + offset, ends + offset
        self.crcs = tail.pieces["crc32c"].reshape(starts.shape)

    @classmethod
    def of(cls, file: RangeFile, tail: Tail, damaged: Damaged) -> Rows | None:
        """Take a block so; None where it is coded in another way."""
        chunks, head = tail.chunks, tail.head
        if not len(chunks):
            return None
        row = math.prod(head.chunk_shape[1:]) * np.dtype(head.dtype).itemsize
        heads = chunks.view(np.uint8).reshape(len(chunks), -1)[:, :_LIKE]
        is_so = (
            chunks["blocksize"][0] == row
            and not chunks["flags"][0] & STORED
            and (heads == heads[0]).all()
        )
        return cls(file, tail, damaged) if is_so else None

    def damaged(self, chunk: int, error: str) -> Exception:
        """Say which chunk an error is about."""
        return self._damaged(tuple(map(int, np.unravel_index(chunk, self.grid))), error)

    def mismatch(self, chunk: int, row: int) -> Exception:
        """Say which row of which chunk is not what was written."""
        at = self.starts[chunk, row]
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
        buffer, nbytes = space.stored.data.data, len(table) // 4 * self.nbytes
        HEADER.pack_into(buffer, 0, *self._like, nbytes, self.nbytes, size)
        buffer[HEADER.size : HEADER.size + len(table)] = table
        try:
            space.decompress(size, nbytes, address)
        except FormatError as error:
            raise self.damaged(chunk, str(error)) from error


def _grid(shape: Shape, chunk_shape: Shape) -> Shape:
    return tuple([-(-length // size) for length, size in zip(shape, chunk_shape, strict=True)])
