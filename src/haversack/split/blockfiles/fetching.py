"""Read and decode some rows of several chunks at once.

Blosc blocks do not know each other, and a table says where each of them lies. So what was read of
several chunks, put behind a head of our own, is one Blosc buffer: one call decodes it, while other
threads go on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.split.chunks.blosc import Memory, Workspace, workspace
from haversack.split.chunks.chunk import HEADER, STORED, head_size
from haversack.storage.checksum import crc32cs
from haversack.storage.ranges import RangeFile

_GAP = 8 << 10  # bytes between two ranges that are read rather than skipped

Shape = tuple[int, ...]
Like = tuple[int, int, int, int, int]  # version, codec version, flags, itemsize, Blosc block size
Range = tuple[int, int, int]  # in the file, its begin and end; and how many spans lie in it


class Span(NamedTuple):
    """The neighbouring Blosc blocks of a chunk that hold some rows."""

    cell: Shape
    like: Like
    offset: int  # of the chunk, in the file
    pieces: list[tuple[int, int]]  # where each begins in the chunk, and its checksum
    end: int  # of the last one, in the chunk
    nbytes: int  # decoded
    skip: int  # decoded bytes before the rows
    rows: int

    @property
    def start(self) -> int:
        """Where the first begins in the file."""
        return self.offset + self.pieces[0][0]

    @property
    def stop(self) -> int:
        """Where the last ends in the file."""
        return self.offset + self.end

    @property
    def is_even(self) -> bool:
        """Whether its Blosc blocks are of one length, so that others may follow them."""
        return self.nbytes == len(self.pieces) * self.like[-1]


class OwnFetch:
    """A fetch of a block whose tail tells where its Blosc blocks lie.

    Parameters
    ----------
    file
        The block.
    spans
        What is read of each chunk.
    dtype, inner
        Of the block; and the shape of a row of a chunk.
    damaged
        Makes the error that names a chunk and what is wrong with it.
    """

    is_locked = False

    def __init__(
        self,
        file: RangeFile,
        spans: Sequence[Span],
        dtype: np.dtype[Any],
        inner: Shape,
        damaged: Callable[[Shape, str], Exception],
    ) -> None:
        self._file, self._damaged = file, damaged
        self._dtype, self._inner = dtype, inner
        self._runs = [(run, _ranges(run)) for run in _runs(spans)]

    def expect(self) -> None:
        for _, ranges in self._runs:
            for start, stop, _ in ranges:
                self._file.expect(start, stop - start)

    def read(self) -> None:
        """Leave it to who decodes."""

    def arrays(self) -> Iterator[NDArray[Any]]:
        with workspace() as space:
            for run, ranges in self._runs:
                give = self._stored if run[0].like[2] & STORED else self._decoded
                yield from give(run, ranges, space)

    def _stored(
        self, run: Sequence[Span], ranges: Sequence[Range], space: Workspace
    ) -> Iterator[NDArray[Any]]:
        for span, base in zip(run, self._read(run, ranges, 0, space.stored), strict=True):
            yield self._array(space.stored.data, base + span.pieces[0][0] + span.skip, span)

    def _decoded(
        self, run: Sequence[Span], ranges: Sequence[Range], space: Workspace
    ) -> Iterator[NDArray[Any]]:
        count = nbytes = 0
        for span in run:
            count += len(span.pieces)
            nbytes += span.nbytes
        bases = self._read(run, ranges, head_size(count), space.stored)
        starts = [base + at for span, base in zip(run, bases, strict=True) for at, _ in span.pieces]
        last = run[-1]
        size = bases[-1] + last.end
        *like, blocksize = last.like
        buffer = space.stored.data.data
        HEADER.pack_into(buffer, 0, *like, nbytes, min(blocksize, nbytes), size)
        struct.pack_into(f"<{count}I", buffer, HEADER.size, *starts)
        decoded = space.decoded.of(nbytes)
        try:
            space.decompress(size, nbytes, space.decoded.address)
        except FormatError as error:
            raise self._damaged(last.cell, str(error)) from error
        at = 0
        for span in run:
            yield self._array(decoded, at + span.skip, span)
            at += span.nbytes

    def _read(
        self, run: Sequence[Span], ranges: Sequence[Range], head: int, into: Memory
    ) -> list[int]:
        """Read what spans need behind a head, and check it; tell where each chunk would begin."""
        memory = into.of(head + sum([stop - start for start, stop, _ in ranges]))
        bases: list[int] = []
        at = head
        for start, stop, count in ranges:
            self._file.read_into(memory[at : at + stop - start], start)
            bases += [at - start + span.offset for span in run[len(bases) : len(bases) + count]]
            at += stop - start
        for span, base in zip(run, bases, strict=True):
            self._check(span, base, memory)
        return bases

    def _check(self, span: Span, base: int, memory: NDArray[np.uint8]) -> None:
        """Compare Blosc blocks with their checksums, before anything in them is interpreted."""
        starts = [base + at for at, _ in span.pieces]
        ends = [*starts[1:], base + span.end]
        stored = (memory[at:end] for at, end in zip(starts, ends, strict=True))
        if wrong := mismatch(span.offset, span.pieces, stored):
            raise self._damaged(span.cell, wrong)

    def _array(self, memory: NDArray[np.uint8], at: int, span: Span) -> NDArray[Any]:
        return np.ndarray((span.rows, *self._inner), self._dtype, memory, at)


def mismatch(offset: int, pieces: Iterable[tuple[int, int]], stored: Iterable[Any]) -> str | None:
    """Say which of a chunk's Blosc blocks, if any, does not match its checksum."""
    for (at, wanted), crc in zip(pieces, crc32cs(stored), strict=True):
        if crc != wanted:
            return f"the Blosc block at byte {offset + at} does not match its checksum"
    return None


def _runs(spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
    """Divide spans into those that are decoded in one call."""
    begin = 0
    for number in range(1, len(spans)):
        before, span = spans[number - 1], spans[number]
        if span.like != before.like or not (before.is_even and span.is_even):
            yield spans[begin:number]
            begin = number
    yield spans[begin:]


def _ranges(spans: Sequence[Span]) -> list[Range]:
    """Find what is read at once."""
    ranges: list[Range] = []
    for span in spans:
        start, stop, count = ranges[-1] if ranges else (0, -_GAP - 1, 0)
        if 0 <= span.start - stop <= _GAP:
            ranges[-1] = (start, span.stop, count + 1)
        else:
            ranges.append((span.start, span.stop, 1))
    return ranges
