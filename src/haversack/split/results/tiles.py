"""A regular part of a block as a grid: tiles over all axes but the first, and rows of each tile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.split.blockfiles.chunkrows import Numbers, Rows
from haversack.split.chunks.threads import CORES
from haversack.split.planning.plan import Cut, plain

# Bytes decoded at once. Large, for each call of Blosc lets another thread take the interpreter, and
# it takes long to get it back; small enough to have work for all cores, twice.
_LEAST, _MOST = 1 << 20, 8 << 20


_FEW = 8  # chunks that are as soon read one by one
_SHORT = 5  # rows of a chunk, from which on it is as soon read by itself, unless it fits


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


class Share(NamedTuple):
    """What one task reads: some tiles, and some rows of each."""

    tiles: Tiles
    some: range
    lines: Lines

    @property
    def chunks(self) -> Numbers:
        """The chunk of each row, of shape (tiles, rows)."""
        return self.tiles.chunks[self.some.start : self.some.stop, None] + self.lines.chunks

    @property
    def fits(self) -> NDArray[np.bool_]:
        """Which of the tiles fit."""
        return self.tiles.fits[self.some.start : self.some.stop]

    def places(self, tiles: NDArray[np.intp], target: NDArray[Any]) -> Numbers:
        """Find where in the target each row of some of its tiles belongs: bytes, (rows, tiles)."""
        rows = (self.lines.place + np.arange(len(self.lines.rows))) * target.strides[0]
        return np.add.outer(rows, self.tiles.at[self.some.start + tiles])

    def put(self, tile: int, data: NDArray[Any], target: NDArray[Any]) -> None:
        """Copy what is wanted of one of its tiles, given all of its rows."""
        pieces = self.tiles.piece(self.some.start + tile)
        places = [place for _, _, place in pieces]
        inner = [plain(local) for _, local, _ in pieces]
        place = slice(self.lines.place, self.lines.place + len(data))
        target[(place, *places)] = data[(slice(None), *inner)]


def is_regular(rows: Rows, pieces: Sequence[Sequence[Cut]], target: NDArray[Any]) -> bool:
    """Whether a part of a block is best read by tiles; the arguments are :func:`share_out`'s."""
    if math.prod(map(len, pieces)) <= _FEW:
        return False
    is_short = max([len(local) for _, local, _ in pieces[0]]) < _SHORT
    return is_short or all(map(any, _fitting(rows, pieces[1:], target)))


def share_out(rows: Rows, pieces: Sequence[Sequence[Cut]], target: NDArray[Any]) -> Iterator[Share]:
    """Divide the reading of a part of a block among tasks.

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
            yield Share(tiles, some, lines.some(start, stop))


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
    chunks, at, fits = np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, np.bool_)
    geometry = zip(
        axes, rows.strides[1:], target.strides[1:], _fitting(rows, axes, target), strict=True
    )
    for axis, step, stride, fitting in geometry:
        chunks = np.add.outer(chunks, [cell * step for cell, _, _ in axis]).ravel()
        at = np.add.outer(at, [place.start * stride for _, _, place in axis]).ravel()
        fits = np.logical_and.outer(fits, fitting).ravel()
    return Tiles(axes, chunks, at, fits)


def _fitting(
    rows: Rows, axes: Sequence[Sequence[Cut]], target: NDArray[Any]
) -> Sequence[Sequence[bool]]:
    """Find on each axis the pieces that are whole and lie in the target as in the chunk.

    A tile fits where all of its pieces do.
    """
    can_fit = target.dtype == rows.dtype and (target.flags.c_contiguous or not rows.is_stored)
    dense = rows.dtype.itemsize  # the stride of an axis in a tile
    found: list[list[bool]] = []
    geometry = zip(axes, rows.chunk_shape[1:], target.strides[1:], strict=True)
    for axis, length, stride in reversed([*geometry]):
        is_dense = can_fit and (length == 1 or stride == dense)
        dense *= length
        found.append([is_dense and local == range(length) for _, local, _ in axis])
    return found[::-1]


def _together(tiles: Tiles, most: int) -> int:
    """How many tiles are read at once: whole rows, whole planes of tiles, as far as that goes."""
    count = 1
    for axis in reversed(tiles.axes):
        if count * len(axis) > most:
            return count * max(1, most // count)
        count *= len(axis)
    return count
