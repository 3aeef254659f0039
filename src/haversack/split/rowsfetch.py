"""Read some rows of several chunks at once, where each row is one Blosc block."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.split.blosc import borrow, give_back
from haversack.split.chunk import head_size
from haversack.split.chunkrows import Rows
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
        rows, self._space = self._rows, borrow()
        at = head_size(sum([len(some) for _, some in self._wanted]))
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
        self._table, self._size = struct.pack(f"<{len(where)}I", *where), at

    def arrays(self) -> Iterator[NDArray[Any]]:
        rows, space = self._rows, self._space
        count = len(self._table) // 4
        decoded = space.decoded.of(count * rows.nbytes)
        rows.decode(self._table, self._size, space.decoded.address, space, self._wanted[0][0])
        begin = 0
        for _, some in self._wanted:
            shape = (len(some), *rows.chunk_shape[1:])
            yield np.ndarray(shape, rows.dtype, decoded, begin)
            begin += len(some) * rows.nbytes
        give_back(space)
