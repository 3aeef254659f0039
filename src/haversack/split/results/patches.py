"""Read many boxes of a block, of which each is a small part: all are planned for at once.

A row of a chunk that several of them need is read and decoded one time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.split.blockfiles.chunkrows import Numbers, Rows
from haversack.split.chunks.threads import CORES
from haversack.split.planning.layout import Job
from haversack.split.results.storedrows import StoredRows

_LEAST, _MOST = 1 << 20, 8 << 20  # bytes decoded at once

Targets = Sequence[NDArray[Any]]


class Uses(NamedTuple):
    """For what a chunk is used, for each use: the box, and where in both its elements lie."""

    target: Numbers  # which
    chunk: Numbers
    begin: Numbers  # of shape (uses, axes): in the chunk
    place: Numbers  # and in the target
    size: Numbers

    def some(self, which: Any) -> Uses:
        """Take some of them."""
        return Uses(*(each[which] for each in self))


def are_boxes(jobs: Sequence[Job]) -> bool:
    """Whether each part is a box: all axes are ranges without steps."""
    for _, part in jobs:
        for axis in part.axes:
            if type(axis) is not range or axis.step != 1:
                return False
    return True


def patches(rows: Rows, jobs: Sequence[Job]) -> Iterator[Patches]:
    """Cut the reading of many boxes into tasks.

    Parameters
    ----------
    rows
        The block.
    jobs
        What is to be filled with which box.
    """
    uses = _uses(rows, [part for _, part in jobs])
    in_order = uses.some(np.argsort(uses.chunk, kind="stable"))
    return _cut(rows, in_order, [target for target, _ in jobs])


def _uses(rows: Rows, boxes: Sequence[Any]) -> Uses:
    """Find the chunks that each box lies in."""
    shape = np.array(rows.chunk_shape)
    low = np.array([[axis.start for axis in box.axes] for box in boxes])
    high = np.array([[axis.stop for axis in box.axes] for box in boxes])
    at = np.array([[place.start for place in box.target] for box in boxes])
    first = low // shape
    box, cell = _grid_points((high - 1) // shape - first + 1)
    cell += first[box]
    corner = cell * shape
    begin = np.maximum(low[box], corner)
    size = np.minimum(high[box], corner + shape) - begin
    return Uses(
        box, cell @ np.array(rows.strides), begin - corner, begin - low[box] + at[box], size
    )


def _grid_points(shapes: Numbers) -> tuple[Numbers, Numbers]:
    """List all points of several grids, one behind the other: of which grid each is, and where."""
    counts = shapes.prod(axis=1)
    grid = np.repeat(np.arange(len(shapes)), counts)
    number = _successive(counts)
    points = np.empty((len(grid), shapes.shape[1]), np.int64)
    for axis in reversed(range(shapes.shape[1])):
        number, points[:, axis] = np.divmod(number, shapes[grid, axis])
    return grid, points


def _successive(counts: Numbers) -> Numbers:
    """Count up from zero, as far as each of the counts.

    Examples
    --------
    >>> _successive(np.array([2, 3]))
    array([0, 1, 0, 1, 2])
    """
    ends = counts.cumsum()
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts)


def _cut(rows: Rows, uses: Uses, targets: Targets) -> Iterator[Patches]:
    """Cut uses, in the order of their chunks, between two chunks."""
    chunks = np.flatnonzero(np.diff(uses.chunk, prepend=-1))
    nbytes = int(uses.size[:, 0].sum()) * rows.nbytes
    most = min(max(_LEAST, nbytes // (2 * CORES)), _MOST)
    count = min(len(chunks), -(-nbytes // most))
    starts = [int(some[0]) for some in np.array_split(chunks, count)]
    for start, stop in zip(starts, [*starts[1:], len(uses.chunk)], strict=True):
        yield Patches(rows, uses.some(slice(start, stop)), targets)


class Patches:
    """Some uses, in the order of their chunks, and the rows that they need.

    Parameters
    ----------
    rows, uses, targets
        The block, for what its chunks are used, and what is filled.
    """

    is_locked = False

    def __init__(self, rows: Rows, uses: Uses, targets: Targets) -> None:
        self._rows, self._uses, self._targets = rows, uses, targets
        per_chunk, counts = rows.chunk_shape[0], uses.size[:, 0]
        first = uses.chunk * per_chunk + uses.begin[:, 0]
        wanted = np.sort(np.repeat(first, counts) + _successive(counts))
        # Not by np.unique, which imports numpy.ma.
        wanted = wanted[np.append(True, wanted[1:] != wanted[:-1])]
        self._first = np.searchsorted(wanted, first)
        self._stored = StoredRows(rows, wanted // per_chunk, wanted % per_chunk)
        self.n_chunks, self.nbytes = len(uses.chunk), self._stored.nbytes
        self.expect = self._stored.expect

    def read(self) -> None:
        self._where = self._stored.read()

    def do(self) -> None:
        memory = self._stored.scratch
        decoded = memory.of(self.nbytes)
        self._stored.decode(self._where, memory.address)
        shape = (len(self._where), *self._rows.chunk_shape[1:])
        data = np.ndarray(shape, self._rows.dtype, decoded)
        uses, begin = self._uses, self._uses.begin.copy()
        begin[:, 0] = self._first
        boxes = zip(
            uses.target.tolist(),
            _slices(uses.place, uses.size),
            _slices(begin, uses.size),
            strict=True,
        )
        for target, place, local in boxes:
            self._targets[target][place] = data[local]
        self._stored.give_back()


def _slices(begin: Numbers, size: Numbers) -> Iterator[tuple[slice, ...]]:
    """Make an index of each box."""
    axes = zip(begin.T.tolist(), (begin + size).T.tolist(), strict=True)
    return zip(*[map(slice, start, stop) for start, stop in axes], strict=True)
