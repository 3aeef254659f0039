"""The blocks that haversack writes: HDF5 files that any reader opens, with an index of their own.

A block is read by byte ranges taken from its tail; HDF5 only ever writes it.
"""

from __future__ import annotations

import io
import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError, UnsupportedError
from haversack.split.chunk import StoredChunk, check_chunk_shape, head_size
from haversack.split.chunking import blosc_block_size, chunk_shape_for
from haversack.split.codec import Coding, encode_in_blocks
from haversack.split.tail import CHUNK, BlockHead, Tail, encode_tail, read_tail
from haversack.storage.checksum import crc32c
from haversack.storage.damage import Damage
from haversack.storage.ranges import RangeFile

BLOSC_FILTER = 32001
_WORTH_TWO_READS = 32 << 10  # bytes of a chunk of which some blocks are read alone

Shape = tuple[int, ...]
Encoder = Callable[[Callable[[Shape], bytes], Iterable[Shape]], Iterable[bytes]]


class Block(Protocol):
    """What the reader needs of a block, whoever wrote it."""

    path: Path
    shape: Shape
    chunk_shape: Shape
    dtype: np.dtype[Any]

    @property
    def key(self) -> str:
        """Name of the array in the file."""
        ...

    def chunk(self, cell: Shape, rows: range) -> NDArray[Any]:
        """Decode some rows of a chunk, the others have no meaning; until this thread's next call.

        The array has the shape of the chunk.
        """
        ...

    def expect(self, cell: Shape, rows: range) -> None:
        """Have the disk bring what will soon be asked of :meth:`chunk`."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Which block of which array a file is: what its tail has to agree with."""

    array: str
    number: int
    dtype: np.dtype[Any] | None
    bounds: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> Shape:
        """Shape of the block."""
        return tuple(end - start for start, end in self.bounds)


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Refuse what is not a plain number.

    Raises
    ------
    UnsupportedError
        Objects, text, dates or records.
    """
    if dtype.kind not in "?biufc":
        raise UnsupportedError(
            f"arrays of dtype {dtype} cannot be split arrays: only booleans and numbers can"
        )


def cells(shape: Shape, chunk_shape: Shape) -> Iterator[Shape]:
    """Go over the chunk grid of a block in C order."""
    return np.ndindex(*(-(-n // c) for n, c in zip(shape, chunk_shape, strict=True)))


def encode_block(
    data: NDArray[Any],
    place: Place,
    coding: Coding,
    encode_all: Encoder = map,
) -> bytes:
    """Make the bytes of a block file.

    Parameters
    ----------
    data
        What the block holds, padding included.
    place
        Where it belongs.
    coding
        How its chunks are cut and compressed.
    encode_all
        A ``map`` that may run in threads.
    """
    chunk_shape = chunk_shape_for(data.shape, data.itemsize, coding.layout)
    size = blosc_block_size(chunk_shape, data.itemsize)

    def encode(cell: Shape) -> bytes:
        return encode_in_blocks(_cut(data, cell, chunk_shape), coding, size)

    file = io.BytesIO()
    grid = list(cells(data.shape, chunk_shape))
    sums: list[int] = []
    first: list[int] = []
    with h5py.File(file, "w") as hdf5:
        dataset = _create(hdf5, data, chunk_shape, coding)
        for cell, chunk in zip(grid, encode_all(encode, grid), strict=True):
            first.append(len(sums))
            sums.extend(StoredChunk(chunk).checksums())
            start = tuple(i * n for i, n in zip(cell, chunk_shape, strict=True))
            dataset.write_direct_chunk(start, chunk)
        stored = _stored_chunks(dataset)
    whole = file.getvalue()
    table = np.array(
        [(*stored[cell], at) for cell, at in zip(grid, first, strict=True)], dtype=CHUNK
    )
    head = BlockHead(
        array=place.array,
        generation=secrets.token_hex(16),
        block=place.number,
        dtype=data.dtype.str,
        shape=data.shape,
        chunk_shape=chunk_shape,
        hdf5_size=len(whole),
        hdf5_crc32c=crc32c(whole),
    )
    return whole + encode_tail(Tail(head, table, np.array(sums, np.uint32)))


def _cut(data: NDArray[Any], cell: Shape, chunk_shape: Shape) -> NDArray[Any]:
    """Copy out one chunk; HDF5 stores those at the edge in full, here filled with zeros."""
    places = tuple(slice(i * n, i * n + n) for i, n in zip(cell, chunk_shape, strict=True))
    part = data[places]
    if part.shape == chunk_shape:
        return np.ascontiguousarray(part)
    full = np.zeros(chunk_shape, data.dtype)
    full[tuple(map(slice, part.shape))] = part
    return full


def _create(hdf5: h5py.File, data: NDArray[Any], chunk_shape: Shape, coding: Coding) -> Any:
    """Create the dataset as PyTables would, under the old package's name."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunk_shape)
    nbytes = math.prod(chunk_shape) * data.itemsize
    options = (2, 2, data.itemsize, nbytes, coding.level, 2, coding.code)
    properties.set_filter(BLOSC_FILTER, h5py.h5z.FLAG_OPTIONAL, options)
    # PyTables' booleans are bit fields; h5py's would be an enumeration.
    boolean = data.dtype.kind == "b"
    kind = h5py.h5t.STD_B8LE if boolean else h5py.h5t.py_create(data.dtype, logical=True)
    name = f"stack_{data.ndim}D".encode()
    space = h5py.h5s.create_simple(data.shape)
    return h5py.h5d.create(hdf5.id, name, kind, space, properties)


def _stored_chunks(dataset: Any) -> dict[Shape, tuple[int, int]]:
    """Find where HDF5 put each chunk: cell -> (offset, size)."""
    found = {}
    chunk_shape = dataset.get_create_plist().get_chunk()

    def note(info: Any) -> None:
        cell = tuple(i // n for i, n in zip(info.chunk_offset, chunk_shape, strict=True))
        found[cell] = (info.byte_offset, info.size)

    dataset.chunk_iter(note)
    return found


class OwnBlock:
    """A block that haversack wrote, read by its tail.

    With ``at_least`` it may have more rows than its place: an array that grows was just extended.

    Raises
    ------
    PathNotFoundError
        There is no such file.
    IntegrityError, FormatError
        The block is damaged, or belongs elsewhere.
    """

    def __init__(self, path: Path, place: Place, *, at_least: bool = False) -> None:
        self.path, self._at_least = path, at_least
        self._file = RangeFile(path)
        self._tail = read_tail(self._file)
        self._file.expect_no_order()
        self._place = place
        self.head = self._tail.head
        self.shape, self.chunk_shape = self.head.shape, self.head.chunk_shape
        try:
            self.dtype = np.dtype(self.head.dtype)
            self._check_place()
            self._at = self._strides()
        except (TypeError, ZeroDivisionError) as error:
            raise FormatError(f"{path}: the tail's head makes no sense: {error}") from error

    @property
    def key(self) -> str:
        """Name of the array in the file."""
        return f"stack_{len(self.shape)}D"

    def _check_place(self) -> None:
        place, shape = self._place, self.head.shape
        if self._at_least and shape and place.shape[0] <= shape[0]:
            shape = (place.shape[0], *shape[1:])
        for name, there, here in (
            ("array", self.head.array, place.array),
            ("block number", self.head.block, place.number),
            ("shape", shape, place.shape),
            ("dtype", self.dtype, place.dtype or self.dtype),
        ):
            if there != here:
                raise FormatError(
                    f"{self.path} does not belong here: its {name} is {there}, not {here}"
                )

    def _strides(self) -> Shape:
        """How far apart, in the list of chunks, neighbours on each axis are."""
        check_dtype(self.dtype)
        if len(self.chunk_shape) != len(self.shape):
            raise FormatError(f"{self.path} claims chunks of shape {self.chunk_shape}")
        check_chunk_shape(self.chunk_shape, self.dtype, self.path)
        grid = tuple(-(-n // c) for n, c in zip(self.shape, self.chunk_shape, strict=True))
        if math.prod(grid) != len(self._tail.chunks):
            raise FormatError(
                f"{self.path}: the tail lists {len(self._tail.chunks)} chunks for a grid of {grid}"
            )
        return tuple(math.prod(grid[axis + 1 :]) for axis in range(len(grid)))

    def chunk(self, cell: Shape, rows: range) -> NDArray[Any]:
        try:
            return self._stored(cell, rows).decode(self.dtype, self.chunk_shape, rows)
        except FormatError as error:
            raise self._damaged(cell, error) from error

    def expect(self, cell: Shape, rows: range) -> None:
        offset, size = self._tail.extent(self._number(cell))
        if not self._is_worth_two_reads(size, rows):
            self._file.expect(offset, size)
            return
        # Where exactly the blocks of these rows lie, the chunk's head will say.
        each, slack = size / self.chunk_shape[0], size // 16
        start = max(0, int(rows.start * each) - slack)
        self._file.expect(offset, 1)
        self._file.expect(offset + start, min(size, int(rows.stop * each) + slack) - start)

    def whole(self) -> NDArray[Any]:
        """Read all of the block."""
        data = np.empty(self.shape, self.dtype)
        for cell in cells(self.shape, self.chunk_shape):
            start = tuple(i * n for i, n in zip(cell, self.chunk_shape, strict=True))
            ends = (s + n for s, n in zip(start, self.chunk_shape, strict=True))
            target = data[tuple(map(slice, start, ends))]
            target[...] = self.chunk(cell, range(len(target)))[tuple(map(slice, target.shape))]
        return data

    def _stored(self, cell: Shape, rows: range | None = None) -> StoredChunk:
        number = self._number(cell)
        offset, size = self._tail.extent(number)
        sums = self._tail.checksums_of(number)
        head = head_size(len(sums) - 1)
        is_inside = 0 <= offset <= self._file.size - size
        if not (is_inside and len(sums) > 2 and self._is_worth_two_reads(size, rows)):
            return StoredChunk(self._file.read(offset, size), sums)
        rest = (size, lambda start, count: self._file.read(offset + start, count))
        return StoredChunk(self._file.read(offset, min(head, size)), sums, rest)

    def _number(self, cell: Shape) -> int:
        return sum(map(mul, cell, self._at))

    def _is_worth_two_reads(self, size: int, rows: range | None) -> bool:
        """Whether to read a chunk's head first, and then only what holds these rows."""
        few = rows is not None and 2 * len(rows) <= self.chunk_shape[0]
        return few and size >= _WORTH_TWO_READS

    def _damaged(self, cell: Shape, error: FormatError) -> IntegrityError:
        """Say which elements an error is about."""
        return IntegrityError(
            f"{self.path}: the chunk that holds {self.span(cell)} is damaged: {error}"
        )

    def span(self, cell: Shape) -> str:
        """Write the elements of a chunk as an index into the array."""
        ends = (
            f"{start + i * size}:{min(start + i * size + size, end)}"
            for i, size, (start, end) in zip(
                cell, self.chunk_shape, self._place.bounds, strict=True
            )
        )
        return f"[{', '.join(ends)}]"

    def verify(self) -> Iterator[Damage]:
        """Compare every byte with the checksums."""
        whole = True
        for cell in cells(self.shape, self.chunk_shape):
            try:
                self._stored(cell).check()
            except FormatError as error:
                whole = False
                found = str(self._damaged(cell, error))
                yield Damage(self.path, f"chunk at {self.span(cell)}", found)
        if whole and crc32c(self._file.read(0, self.head.hdf5_size)) != self.head.hdf5_crc32c:
            what = "other HDF5 readers may fail: the bytes between the chunks changed"
            yield Damage(self.path, "HDF5 structure", what)
