"""The files of a split array: which block is where, and what of it goes into a result."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, NotFoundError
from haversack.split.block import Block, OwnBlock, Place, Shape
from haversack.split.codec import Coding, coding_named
from haversack.split.foreign import ForeignBlock
from haversack.split.grid import BlockGrid
from haversack.split.growing import Growth
from haversack.split.journal import journal_name
from haversack.split.layout import Job
from haversack.split.metadata import METADATA, block_files, block_name
from haversack.split.plan import Part, copy, divide, rows_of
from haversack.split.tail import has_tail
from haversack.split.threads import in_threads
from haversack.storage.looking import exists
from haversack.storage.ranges import RangeFile

_MOST_OPEN = 128  # blocks whose files stay open
_SMALL = 64 << 10  # bytes decoded of a chunk, below which threads mostly wait for each other
_WORTH_A_THREAD = 256 << 10  # bytes to decode that are handed to a thread at once
_EXPECTED = 64  # chunks that the disk is told of before they are read

_Piece = tuple[int, Block, Shape, Part]
_Doing = Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]


class _Shared(NamedTuple):
    """A chunk, and all that is wanted of it."""

    block: Block
    cell: Shape
    wanted: list[Job]

    @property
    def rows(self) -> range:
        """The rows between which all of it lies."""
        rows = [rows_of(part) for _, part in self.wanted]
        return range(min(r.start for r in rows), max(r.stop for r in rows))


class BlockStore(BlockGrid):
    """The blocks of an array on disk; each is opened when something of it is wanted."""

    def __init__(self, root: str | os.PathLike[str], prefix: str | None = None) -> None:
        self.root = Path(root)
        self._prefix = prefix or ""
        self._growth = Growth(self.root, self._prefix)
        stack = self._stack = self._growth.stack
        self._lay_out(stack.shape, stack.shape_block, ((0, 0),) * len(stack.shape), stack.padding)
        self._dtype = stack.dtype
        self._grid: Shape | None = None
        self._grow()
        self._paths = None if stack.array else self._foreign_paths()
        self._open: OrderedDict[int, Block] = OrderedDict()
        self._opening = threading.Lock()

    def _grow(self) -> None:
        """Take over how long the array is now."""
        self._stack = self._growth.stack
        if self._stack.growable:
            self._shape_block = self._stack.shape_block
            self._shape_full = (self._growth.rows, *self._stack.shape[1:])
            self._grid = None

    def _foreign_paths(self) -> dict[int, Path]:
        found = block_files(self.root, self._prefix)
        numbers = sorted(found)
        self._padding_ends = len(numbers) != self.n_blocks and any(self.padding)
        self._grid = None
        if len(numbers) == self.n_blocks:  # whatever they count from
            return {block: found[number] for block, number in enumerate(numbers)}
        if not numbers or numbers[-1] < self.n_blocks:
            return found
        raise FormatError(
            f"{self.root} holds {len(numbers)} blocks where its metadata describes "
            f"{self.n_blocks}: {found[numbers[-1]].name} does not belong"
        )

    @property
    def shape_grid(self) -> Shape:
        """Number of blocks along each axis."""
        if self._grid is None:
            self._grid = super().shape_grid
        return self._grid

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of an element."""
        if self._dtype is None:
            blocks = sorted(self._paths or ())
            if not blocks:
                raise FormatError(f"{self.root} has no blocks, so its dtype is not known")
            self._dtype = self._block(blocks[0]).dtype
        return self._dtype

    @property
    def files(self) -> NDArray[Any]:
        """The block files: Paths in the shape of the grid."""
        paths = np.empty(self.n_blocks, object)
        for block in range(self.n_blocks):
            paths[block] = self._path(block)
        return paths.reshape(self.shape_grid)

    def _path(self, block: int) -> Path:
        name = self.root / (self._prefix + self._name(block))
        return name if self._paths is None else self._paths.get(block, name)

    def _name(self, block: int) -> str:
        return block_name(block, self.n_blocks, growable=self._stack.growable)

    @property
    def is_ours(self) -> bool:
        """Whether haversack wrote the array, so that it has checksums and can be written to."""
        return bool(self._stack.array)

    @property
    def coding(self) -> Coding:
        """How new blocks are cut into chunks and compressed."""
        return coding_named(self._stack.compression, self._stack.layout)

    @property
    def array_id(self) -> str:
        """What tells this array from all others; empty where another program wrote it."""
        return self._stack.array

    def place_of(self, number: int) -> tuple[Place | None, Path]:
        """Where a block belongs and its file; no place while it is only in a journal."""
        place = Place(self._stack.array, number, self._dtype, self.bounds(number))
        return None if self._growth.block(number) else place, self._path(number)

    def is_in_journal(self, number: int) -> bool:
        """Whether a writer has the frames of a block in a journal at this moment."""
        slab = number // self._stack.pieces
        return self._stack.growable and exists(self.root / journal_name(slab))

    def owned(self, number: int) -> tuple[slice, ...]:
        """Where a block lies without its padding: each element is in one such region."""
        cell = self.linear_to_cartesian(number)
        geometry = zip(cell, self.bounds(number), self.shape_block, self.shape_grid, strict=True)
        return tuple(
            slice(start, end if place == count - 1 else min(end, start + size))
            for place, (start, end), size, count in geometry
        )

    def _fill(self, target: NDArray[Any], everything: Part) -> None:
        def fill(pieces: Iterable[_Piece]) -> None:
            for _, block, cell, part in pieces:
                copy(block.chunk(cell, rows_of(part)), part, target)

        pieces = self._pieces(everything)
        first = next(pieces)
        each = _decoded(first[1], rows_of(everything), target.itemsize)
        batches = _by_work(chain([first], pieces), target.itemsize)
        for _ in _doing(each)(fill, batches):
            pass

    def _fill_all(self, jobs: Iterable[Job]) -> None:
        """Fill several targets, decoding each chunk that they share once."""
        shared: dict[tuple[int, Shape], _Shared] = {}
        for target, everything in jobs:
            for number, block, cell, part in self._pieces(everything):
                wanted = shared.setdefault((number, cell), _Shared(block, cell, [])).wanted
                wanted.append((target, part))
        chunks = [shared[place] for place in sorted(shared)]
        if chunks:
            work = sum(_decoded(chunk.block, chunk.rows, self.dtype.itemsize) for chunk in chunks)
            for _ in _doing(work // len(chunks))(_fill_shared, chunks):
                pass

    def _pieces(self, everything: Part) -> Iterator[_Piece]:
        """Go over the chunks that hold something of a part; their disk is told of them before."""
        waiting: deque[_Piece] = deque()
        for piece in self._planned(everything):
            _, block, cell, part = piece
            block.expect(cell, rows_of(part))
            waiting.append(piece)
            if len(waiting) > _EXPECTED:
                yield waiting.popleft()
        yield from waiting

    def _planned(self, everything: Part) -> Iterator[_Piece]:
        """Find the chunks: number of the block, the block, chunk, and what of it."""
        for cell, wanted in divide(everything, self.shape_block, self.shape_grid):
            number = self._number(cell)
            block = self._block(number)
            _check_reach(block, wanted)
            for inner, part in divide(wanted, block.chunk_shape):
                yield number, block, inner, part

    def _number(self, cell: Shape) -> int:
        number = 0
        for place, count in zip(cell, self.shape_grid, strict=True):
            number = number * count + place
        return number

    def _block(self, number: int) -> Block:
        if (growing := self._growth.block(number)) is not None:
            return growing
        with self._opening:
            block = self._open.pop(number, None) or self._open_block(number)
            self._open[number] = block
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
            return block

    def _open_block(self, number: int) -> Block:
        path = self._path(number)
        bounds = self.bounds(number)
        try:
            if self.is_ours:
                place = Place(self._stack.array, number, self._dtype, bounds)
                return OwnBlock(path, place, at_least=self._stack.growable)
            return self._open_foreign(path)
        except NotFoundError as error:
            held = ", ".join(f"{start}:{end}" for start, end in bounds)
            raise FormatError(
                f"{path} is missing: block {number} of {self.n_blocks}, which holds [{held}]"
            ) from error

    def _open_foreign(self, path: Path) -> Block:
        if has_tail(RangeFile(path)):
            raise FormatError(
                f"{self.root / METADATA} is damaged: it does not say that haversack wrote {path}"
            )
        block = ForeignBlock(path)
        if len(block.shape) != self.n_dims or block.dtype != (self._dtype or block.dtype):
            raise FormatError(
                f"{path} does not belong here: {block.dtype} of shape {block.shape} in an array "
                f"of {self._dtype} with {self.n_dims} axes"
            )
        return block


def _fill_shared(chunk: _Shared) -> None:
    data = chunk.block.chunk(chunk.cell, chunk.rows)
    for target, part in chunk.wanted:
        copy(data, part, target)


def _decoded(block: Block, rows: range, itemsize: int) -> int:
    """Count the bytes that are decoded of a chunk for some rows of the array."""
    return min(len(rows), block.chunk_shape[0]) * math.prod(block.chunk_shape[1:]) * itemsize


def _doing(each: int) -> _Doing:
    """Choose how chunks are done of which so many bytes are decoded."""
    return map if each < _SMALL else in_threads


def _by_work(pieces: Iterable[_Piece], itemsize: int) -> Iterator[list[_Piece]]:
    """Gather pieces of which little is to be decoded until they are worth handing to a thread."""
    batch: list[_Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        _, block, _, part = piece
        size += _decoded(block, rows_of(part), itemsize)
        if size >= _WORTH_A_THREAD:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _check_reach(block: Block, wanted: Part) -> None:
    """Refuse to read beyond the end of a block that is smaller than it should be."""
    for axis, length in zip(wanted.axes, block.shape, strict=True):
        last = axis[-1] if isinstance(axis, range) else int(axis.max())
        if last >= length:
            raise FormatError(
                f"{block.path} has shape {block.shape}, too small for what its array has there: "
                "the recording may have been stopped early"
            )
