"""Read a regular part of a block that is not compressed, to where it belongs.

There is nothing to decode, so that the disk's bytes go into the target itself where a tile fits
there: one call of the system for the rows that follow each other in a chunk, wherever they go.
"""

from __future__ import annotations

from itertools import pairwise
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.split.blockfiles.chunkrows import Rows
from haversack.split.chunks.blosc import workspace
from haversack.split.results.storedrows import joined_ranges
from haversack.split.results.tiles import Share
from haversack.storage.checksum import crc32cs

# Bytes in each call of the system, from which on it is worth a thread: threads that read in small
# pieces wait for the interpreter most of the time.
_LONG = 64 << 10

Bytes = NDArray[np.uint8]


class Scattering:
    """A share of a part of a block that is not compressed.

    Parameters
    ----------
    rows, share, target
        The block, what is read of it, and where it goes.
    """

    is_locked = False

    def __init__(self, rows: Rows, share: Share, target: NDArray[Any]) -> None:
        self._rows, self._share, self._target = rows, share, target
        lines = share.lines
        self._start, self._end = rows.find(share.chunks, lines.rows)
        self._crcs = rows.crcs[share.chunks, lines.rows].tolist()
        self.n_chunks, self.nbytes = len(share.some), self._start.size * rows.nbytes
        # Between them rows follow each other in a chunk.
        breaks = np.flatnonzero((np.diff(lines.rows) != 1) | (np.diff(lines.chunks) != 0)) + 1
        self._bounds = [*pairwise([0, *breaks.tolist(), len(lines.rows)])]
        self._starts = self._start[:, [begin for begin, _ in self._bounds]].tolist()
        self._is_long = len(lines.rows) * rows.nbytes >= _LONG * len(self._bounds)

    def expect(self) -> None:
        begins, ends = joined_ranges(self._start.ravel(), self._end.ravel())
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            self._rows.file.expect(begin, end - begin)

    def read(self) -> None:
        if not self._is_long:
            self._fill()

    def do(self) -> None:
        if self._is_long:
            self._fill()

    def _fill(self) -> None:
        fits = self._share.fits
        if fits.any():
            self._in_place(np.flatnonzero(fits))
        if not fits.all():
            self._in_part(np.flatnonzero(~fits))

    def _in_place(self, tiles: NDArray[np.intp]) -> None:
        """Read rows of tiles to where they belong."""
        whole, nbytes = self._target.reshape(-1).view(np.uint8), self._rows.nbytes
        belong = self._share.places(tiles, self._target).T.tolist()
        for tile, places in zip(tiles.tolist(), belong, strict=True):
            self._read(tile, [whole[at : at + nbytes] for at in places])

    def _in_part(self, tiles: NDArray[np.intp]) -> None:
        """Read rows of tiles, and copy what is wanted of them."""
        count, nbytes = self._start.shape[1], self._rows.nbytes
        with workspace() as space:
            memory = space.stored.of(count * nbytes)
            data = np.ndarray((count, *self._rows.chunk_shape[1:]), self._rows.dtype, memory)
            for tile in tiles.tolist():
                self._read(tile, [*memory.reshape(count, nbytes)])
                self._share.put(tile, data, self._target)

    def _read(self, tile: int, into: list[Bytes]) -> None:
        """Read the rows of a tile, each into memory of its own, and compare their checksums."""
        for (begin, end), start in zip(self._bounds, self._starts[tile], strict=True):
            self._rows.file.read_into_each(into[begin:end], start)
        found, wanted = [*crc32cs(into)], self._crcs[tile]
        if found != wanted:
            line = [*map(eq, found, wanted)].index(False)
            chunk, row = self._share.chunks[tile, line], self._share.lines.rows[line]
            raise self._rows.mismatch(int(chunk), int(row))
