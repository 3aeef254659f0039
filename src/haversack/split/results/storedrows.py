"""Rows of chunks as they are stored: read in few ranges, checked, then decoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from haversack.split.blockfiles.chunkrows import Numbers, Rows
from haversack.split.chunks.blosc import Memory, borrow, give_back
from haversack.split.chunks.chunk import head_size
from haversack.storage.checksum import crc32cs

_GAP = 8 << 10  # bytes between two ranges that are read rather than skipped

Where = NDArray[np.uint32]


class StoredRows:
    """Some rows of a block, read at once.

    Parameters
    ----------
    rows
        The block.
    chunks, numbers
        The chunk of each row, and which of its rows it is; of shapes that go together.
    """

    def __init__(self, rows: Rows, chunks: Numbers, numbers: Numbers) -> None:
        self._rows, self._chunks, self._numbers = rows, chunks, numbers
        self._start, self._end = rows.find(chunks, numbers)
        self._crcs = rows.crcs[chunks, numbers]
        self.nbytes = self._start.size * rows.nbytes
        self._from, self._to = joined_ranges(self._start.ravel(), self._end.ravel())

    def expect(self) -> None:
        """Have the disk bring them."""
        for start, stop in zip(self._from.tolist(), self._to.tolist(), strict=True):
            self._rows.file.expect(start, stop - start)

    def read(self) -> Where:
        """Read them and compare them with their checksums; tell where in memory each begins."""
        self._space = borrow()
        sizes = self._to - self._from
        at = head_size(self._start.size) + np.append(0, sizes.cumsum())
        self._size = int(at[-1])
        memory = self._space.stored.of(self._size)
        lie = zip(at.tolist(), sizes.tolist(), self._from.tolist(), strict=False)
        for begin, size, offset in lie:
            self._rows.file.read_into(memory[begin : begin + size], offset)
        within = np.searchsorted(self._from, self._start, side="right") - 1
        where = self._start + (at[within] - self._from[within])
        ends = where + (self._end - self._start)
        each = zip(where.ravel().tolist(), ends.ravel().tolist(), strict=True)
        found = [*crc32cs(memory[begin:end] for begin, end in each)]
        if found != self._crcs.ravel().tolist():
            raise self._mismatch(np.reshape(found, where.shape) != self._crcs)
        return where.astype(np.uint32)

    def _mismatch(self, is_wrong: NDArray[np.bool_]) -> Exception:
        chunks, numbers = np.broadcast_arrays(self._chunks, self._numbers)
        return self._rows.mismatch(int(chunks[is_wrong][0]), int(numbers[is_wrong][0]))

    @property
    def scratch(self) -> Memory:
        """Memory to decode into what does not belong together, until they are given back."""
        return self._space.decoded

    def decode(self, where: Where, address: int) -> None:
        """Decode some of what was read to an address, one behind the other."""
        chunk = int(self._chunks.flat[0])
        self._rows.decode(where.tobytes(), self._size, address, self._space, chunk)

    def give_back(self) -> None:
        """Let others use the memory."""
        give_back(self._space)


def joined_ranges(start: Numbers, end: Numbers) -> tuple[Numbers, Numbers]:
    """Find what is read at once: where each begins and ends, ascending."""
    order = start.argsort()
    start, end = start[order], end[order]
    apart = np.flatnonzero(start[1:] - end[:-1] > _GAP)
    return start[np.append(0, apart + 1)], end[np.append(apart, len(end) - 1)]
