"""Read some rows of several chunks at once, where each row is one Blosc block.

Those that are not compressed are given as they were read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.split.blockfiles.chunkrows import Rows
from haversack.split.chunks.blosc import borrow, give_back
from haversack.split.chunks.chunk import head_size
from haversack.storage.checksum import crc32c

Wanted = tuple[tuple[int, ...], range]


class RowsFetch:
    """A fetch of rows of chunks, all of which are decoded in one call.

    Parameters
    ----------
    rows
        The block.
    wanted
        The cell of each chunk, and which of its rows.
    """

    is_locked = False

    def __init__(self, rows: Rows, wanted: Sequence[Wanted]) -> None:
        self._rows = rows
        self._wanted = [(sum(map(mul, cell, rows.strides)), some) for cell, some in wanted]
        self._marks = [rows.marks(chunk, some) for chunk, some in self._wanted]

    def expect(self) -> None:
        for start, *_, end in self._marks:
            self._rows.file.expect(start, end - start)

    def read(self) -> None:
        if not self._rows.is_stored:  # else leave it to who copies: to read is all there is to do
            self._read()

    def _read(self) -> None:
        rows, self._space = self._rows, borrow()
        at = 0 if rows.is_stored else head_size(sum([len(some) for _, some in self._wanted]))
        memory = self._space.stored.of(at + sum([marks[-1] - marks[0] for marks in self._marks]))
        where: list[int] = []
        for (chunk, some), marks in zip(self._wanted, self._marks, strict=True):
            base, size = at - marks[0], marks[-1] - marks[0]
            rows.file.read_into(memory[at : at + size], marks[0])
            crcs = rows.crcs[chunk, some.start : some.stop].tolist()
            for row, (begin, end), crc in zip(some, pairwise(marks), crcs, strict=True):
                if crc32c(memory[begin + base : end + base]) != crc:
                    raise rows.mismatch(chunk, row)
                where.append(begin + base)
            at += size
        self._where, self._size = where, at

    def arrays(self) -> Iterator[NDArray[Any]]:
        rows = self._rows
        if rows.is_stored:
            self._read()
        space = self._space
        memory = space.stored.data if rows.is_stored else self._decoded()
        count = 0
        for _, some in self._wanted:
            begin = self._where[count] if rows.is_stored else count * rows.nbytes
            yield np.ndarray((len(some), *rows.chunk_shape[1:]), rows.dtype, memory, begin)
            count += len(some)
        give_back(space)

    def _decoded(self) -> NDArray[np.uint8]:
        """Decode all rows, one behind the other."""
        rows, space, count = self._rows, self._space, len(self._where)
        decoded = space.decoded.of(count * rows.nbytes)
        table = struct.pack(f"<{count}I", *self._where)
        rows.decode(table, self._size, space.decoded.address, space, self._wanted[0][0])
        return decoded
