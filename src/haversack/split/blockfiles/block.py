"""What a block is to those who read it, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from haversack.errors import UnsupportedError
from haversack.split.blockfiles.chunkrows import Rows

BLOSC_FILTER = 32001
MOST_AXES = 32  # that HDF5 can store

Shape = tuple[int, ...]
Wanted = tuple[Shape, range]


class Fetch(Protocol):
    """Some rows of each of some chunks of a block, that are to be read."""

    @property
    def is_locked(self) -> bool:
        """Whether reading takes a lock, so that other threads cannot help."""
        ...

    def expect(self) -> None:
        """Have the disk bring what will soon be read."""
        ...

    def read(self) -> None:
        """Read what can be read before it is decoded.

        The thread that plans does this: each call of the system gives the interpreter to another
        thread, and many threads that read in small pieces wait for it most of the time.
        """
        ...

    def arrays(self) -> Iterator[NDArray[Any]]:
        """Decode what was read, one after the other; each is good until the next is asked for.

        What is given has just the rows that are wanted, and the other axes of the chunk.
        """
        ...


class Block(Protocol):
    """What the reader needs of a block, whoever wrote it."""

    path: Path
    shape: Shape
    chunk_shape: Shape
    dtype: np.dtype[Any]

    @property
    def rows(self) -> Rows | None:
        """Where its rows lie, if each is one Blosc block."""
        ...

    @property
    def key(self) -> str:
        """Name of the array in the file."""
        ...

    def fetch(self, wanted: Sequence[Wanted]) -> Fetch:
        """Plan to read chunks: the cell of each, and which of its rows."""
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


def as_dtype(given: DTypeLike) -> np.dtype[Any]:
    """Take a dtype that a caller gave.

    Raises
    ------
    UnsupportedError
        numpy knows no such dtype.
    """
    try:
        return np.dtype(given)
    except (TypeError, ValueError) as error:
        raise UnsupportedError(f"{given!r} is no dtype: {error}") from error


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


def refuse_masked(given: Any) -> None:
    """Refuse a masked array, or a list of such, of which only the data would be written.

    Raises
    ------
    UnsupportedError
        It is one.
    """
    for each in given if isinstance(given, list | tuple) else [given]:
        if isinstance(getattr(each, "_meta", each), np.ma.MaskedArray):  # dask's say what they hold
            raise UnsupportedError(
                "a masked array would lose its mask: fill it first, data.filled(...), and save the "
                "mask as an array of its own"
            )


def as_array(given: ArrayLike) -> NDArray[Any]:
    """Take what is to be written as an array; raises as :func:`refuse_masked`."""
    refuse_masked(given)
    return np.asarray(given)


def cells(shape: Shape, chunk_shape: Shape) -> Iterator[Shape]:
    """Go over the chunk grid of a block in C order."""
    return np.ndindex(*(-(-n // c) for n, c in zip(shape, chunk_shape, strict=True)))


class ChunkByChunk:
    """A fetch of a block whose chunks are read and decoded whole."""

    def __init__(
        self,
        wanted: Sequence[Wanted],
        chunk: Callable[[Shape], NDArray[Any]],
        expect: Callable[[Shape], None] | None = None,
        *,
        is_locked: bool = False,
    ) -> None:
        self._wanted, self._chunk, self._expect = wanted, chunk, expect
        self.is_locked = is_locked

    def expect(self) -> None:
        for cell, _ in self._wanted:
            if self._expect is not None:
                self._expect(cell)

    def read(self) -> None:
        """Leave it to who decodes."""

    def arrays(self) -> Iterator[NDArray[Any]]:
        for cell, rows in self._wanted:
            yield self._chunk(cell)[rows.start : rows.stop]
