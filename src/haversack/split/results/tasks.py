"""What is read of a block at once: some of its chunks, each read and decoded one time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from operator import itemgetter
from typing import Any, Protocol

from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.split.blockfiles.block import Block, Fetch, Shape, Wanted
from haversack.split.blockfiles.chunkrows import Rows
from haversack.split.planning.layout import Job
from haversack.split.planning.plan import Cut, Part, copy, cut, divide, from_row, plain, rows_of
from haversack.split.results.gathering import Gathering
from haversack.split.results.patches import are_boxes, patches
from haversack.split.results.scattering import Scattering
from haversack.split.results.tiles import is_regular, share_out

_MANY = 8  # parts that are sooner planned for at once
_WORTH_A_THREAD = 1 << 20  # bytes to decode that are handed to a thread at once

Array = NDArray[Any]
Copy = Callable[[Array], None]  # what is done with the rows of a chunk that are read
_Use = tuple[Shape, range, Copy]  # the cell of a chunk, the rows that are read, and for what


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

    def read(self) -> None:
        """Read what can be read before it is decoded."""
        ...

    def do(self) -> None:
        """Decode it, and fill its targets."""
        ...


def tasks(block: Block, jobs: list[Job]) -> Iterator[Task]:
    """Cut what is wanted of a block into tasks that are worth a thread's while.

    Raises
    ------
    FormatError
        The block is smaller than what is wanted of it.
    """
    for _, part in jobs:
        check_reach(block, part)
    if block.rows is not None and len(jobs) >= _MANY and are_boxes(jobs):
        yield from patches(block.rows, jobs)
        return
    target, part = jobs[0]
    pieces = cut(part, block.chunk_shape) if len(jobs) == 1 else None
    if pieces is None:
        yield from _grouped(block, _shared(block, jobs))
    elif block.rows is not None and is_regular(block.rows, pieces, target):
        yield from _by_tiles(block.rows, pieces, target)
    else:
        yield from _grouped(block, _by_ranges(pieces, target))


def _by_tiles(
    rows: Rows, pieces: Sequence[Sequence[Cut]], target: Array
) -> Iterator[Gathering | Scattering]:
    kind = Scattering if rows.is_stored else Gathering
    for share in share_out(rows, pieces, target):
        yield kind(rows, share, target)


class _Chunks:
    """Some chunks of a block, and what is done with each."""

    def __init__(self, fetch: Fetch, copies: Sequence[Copy], nbytes: int) -> None:
        self._fetch, self._copies, self.nbytes = fetch, copies, nbytes
        self.n_chunks = len(copies)
        self.is_locked, self.expect, self.read = fetch.is_locked, fetch.expect, fetch.read

    def do(self) -> None:
        for data, copy_from in zip(self._fetch.arrays(), self._copies, strict=True):
            copy_from(data)


def _grouped(block: Block, uses: Iterator[_Use]) -> Iterator[_Chunks]:
    """Put chunks together until they are worth a thread's while."""
    inner = math.prod(block.chunk_shape[1:]) * block.dtype.itemsize
    wanted: list[Wanted] = []
    copies: list[Copy] = []
    nbytes = 0
    for cell, rows, copy_from in uses:
        wanted.append((cell, rows))
        copies.append(copy_from)
        nbytes += len(rows) * inner
        if nbytes >= _WORTH_A_THREAD:
            yield _Chunks(block.fetch(wanted), copies, nbytes)
            wanted, copies, nbytes = [], [], 0
    if wanted:
        yield _Chunks(block.fetch(wanted), copies, nbytes)


def _shared(block: Block, jobs: list[Job]) -> Iterator[_Use]:
    """Find the chunks of several parts, each chunk once."""
    chunks: dict[Shape, list[_Use]] = {}
    for target, part in jobs:
        pieces = cut(part, block.chunk_shape)
        uses = _by_points(block, part, target) if pieces is None else _by_ranges(pieces, target)
        for use in uses:
            chunks.setdefault(use[0], []).append(use)
    for _, each in sorted(chunks.items(), key=itemgetter(0)):
        yield each[0] if len(each) == 1 else _joined(each)


def _joined(uses: list[_Use]) -> _Use:
    """Use a chunk several times, reading the rows between which all lies that is wanted of it."""
    rows = range(min(rows.start for _, rows, _ in uses), max(rows.stop for _, rows, _ in uses))

    def copy_all(data: Array) -> None:
        for _, some, copy_from in uses:
            copy_from(data[some.start - rows.start : some.stop - rows.start])

    return uses[0][0], rows, copy_all


def _by_ranges(pieces: Sequence[Sequence[Cut]], target: Array) -> Iterator[_Use]:
    """Find the chunks of a part whose axes are all ranges."""
    for tile in product(*pieces):
        cell, (rows, *inner), places = zip(*tile, strict=True)
        index = (slice(None, None, rows.step), *map(plain, inner))
        yield cell, range(rows.start, rows.stop), partial(_copy, target, places, index)


def _copy(target: Array, places: Any, index: Any, data: Array) -> None:
    target[places] = data[index]


def _by_points(block: Block, wanted: Part, target: Array) -> Iterator[_Use]:
    """Find the chunks of any part."""
    for cell, part in divide(wanted, block.chunk_shape):
        rows = rows_of(part)
        yield cell, rows, partial(copy, part=from_row(part, rows.start), target=target)


def check_reach(block: Block, wanted: Part) -> None:
    """Refuse to read beyond the end of a block that is smaller than it should be.

    Raises
    ------
    FormatError
        The block ends before what is wanted of it.
    """
    for axis, length in zip(wanted.axes, block.shape, strict=True):
        if type(axis) is range and axis.stop <= length:
            continue
        last = axis[-1] if isinstance(axis, range) else int(axis.max())
        if last >= length:
            raise FormatError(
                f"{block.path} has shape {block.shape}, too small for what its array has there: "
                "the recording may have been stopped early"
            )
