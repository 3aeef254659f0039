"""What is read of a block at once: some of its chunks, each read and decoded one time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from operator import itemgetter
from typing import Any, Protocol

from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.split.block import Block, Fetch, Shape, Wanted
from haversack.split.gathering import gather
from haversack.split.layout import Job
from haversack.split.plan import Cut, Part, copy, cut, divide, from_row, plain, rows_of

_FEW = 8  # chunks that are as soon read one by one
_WORTH_A_THREAD = 1 << 20  # bytes to decode that are handed to a thread at once

Array = NDArray[Any]
Copies = Callable[[Array], None]  # what is done with a chunk


class Task(Protocol):
    """What is read of a block at once."""

    @property
    def n_chunks(self) -> int:
        """Of how many chunks something is read."""
        ...

    @property
    def nbytes(self) -> int:
        """Decoded bytes."""
        ...

    @property
    def is_locked(self) -> bool:
        """Whether it takes a lock, so that other threads cannot help."""
        ...

    def expect(self) -> None:
        """Have the disk bring what will soon be read."""
        ...

    def do(self) -> None:
        """Read it, and fill its targets."""
        ...


def tasks(block: Block, jobs: list[Job]) -> Iterator[Task]:
    """Cut what is wanted of a block into tasks that are worth a thread's while.

    Raises
    ------
    FormatError
        The block is smaller than what is wanted of it.
    """
    for _, part in jobs:
        _check_reach(block, part)
    target, part = jobs[0]
    pieces = cut(part, block.chunk_shape) if len(jobs) == 1 else None
    if pieces is None:
        yield from _grouped(block, _shared(block, jobs))
    elif block.rows is not None and math.prod(map(len, pieces)) > _FEW:
        yield from gather(block.rows, pieces, target)
    else:
        yield from _grouped(block, _alone(pieces, target))


class _Chunks:
    """Some chunks of a block, and what is done with each."""

    def __init__(self, fetch: Fetch, copies: Sequence[Copies], nbytes: int) -> None:
        self._fetch, self._copies, self.nbytes = fetch, copies, nbytes
        self.n_chunks = len(copies)
        self.is_locked, self.expect = fetch.is_locked, fetch.expect

    def do(self) -> None:
        for data, copy_from in zip(self._fetch.arrays(), self._copies, strict=True):
            copy_from(data)


def _grouped(block: Block, chunks: Iterator[tuple[Wanted, Copies]]) -> Iterator[_Chunks]:
    """Put chunks together until they are worth a thread's while."""
    inner = math.prod(block.chunk_shape[1:]) * block.dtype.itemsize
    wanted: list[Wanted] = []
    copies: list[Copies] = []
    nbytes = 0
    for one, copies_of in chunks:
        wanted.append(one)
        copies.append(copies_of)
        nbytes += len(one[1]) * inner
        if nbytes >= _WORTH_A_THREAD:
            yield _Chunks(block.fetch(wanted), copies, nbytes)
            wanted, copies, nbytes = [], [], 0
    if wanted:
        yield _Chunks(block.fetch(wanted), copies, nbytes)


def _alone(pieces: Sequence[Sequence[Cut]], target: Array) -> Iterator[tuple[Wanted, Copies]]:
    """Find the chunks of a part whose axes are all ranges."""
    for tile in product(*pieces):
        cell, axes, places = zip(*tile, strict=True)
        rows, *inner = axes
        index = (slice(None, None, rows.step), *map(plain, inner))

        def copies(data: Array, places: Any = places, index: Any = index) -> None:
            target[places] = data[index]

        yield (cell, range(rows.start, rows.stop)), copies


def _shared(block: Block, jobs: list[Job]) -> Iterator[tuple[Wanted, Copies]]:
    """Find the chunks of several parts, each chunk once."""
    chunks: dict[Shape, list[Job]] = {}
    for target, wanted in jobs:
        for cell, part in divide(wanted, block.chunk_shape):
            chunks.setdefault(cell, []).append((target, part))
    for cell, of_chunk in sorted(chunks.items(), key=itemgetter(0)):
        rows = _rows(of_chunk)
        of_rows = [(target, from_row(part, rows.start)) for target, part in of_chunk]

        def copies(data: Array, of_rows: list[Job] = of_rows) -> None:
            for target, part in of_rows:
                copy(data, part, target)

        yield (cell, rows), copies


def _rows(jobs: list[Job]) -> range:
    """Find the rows of a chunk between which all that is wanted of it lies."""
    if len(jobs) == 1:
        return rows_of(jobs[0][1])
    each = [rows_of(part) for _, part in jobs]
    return range(min(rows.start for rows in each), max(rows.stop for rows in each))


def _check_reach(block: Block, wanted: Part) -> None:
    """Refuse to read beyond the end of a block that is smaller than it should be."""
    for axis, length in zip(wanted.axes, block.shape, strict=True):
        if type(axis) is range and axis.stop <= length:
            continue
        last = axis[-1] if isinstance(axis, range) else int(axis.max())
        if last >= length:
            raise FormatError(
                f"{block.path} has shape {block.shape}, too small for what its array has there: "
                "the recording may have been stopped early"
            )
