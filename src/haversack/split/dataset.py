"""A large array kept in many block files, read as numpy reads an array in memory."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import FormatError, NotFoundError
from haversack.split.about import About
from haversack.split.block import Block, OwnBlock, Place, Shape
from haversack.split.codec import Coding, coding_named
from haversack.split.foreign import ForeignBlock
from haversack.split.grid import BlockGrid
from haversack.split.growing import Growth
from haversack.split.indexers import window
from haversack.split.indexing import Selection
from haversack.split.journal import journal_name
from haversack.split.metadata import METADATA, UNFINISHED, block_files, block_name
from haversack.split.plan import Part, copy, divide, rows_of
from haversack.split.reading import DiskArray, finish, lay_out
from haversack.split.tail import has_tail
from haversack.split.threads import in_threads
from haversack.split.view import BlockViews, SplitView
from haversack.storage.damage import Damage
from haversack.storage.ranges import RangeFile

_MOST_OPEN = 128  # blocks whose files stay open
_SMALL = 1 << 20  # bytes of a result that one thread reads faster than many
_WORTH_A_THREAD = 256 << 10  # bytes of pieces that a thread gets at once
_FEWEST = 32  # chunks of many small reads that are worth a thread


def is_split(path: str | os.PathLike[str]) -> bool:
    """Whether a directory is, or is becoming, a split array.

    Examples
    --------
    >>> is_split(".")
    False
    """
    folder = Path(path)
    if not folder.is_dir():
        return False
    names = [entry.name for entry in folder.iterdir()]
    return any(
        name.endswith(METADATA) or name == UNFINISHED or re.fullmatch(r"[0-9]{3,}\.h5", name)
        for name in names
    )


class SplitDataset(DiskArray, BlockGrid):
    """Open a split array for reading; nothing is read before it is asked for.

    Parameters
    ----------
    root
        Directory of the blocks and their ``stack_metadata.json``, written by haversack, by the old
        split_dataset package, or by the acquisition programs that save in its format.
    prefix
        What the file names begin with, where the directory holds several arrays.

    Raises
    ------
    PathNotFoundError
        There is no such directory.
    FormatError
        It is not a split array, not yet finished, damaged, or of a newer format.

    Examples
    --------
    >>> from haversack.split import save_to_split_dataset
    >>> made = save_to_split_dataset(np.arange(24).reshape(4, 6), "small", block_size=(2, None))
    >>> ds = SplitDataset("small")
    >>> ds
    SplitDataset('small': (4, 6) int64, 2 blocks of (2, 6))
    >>> ds[-1, ::2]
    array([18, 20, 22])
    """

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

    def refresh(self) -> int:
        """Look for frames that were appended since, and for blocks that were replaced.

        Returns
        -------
        int
            How many frames came.
        """
        before = len(self)
        with self._opening:
            if self._stack.growable:
                self._growth.refresh()
                self._grow()
            self._open.clear()
        return len(self) - before

    def follow(self, *, timeout: float | None = None, pause: float = 0.005) -> Iterator[Any]:
        """Go over the frames that are appended from now on, each as soon as it is there.

        Parameters
        ----------
        timeout
            Seconds to wait for a frame before the iteration ends; None waits for ever.
        pause
            Seconds between looks.
        """
        seen, since = len(self), time.monotonic()
        while timeout is None or time.monotonic() - since < timeout:
            self.refresh()
            if seen == len(self):
                time.sleep(pause)
                continue
            yield from self[seen : (seen := len(self))]
            since = time.monotonic()

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
    def shape(self) -> Shape:
        """Length of each axis."""
        return self._shape_full

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
    def about(self) -> About:
        return self._stack.about

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

    @property
    def is_ours(self) -> bool:
        """Whether haversack wrote the array, so that it has checksums and can be written to."""
        return bool(self._stack.array)

    @property
    def coding(self) -> Coding:
        """How new blocks are cut into chunks and compressed."""
        return coding_named(self._stack.compression, self._stack.layout)

    def place_of(self, number: int) -> tuple[Place | None, Path]:
        """Where a block belongs and its file; no place while it is only in a journal."""
        place = Place(self._stack.array, number, self._dtype, self.bounds(number))
        return None if self._growth.block(number) else place, self._path(number)

    def is_in_journal(self, number: int) -> bool:
        """Whether a writer has the frames of a block in a journal at this moment."""
        slab = number // self._stack.pieces
        return self._stack.growable and (self.root / journal_name(slab)).exists()

    def _name(self, block: int) -> str:
        return block_name(block, self.n_blocks, growable=self._stack.growable)

    @property
    def blocks(self) -> BlockViews:
        """The blocks as views, by their place in the grid."""
        return BlockViews(self)

    def _window(self, index: Any) -> SplitView:
        return SplitView(self, window(index, tuple(map(range, self.shape))))

    def _rows_at(self, row: int) -> int:
        if not self.n_blocks:
            return 1
        number = min(row // self.shape_block[0], self.shape_grid[0] - 1)
        first = number * self.shape_block[0]
        rows = self._block(number * (self.n_blocks // self.shape_grid[0])).chunk_shape[0]
        return rows - (row - first) % rows

    def _read(self, selection: Selection, out: NDArray[Any] | None = None) -> Any:
        result, job = lay_out(selection, self.dtype, out)
        if job is not None:
            self._fill(*job)
        return finish(selection, result, out)

    def __setitem__(self, index: Any, value: Any) -> None:
        from haversack.split.regions import write_region

        write_region(self, index, value)

    def _fill(self, target: NDArray[Any], everything: Part) -> None:
        def fill(pieces: Iterable[_Piece]) -> None:
            for _, block, cell, part in pieces:
                copy(block.chunk(cell, rows_of(part)), part, target)

        found = self._pieces(everything)
        if target.nbytes < _SMALL:
            fill(found)
            return
        for _ in in_threads(fill, _by_size(found, target.itemsize)):
            pass

    def _read_all(self, selections: list[Selection]) -> list[Any]:
        laid = [lay_out(selection, self.dtype) for selection in selections]
        shared: dict[tuple[int, Shape], list[tuple[NDArray[Any], Part]]] = {}
        for target, everything in filter(None, (job for _, job in laid)):
            for number, _, cell, part in self._pieces(everything):
                shared.setdefault((number, cell), []).append((target, part))
        for _ in in_threads(self._fill_shared, _dealt(sorted(shared.items(), key=_first))):
            pass
        pairs = zip(selections, laid, strict=True)
        return [finish(selection, result, None) for selection, (result, _) in pairs]

    def _fill_shared(self, jobs: list[_Shared]) -> None:
        for (number, cell), wanted in jobs:
            rows = [rows_of(part) for _, part in wanted]
            span = range(min(r.start for r in rows), max(r.stop for r in rows))
            chunk = self._block(number).chunk(cell, span)
            for target, part in wanted:
                copy(chunk, part, target)

    def _pieces(self, everything: Part) -> Iterator[_Piece]:
        """Go over the chunks that hold something of a part: block, chunk, and what of it."""
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
        if len(block.shape) != self.ndim or block.dtype != (self._dtype or block.dtype):
            raise FormatError(
                f"{path} does not belong here: {block.dtype} of shape {block.shape} in an array "
                f"of {self._dtype} with {self.ndim} axes"
            )
        return block

    def __reduce__(self) -> tuple[Any, ...]:
        return SplitDataset, (self.root, self._prefix)

    def info(self) -> dict[str, Any]:
        """Describe the array in plain words, ready for JSON."""
        journals = [journal.path for journal in self._growth.journals.values()]
        stored = sum(path.stat().st_size for path in [*self.files.flat, *journals] if path.exists())
        return {
            "kind": "split array",
            "path": str(self.root),
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "block shape": list(self.shape_block),
            "blocks": self.n_blocks,
            "padding": list(self.padding),
            **_described(self.about),
            "bytes": self.nbytes,
            "bytes stored": stored,
            "checksums": self.is_ours,
        }

    def verify(self, progress: events.Progress = None) -> list[Damage]:
        """Read every block and say what is wrong.

        Parameters
        ----------
        progress
            True draws a bar; a callable is told of every event.
        """
        damages: list[Damage] = []
        with events.task(progress, "verify", total=self.n_blocks, unit="block") as work:
            for number in range(self.n_blocks):
                damages.extend(self._verify_block(number))
                work.advance()
            for journal in self._growth.journals.values():
                damages.extend(journal.verify())
        return damages

    def _verify_block(self, number: int) -> Iterator[Damage]:
        if self._growth.block(number) is not None:
            return
        try:
            block = self._open_block(number)
            if isinstance(block, OwnBlock):
                yield from block.verify()
            else:
                self[self.owned(number)]
        except (FormatError, OSError, TypeError) as error:
            yield Damage(self._path(number), f"block {number}", str(error))

    def owned(self, number: int) -> tuple[slice, ...]:
        """Where a block lies without its padding: each element is in one such region."""
        cell = self.linear_to_cartesian(number)
        geometry = zip(cell, self.bounds(number), self.shape_block, self.shape_grid, strict=True)
        return tuple(
            slice(start, end if place == count - 1 else min(end, start + size))
            for place, (start, end), size, count in geometry
        )

    @overload
    def map_blocks(
        self,
        function: Callable[[NDArray[Any]], Any],
        *,
        overlap: int | Sequence[int] = ...,
        to: None = ...,
        executor: Executor | None = ...,
        workers: int | None = ...,
        progress: events.Progress = ...,
        compression: str | None = ...,
    ) -> Iterator[tuple[tuple[slice, ...], Any]]: ...
    @overload
    def map_blocks(
        self,
        function: Callable[[NDArray[Any]], Any],
        *,
        overlap: int | Sequence[int] = ...,
        to: str | os.PathLike[str],
        executor: Executor | None = ...,
        workers: int | None = ...,
        progress: events.Progress = ...,
        compression: str | None = ...,
    ) -> SplitDataset: ...
    def map_blocks(
        self,
        function: Callable[[NDArray[Any]], Any],
        *,
        overlap: int | Sequence[int] = 0,
        to: str | os.PathLike[str] | None = None,
        executor: Executor | None = None,
        workers: int | None = None,
        progress: events.Progress = None,
        compression: str | None = "blosc",
    ) -> Any:
        """Apply a function to each block.

        Parameters
        ----------
        function
            Called with a block's data as an array.
        overlap
            How many elements around the block it gets besides: one number, or one for each axis.
            They are cut off a result of the shape of what it got. At the array's edges there are
            none.
        to
            Directory of a new split array of the same blocks that is made of the results.
        executor
            Where the function runs: threads or processes, here or on a cluster; it is only used.
        workers
            Number of threads, where no executor is given; also how many blocks are on their way.
        progress
            True draws a bar; a callable is told of every event.
        compression
            Of the new array.

        Returns
        -------
        SplitDataset or iterator
            The new array; without ``to`` an iterator of (region of the block, result), in order.

        Examples
        --------
        >>> from haversack.split import save_to_split_dataset
        >>> ds = save_to_split_dataset(np.arange(12.0).reshape(6, 2), "mapped", (2, None))
        >>> [float(result) for _, result in ds.map_blocks(np.sum)]
        [6.0, 22.0, 38.0]
        >>> ds.map_blocks(np.sqrt, to="roots")
        SplitDataset('roots': (6, 2) float64, 3 blocks of (2, 2))
        """
        from haversack.split.mapping import map_blocks, save_mapped

        results = map_blocks(self, function, overlap, executor, workers, progress)
        return results if to is None else save_mapped(self, results, to, compression)

    @property
    def array_id(self) -> str:
        """What tells this array from all others; empty where another program wrote it."""
        return self._stack.array

    @property
    def pyramid(self) -> list[SplitDataset]:
        """The array itself, then the copies that :meth:`build_pyramid` made of it as it is."""
        from haversack.split.pyramid import open_pyramid

        return open_pyramid(self)

    def build_pyramid(
        self,
        levels: int | None = None,
        axes: Sequence[int] = (-2, -1),
        *,
        progress: events.Progress = None,
    ) -> list[SplitDataset]:
        """Make smaller copies for viewing, each half as long along some axes, inside of the array.

        Parameters
        ----------
        levels
            How many; by default until the longest of these axes has at most 256 elements.
        axes
            The axes to halve.
        progress
            True draws a bar for each level; a callable is told of every event.

        Returns
        -------
        list of SplitDataset
            This array and its levels.

        Raises
        ------
        UnsupportedError
            Another program wrote the array.
        UsageError
            There are no such axes.
        """
        from haversack.split.pyramid import build_pyramid

        return build_pyramid(self, levels, axes, progress)

    def apply_crop(
        self, crop: Sequence[tuple[int, int]], *, progress: events.Progress = None
    ) -> SplitDataset:
        """Save a part as an array of its own, beside this one: ``{name}_cropped``.

        Parameters
        ----------
        crop
            For each axis, how many elements to leave out at its start and at its end.
        progress
            True draws a bar; a callable is told of every event.

        Raises
        ------
        ExistsError
            It is already there.
        """
        from haversack.split.writing import save_to_split_dataset

        new = self.root.resolve()
        name = new.with_name(f"{new.name}_cropped")
        return save_to_split_dataset(self, name, crop=crop, progress=progress)

    def __repr__(self) -> str:
        return (
            f"SplitDataset({str(self.root)!r}: {self.shape} {self.dtype}, "
            f"{self.n_blocks} blocks of {self.shape_block})"
        )


_Piece = tuple[int, Block, Shape, Part]
_Shared = tuple[tuple[int, Shape], list[tuple[NDArray[Any], Part]]]


def _by_size(pieces: Iterator[_Piece], itemsize: int) -> Iterator[list[_Piece]]:
    """Gather small pieces, so that each is worth handing to a thread."""
    batch: list[_Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += piece[3].size * itemsize
        if size >= _WORTH_A_THREAD:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _first(shared: _Shared) -> tuple[int, Shape]:
    return shared[0]


def _dealt(jobs: list[_Shared]) -> Iterator[list[_Shared]]:
    """Cut jobs into a few pieces for threads, in the order of the files."""
    size = max(_FEWEST, -(-len(jobs) // 8))
    return (jobs[start : start + size] for start in range(0, len(jobs), size))


def _described(about: About) -> dict[str, Any]:
    described = {
        "resolution": list(about.resolution),
        "axes": list(about.axes),
        "units": list(about.units),
        "frequency": about.frequency,
        "metadata": about.metadata,
    }
    return {key: value for key, value in described.items() if value}


def _check_reach(block: Block, wanted: Part) -> None:
    """Refuse to read beyond the end of a block that is smaller than it should be."""
    for axis, length in zip(wanted.axes, block.shape, strict=True):
        last = axis[-1] if isinstance(axis, range) else int(axis.max())
        if last >= length:
            raise FormatError(
                f"{block.path} has shape {block.shape}, too small for what its array has there: "
                "the recording may have been stopped early"
            )
