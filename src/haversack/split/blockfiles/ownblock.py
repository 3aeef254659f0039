"""The blocks that haversack writes, read by byte ranges taken from their tails."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.split.blockfiles.block import Fetch, Place, Shape, Wanted, cells, check_dtype
from haversack.split.blockfiles.chunkrows import Rows
from haversack.split.blockfiles.fetching import OwnFetch, Span, mismatch
from haversack.split.blockfiles.rowsfetch import RowsFetch
from haversack.split.blockfiles.tail import read_tail
from haversack.split.chunks.chunk import StoredChunk, check_chunk_shape
from haversack.storage.checksum import crc32c
from haversack.storage.damage import Damage
from haversack.storage.ranges import RangeFile


@dataclass(frozen=True, slots=True)
class _Chunks:
    """The chunks of a block, as an error names them; it does not keep the block's file open."""

    path: Path
    shape: Shape
    place: Place

    def span(self, cell: Shape) -> str:
        """Write the elements of a chunk as an index into the array."""
        ends = (
            f"{start + i * size}:{min(start + i * size + size, end)}"
            for i, size, (start, end) in zip(cell, self.shape, self.place.bounds, strict=True)
        )
        return f"[{', '.join(ends)}]"

    def damaged(self, cell: Shape, error: str) -> IntegrityError:
        """Say which elements an error is about."""
        return IntegrityError(
            f"{self.path}: the chunk that holds {self.span(cell)} is damaged: {error}"
        )


class OwnBlock:
    """A block that haversack wrote, read by its tail.

    With ``at_least`` it may have more rows than its place: an array that grows was just extended.

    Raises
    ------
    IntegrityError, FormatError
        The block is damaged, or belongs elsewhere.
    """

    def __init__(self, file: RangeFile, place: Place, *, at_least: bool = False) -> None:
        self.path, self._at_least = file.path, at_least
        self._file = file
        self._tail = read_tail(self._file)
        self._file.expect_no_order()
        self._place = place
        self.head = self._tail.head
        self.shape, self.chunk_shape = self.head.shape, self.head.chunk_shape
        self._chunks = _Chunks(self.path, self.chunk_shape, place)
        try:
            self.dtype = np.dtype(self.head.dtype)
            self._check_place()
            self._at = self._strides()
        except (TypeError, ZeroDivisionError) as error:
            raise FormatError(f"{self.path}: the tail's head makes no sense: {error}") from error
        self.rows = Rows.of(file, self._tail, self._ways, self._chunks.damaged)

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
        nbytes = math.prod(self.chunk_shape) * self.dtype.itemsize
        self._ways = self._tail.check(nbytes, self._file)
        return tuple(math.prod(grid[axis + 1 :]) for axis in range(len(grid)))

    def fetch(self, wanted: Sequence[Wanted]) -> Fetch:
        if self.rows is not None:
            return RowsFetch(self.rows, wanted)
        spans = [self._span(cell, rows) for cell, rows in wanted]
        return OwnFetch(self._file, spans, self.dtype, self.chunk_shape[1:], self._chunks.damaged)

    def _span(self, cell: Shape, rows: range) -> Span:
        """Find the Blosc blocks that hold some rows of a chunk."""
        number = sum(map(mul, cell, self._at))
        *like, nbytes, blocksize, size, offset, first = self._tail.chunks[number].item()
        count = -(-nbytes // blocksize)
        row = nbytes // self.chunk_shape[0]
        low, high = rows.start * row // blocksize, -(-rows.stop * row // blocksize)
        if high == count and nbytes % blocksize:
            # A last Blosc block that is shorter cannot stand alone: it is coded differently.
            low = min(low, max(0, count - 2))
        pieces = self._tail.pieces[first + low : first + high].tolist()
        end = size
        if high < count:
            end = int(self._tail.pieces["start"][first + high])
        return Span(
            cell,
            (*like, blocksize),
            offset,
            pieces,
            end,
            min(nbytes, high * blocksize) - low * blocksize,
            rows.start * row - low * blocksize,
            len(rows),
        )

    def whole(self) -> NDArray[Any]:
        """Read all of the block."""
        data = np.empty(self.shape, self.dtype)
        rows = range(self.chunk_shape[0])
        for cell in cells(self.shape, self.chunk_shape):
            start = tuple(i * n for i, n in zip(cell, self.chunk_shape, strict=True))
            ends = (s + n for s, n in zip(start, self.chunk_shape, strict=True))
            target = data[tuple(map(slice, start, ends))]
            fetch = self.fetch([(cell, rows)])
            fetch.read()
            for chunk in fetch.arrays():
                target[...] = chunk[tuple(map(slice, target.shape))]
        return data

    def verify(self) -> Iterator[Damage]:
        """Compare every byte with the checksums."""
        whole = True
        for number, cell in enumerate(cells(self.shape, self.chunk_shape)):
            found = self._wrong(number)
            if found is not None:
                whole = False
                damaged = str(self._chunks.damaged(cell, found))
                yield Damage(self.path, f"chunk at {self._chunks.span(cell)}", damaged)
        if whole and crc32c(self._file.read(0, self.head.hdf5_size)) != self.head.hdf5_crc32c:
            what = "other HDF5 readers may fail: the bytes between the chunks changed"
            yield Damage(self.path, "HDF5 structure", what)

    def _wrong(self, number: int) -> str | None:
        """Compare a chunk with what the tail has of it; say what is wrong."""
        *header, offset, _ = self._tail.chunks[number].item()
        pieces = self._tail.pieces_of(number).tolist()
        starts = [start for start, _ in pieces]
        try:
            data = self._file.read(offset, header[-1])
            stored = StoredChunk(data)
        except FormatError as error:
            return str(error)
        if [*stored.header] != header or [*stored.starts] != starts:
            return "its head is not what it was"
        return mismatch(offset, pieces, stored.pieces())
