"""Read a regular part of a block, decoding into the target itself where a tile fits there.

One call of Blosc decodes the Blosc blocks that a table lists, in the order of the table (see
:mod:`haversack.split.fetching`). Where each of them is one row of a chunk, those of many chunks are
listed in the order in which their rows lie in the target. What is contiguous there is decoded in
place; only tiles of which a part is wanted go through memory of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.split.chunkrows import Numbers, Rows
from haversack.split.plan import Cut, plain
from haversack.split.storedrows import StoredRows, Where
from haversack.split.threads import CORES

# Bytes decoded at once. Large, for each call of Blosc lets another thread take the interpreter, and
# it takes long to get it back; small enough to have work for all cores, twice.
_LEAST, _MOST = 1 << 20, 8 << 20


class Tiles(NamedTuple):
    """The tiles that are wanted of each row: a grid over all axes but the first."""

    axes: Sequence[Sequence[Cut]]  # on each axis, what is wanted of which tile
    chunks: Numbers  # the number of each tile's first chunk
    at: Numbers  # bytes from the target's begin to where it belongs
    fits: NDArray[np.bool_]  # whether all of it is wanted, and lies in the target as in the chunk

    def piece(self, number: int) -> tuple[Cut, ...]:
        """Say what is wanted of a tile."""
        found: list[Cut] = []
        for axis in reversed(self.axes):
            number, place = divmod(number, len(axis))
            found.append(axis[place])
        return tuple(found[::-1])


class Lines(NamedTuple):
    """The rows that are wanted of each tile, one behind the other in the target."""

    chunks: Numbers  # what to add to the number of a tile's first chunk
    rows: Numbers  # which row of that chunk
    place: int  # of the first, on the target's first axis

    def some(self, start: int, stop: int) -> Lines:
        """Take those of a range."""
        return Lines(self.chunks[start:stop], self.rows[start:stop], self.place + start)


def gather(
    rows: Rows, pieces: Sequence[Sequence[Cut]], target: NDArray[Any]
) -> Iterator[Gathering]:
    """Cut the reading of a part of a block into tasks.

    Parameters
    ----------
    rows
        The block.
    pieces
        What is wanted of which chunk, on each axis; ranges only.
    target
        Where it goes.
    """
    tiles, lines = _tiles(rows, pieces[1:], target), _lines(rows, pieces[0])
    most = min(max(_LEAST, target.nbytes // (2 * CORES)), _MOST) // rows.nbytes
    lengths = [len(local) for _, local, _ in pieces[0]]
    count = _together(tiles, most // max(lengths))
    for start, stop in _bounds(lengths, most // count):
        for first in range(0, len(tiles.chunks), count):
            some = range(first, min(first + count, len(tiles.chunks)))
            yield Gathering(rows, tiles, some, lines.some(start, stop), target)


def _lines(rows: Rows, pieces: Sequence[Cut]) -> Lines:
    local = [np.arange(some.start, some.stop, some.step) for _, some, _ in pieces]
    chunks = np.repeat([cell for cell, _, _ in pieces], [len(some) for some in local])
    return Lines(chunks * rows.strides[0], np.concatenate(local), pieces[0][2].start)


def _bounds(lengths: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Put lengths together, one behind the other, as far as ``most`` goes."""
    start = stop = 0
    for length in lengths:
        if start < stop and stop + length - start > most:
            yield start, stop
            start = stop
        stop += length
    yield start, stop


def _tiles(rows: Rows, axes: Sequence[Sequence[Cut]], target: NDArray[Any]) -> Tiles:
    chunks, at = np.zeros(1, np.int64), np.zeros(1, np.int64)
    fits = np.array([target.dtype == rows.dtype])
    dense = rows.dtype.itemsize  # the stride of an axis in a tile
    geometry = zip(axes, rows.chunk_shape[1:], rows.strides[1:], target.strides[1:], strict=True)
    for axis, length, step, stride in reversed([*geometry]):
        is_dense = length == 1 or stride == dense
        dense *= length
        chunks = np.add.outer([cell * step for cell, _, _ in axis], chunks).ravel()
        at = np.add.outer([place.start * stride for _, _, place in axis], at).ravel()
        whole = [is_dense and local == range(length) for _, local, _ in axis]
        fits = np.logical_and.outer(whole, fits).ravel()
    return Tiles(axes, chunks, at, fits)


def _together(tiles: Tiles, most: int) -> int:
    """How many tiles are read at once: whole rows, whole planes of tiles, as far as that goes."""
    count = 1
    for axis in reversed(tiles.axes):
        if count * len(axis) > most:
            return count * max(1, most // count)
        count *= len(axis)
    return count


class Gathering:
    """Some rows of some tiles, which are read at once.

    Parameters
    ----------
    rows, tiles, target
        As for :func:`gather`.
    some, lines
        Which tiles, and which rows of each.
    """

    is_locked = False

    def __init__(
        self, rows: Rows, tiles: Tiles, some: range, lines: Lines, target: NDArray[Any]
    ) -> None:
        self._rows, self._tiles, self._some = rows, tiles, some
        self._lines, self._target = lines, target
        chunks = tiles.chunks[some.start : some.stop, None] + lines.chunks
        self._stored = StoredRows(rows, chunks, lines.rows)
        self.n_chunks, self.nbytes = len(some), self._stored.nbytes
        self.expect = self._stored.expect

    def read(self) -> None:
        self._where = self._stored.read()

    def do(self) -> None:
        fits, where = self._tiles.fits[self._some.start : self._some.stop], self._where
        if fits.any():
            self._in_place(where[fits].T, np.flatnonzero(fits))
        if not fits.all():
            self._in_part(where[~fits], np.flatnonzero(~fits))
        self._stored.give_back()

    def _in_place(self, where: Where, tiles: NDArray[np.intp]) -> None:
        """Decode rows of tiles, given by row and tile, to where they belong."""
        rows = (self._lines.place + np.arange(len(where))) * self._target.strides[0]
        belong = (rows[:, None] + self._tiles.at[self._some.start + tiles]).ravel()
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
        place = slice(self._lines.place, self._lines.place + where.shape[1])
        for tile, cell in zip(tiles.tolist(), data, strict=True):
            pieces = self._tiles.piece(self._some.start + tile)
            places = [place for _, _, place in pieces]
            inner = [plain(local) for _, local, _ in pieces]
            self._target[(place, *places)] = cell[(slice(None), *inner)]
