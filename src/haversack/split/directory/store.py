"""The files of a split array: which block is where, and what of it goes into a result."""

from __future__ import annotations

import errno
import math
import os
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, HaversackError, NotFoundError, StorageError
from haversack.split.blockfiles.block import Block, Place, Shape
from haversack.split.blockfiles.foreign import ForeignBlock
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.split.blockfiles.tail import expect_tail, has_tail
from haversack.split.chunks.codec import Coding, coding_named
from haversack.split.directory.finding import block_files, prefix_of, prefixes_told
from haversack.split.directory.growing import Growth
from haversack.split.directory.journal import journal_name
from haversack.split.directory.metadata import METADATA, block_name
from haversack.split.directory.numbering import named_like, numbered
from haversack.split.directory.remains import repair_advice
from haversack.split.directory.uncounted import verify_count
from haversack.split.planning.grid import BlockGrid
from haversack.split.planning.indexing import Axis
from haversack.split.planning.layout import Job
from haversack.split.planning.plan import Part, count_cells, divide
from haversack.split.results.filling import OfBlocks, fill
from haversack.split.results.tasks import check_reach
from haversack.storage.damage import Damage
from haversack.storage.forklock import ForkLock
from haversack.storage.looking import as_path, exists, listed
from haversack.storage.ranges import RangeFile

_MOST_OPEN = 128  # blocks whose files stay open
_MANY = 1000  # blocks
MUCH = 64 << 20  # bytes
_FORESEEN = 8  # blocks of which the disk is told before they are opened
_TOO_MANY = (errno.EMFILE, errno.ENFILE)
_stores: WeakSet[BlockStore] = WeakSet()


class BlockStore(BlockGrid):
    """The blocks of an array on disk; each is opened when something of it is wanted."""

    def __init__(self, root: str | os.PathLike[str], prefix: str | None = None) -> None:
        self.root, self._prefix = as_path(root), prefix_of(prefix)
        self._growth = Growth(self.root, self._prefix)
        stack = self._stack = self._growth.stack
        self._lay_out(stack.shape, stack.shape_block, ((0, 0),) * len(stack.shape), stack.padding)
        self._dtype = stack.dtype
        self._grid: Shape | None = None
        self._grow()
        self._paths = None if stack.array else self._foreign_paths()
        self._open: OrderedDict[int, Block] = OrderedDict()
        self._files: dict[int, RangeFile] = {}  # of blocks that are to be opened
        self._opening = ForkLock()
        _stores.add(self)

    def _grow(self) -> None:
        """Take over how long the array is now."""
        self._stack = self._growth.stack
        if self._stack.growable:
            self._shape_block = self._stack.shape_block
            self._shape_full = (self._growth.rows, *self._stack.shape[1:])
            self._grid = None

    def _foreign_paths(self) -> dict[int, Path]:
        paths = block_files(self.root, self._prefix)
        if self._prefix and self.n_blocks and not paths:
            raise FormatError(
                f"{self.root} has no blocks of the prefix {self._prefix!r}: "
                f"{prefixes_told(self.root)}"
            )
        self._padding_ends = len(paths) != self.n_blocks and any(self.padding)
        self._grid = None
        if len(paths) == self.n_blocks:  # whatever they count from
            return dict(enumerate(paths))
        return numbered(self.root, paths, self.n_blocks, self._prefix)

    @property
    def shape_grid(self) -> Shape:
        """Number of blocks along each axis."""
        grid = self._grid
        if grid is None:
            grid = self._grid = super().shape_grid
        return grid

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

    def _block_files(self) -> Iterator[Path]:
        """Go over the block files that are there."""
        if self._paths is not None:
            yield from self._paths.values()
            return
        for path in listed(self.root):
            number = path.name.removeprefix(self._prefix).removesuffix(".h5")
            is_block = number.isdecimal() and int(number) < self.n_blocks
            if is_block and path == self._path(int(number)):
                yield path

    def _path(self, block: int) -> Path:
        if not self._paths:
            return self.root / (self._prefix + self._name(block))
        there = self._paths.get(block)
        return there or named_like(*next(iter(self._paths.items())), block)

    def is_missing(self, block: int) -> bool:
        """Whether a block has no file."""
        if self._paths is not None:
            return block not in self._paths
        return self._growth.block(block) is None and not exists(self._path(block))

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

    @property
    def made_of(self) -> Any:
        """What a level of a pyramid was made of; None of other arrays."""
        return self._stack.made_of

    def place_of(self, number: int) -> tuple[Place | None, Path]:
        """Where a block belongs and its file; no place while it is only in a journal."""
        place = Place(self._stack.array, number, self._dtype, self.bounds(number))
        return None if self._growth.block(number) else place, self._path(number)

    def verify_growth(self) -> Iterator[Damage]:
        """Say what is wrong with an array that grows, its blocks aside."""
        yield from self._growth.verify()
        if self._stack.growable:
            yield from verify_count(self.root)

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

    def _fill(self, jobs: list[Job]) -> None:
        """Fill several targets, decoding each chunk that they share once."""
        for _, part in jobs:
            self.look_at_ends(part.axes)
        fill(self._foreseen(self._of_blocks(jobs)), self._block)

    def look_at_ends(self, axes: Sequence[Axis], nbytes: int = 0) -> None:
        """Before much is planned for, or much memory is taken, see that the ends are there.

        Raises
        ------
        FormatError
            The first or the last one is missing, damaged or too small.
        """
        size = math.prod(map(len, axes))
        if not size or (nbytes < MUCH and (self.n_blocks <= _MANY or size <= _MANY)):
            return
        for end in (0, -1):
            corner = tuple(range(int(axis[end]), int(axis[end]) + 1) for axis in axes)
            place = (slice(0, 1),) * self.n_dims
            for cell, part in divide(Part(corner, place, None), self.shape_block, self.shape_grid):
                check_reach(self._block(self._number(cell)), part)
        if self._paths is not None and len(self._paths) < self.n_blocks:
            self._check_enough(axes, len(self._paths))

    def _check_enough(self, axes: Sequence[Axis], there: int) -> None:
        touched = math.prod(map(count_cells, axes, self.shape_block, self.shape_grid))
        if touched > there:
            missing = self._path(next(filter(self.is_missing, range(self.n_blocks))))
            raise FormatError(
                f"{missing} is missing, one of {self.n_blocks - there} blocks that are not there: "
                f"what is wanted lies in {touched} of {self.n_blocks}"
            )

    def _foreseen(self, of_blocks: OfBlocks) -> OfBlocks:
        """Have the disk bring the tails of blocks before these are opened."""
        waiting: deque[tuple[int, list[Job]]] = deque()
        for one in of_blocks:
            if waiting:
                self._foresee(one[0])
            waiting.append(one)
            if len(waiting) > _FORESEEN:
                yield waiting.popleft()
        yield from waiting

    def _foresee(self, number: int) -> None:
        if number in self._open or not self.is_ours or self._growth.block(number) is not None:
            return
        with suppress(HaversackError):  # it is told of when the block's turn comes
            file = self._files[number] = RangeFile(self._path(number))
            expect_tail(file)

    def _of_blocks(self, jobs: list[Job]) -> OfBlocks:
        """Say what is wanted of which block; of one job the blocks are found one by one."""
        if len(jobs) == 1:
            ((target, everything),) = jobs
            for cell, part in divide(everything, self.shape_block, self.shape_grid):
                yield self._number(cell), [(target, part)]
            return
        shared: dict[int, list[Job]] = {}
        for target, everything in jobs:
            for cell, part in divide(everything, self.shape_block, self.shape_grid):
                shared.setdefault(self._number(cell), []).append((target, part))
        yield from sorted(shared.items(), key=itemgetter(0))

    def _number(self, cell: Shape) -> int:
        number = 0
        for place, count in zip(cell, self.shape_grid, strict=True):
            number = number * count + place
        return number

    def _block(self, number: int) -> Block:
        if (growing := self._growth.block(number)) is not None:
            return growing
        with self._opening:
            block = self._open.pop(number, None) or self._open_with_room(number)
            self._open[number] = block
            if len(self._open) > _MOST_OPEN:
                with suppress(KeyError):  # another array has let go of all of them just now
                    self._open.popitem(last=False)
            return block

    def _open_with_room(self, number: int) -> Block:
        """Open a block; where too many files are open, let go of those that can be opened anew."""
        try:
            return self.open_block(number)
        except StorageError as error:
            if getattr(error.__cause__, "errno", None) not in _TOO_MANY:
                raise
        for store in list(_stores):
            store._let_go()  # noqa: SLF001
        return self.open_block(number)

    def _let_go(self) -> None:
        self._open.clear()
        self._files.clear()

    def open_block(self, number: int) -> OwnBlock | ForeignBlock:
        """Open a block's file.

        Raises
        ------
        FormatError
            It is missing, damaged, or belongs elsewhere.
        ConflictError
            Another array was put in the place of this one.
        """
        path = self._path(number)
        bounds = self.bounds(number)
        try:
            if self.is_ours:
                place = Place(self._stack.array, number, self._dtype, bounds)
                file = self._files.pop(number, None) or RangeFile(path)
                return OwnBlock(file, place, at_least=self._stack.growable)
            return self._open_foreign(path)
        except (FormatError, NotFoundError) as error:
            with suppress(FormatError, NotFoundError, StorageError):  # then the block's tells more
                self._growth.check_same()
            if isinstance(error, FormatError):
                raise
            held = ", ".join(f"{start}:{end}" for start, end in bounds)
            raise FormatError(
                f"{path} is missing: block {number} of {self.n_blocks}, which holds [{held}]"
            ) from error

    def _open_foreign(self, path: Path) -> ForeignBlock:
        if has_tail(RangeFile(path)):
            raise FormatError(
                f"{self.root / METADATA} is damaged: it does not say that haversack wrote {path}. "
                f"{repair_advice(self.root)}"
            )
        block = ForeignBlock(path)
        if len(block.shape) != self.n_dims or block.dtype != (self._dtype or block.dtype):
            raise FormatError(
                f"{path} does not belong here: {block.dtype} of shape {block.shape} in an array "
                f"{f'of {self._dtype} ' if self._dtype else ''}with {self.n_dims} axes"
            )
        return block
