"""Read a regular part of a block, decoding into the target itself where a tile fits there.

One call of Blosc decodes the Blosc blocks that a table lists, in the order of the table (see
:mod:`haversack.split.blockfiles.fetching`). Where each of them is one row of a chunk, those of
many chunks are listed in the order in which their rows lie in the target. What is contiguous there
is decoded in place; only tiles of which a part is wanted go through memory of ours.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.split.blockfiles.chunkrows import Rows
from haversack.split.results.storedrows import StoredRows, Where
from haversack.split.results.tiles import Share


class Gathering:
    """A share of a part of a block, which is read at once.

    Parameters
    ----------
    rows, share, target
        The block, what is read of it, and where it goes.
    """

    is_locked = False

    def __init__(self, rows: Rows, share: Share, target: NDArray[Any]) -> None:
        self._rows, self._share, self._target = rows, share, target
        self._stored = StoredRows(rows, share.chunks, share.lines.rows)
        self.n_chunks, self.nbytes = len(share.some), self._stored.nbytes
        self.expect = self._stored.expect

    def read(self) -> None:
        self._where = self._stored.read()

    def do(self) -> None:
        fits, where = self._share.fits, self._where
        if fits.any():
            self._in_place(where[fits].T, np.flatnonzero(fits))
        if not fits.all():
            self._in_part(where[~fits], np.flatnonzero(~fits))
        self._stored.give_back()

    def _in_place(self, where: Where, tiles: NDArray[np.intp]) -> None:
        """Decode rows of tiles, given by row and tile, to where they belong."""
        belong = self._share.places(tiles, self._target).ravel()
        belong += self._target.__array_interface__["data"][0]
        breaks = np.flatnonzero(np.diff(belong) != self._rows.nbytes) + 1
        bounds = [0, *breaks.tolist(), where.size]
        listed = where.ravel()
        for begin, end in pairwise(bounds):
            self._stored.decode(listed[begin:end], int(belong[begin]))

    def _in_part(self, where: Where, tiles: NDArray[np.intp]) -> None:
        """Decode rows of tiles, given by tile and row, and copy what is wanted of them."""
        memory = self._stored.scratch
        decoded = memory.of(where.size * self._rows.nbytes)
        self._stored.decode(where.ravel(), memory.address)
        shape = (*where.shape, *self._rows.chunk_shape[1:])
        data = np.ndarray(shape, self._rows.dtype, decoded)
        for tile, cell in zip(tiles.tolist(), data, strict=True):
            self._share.put(tile, cell, self._target)
