"""Neighbouring chunks read as one: the parts that a dataset's positions run through.

Chunks whose records are all of one dtype and shape are mapped into one range of addresses, each at
a multiple of the record's size, so that a batch is one ``take`` whatever the number of chunks.
Every other chunk is a part of its own.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed.chunk import Array, Chunk
from haversack.packed.kinds import Kind, make_kind
from haversack.packed.layout import PAYLOADS
from haversack.packed.manifest import ChunkEntry, missing
from haversack.storage.maps import ADJACENT, PAGE, Reservation, rounded
from haversack.storage.publish import storage_error

_LARGEST_STEP = 1 << 36
_LARGEST_RANGE = 1 << 46
Positions = NDArray[np.int64]


class Part(Protocol):
    """Some neighbouring chunks; positions count from the part's first record."""

    entries: Sequence[ChunkEntry]
    starts: list[int]
    rows: int

    def chunk(self, number: int) -> Chunk: ...

    def read(self, position: int) -> Array: ...

    def peek(self, position: int) -> Array | None: ...

    def file(self, position: int) -> Array | None: ...

    def kind(self, positions: Positions) -> Kind | None: ...

    def take_into(self, positions: Positions, out: Array) -> None: ...


def make_parts(root: Path, entries: Sequence[ChunkEntry]) -> Iterator[Part]:
    """Cut the chunks of a version into parts."""
    for alike, group in groupby(entries, _alike):
        if alike is None:
            yield from (Mixed(root, entry) for entry in group)
            continue
        first, *others = group
        kind = make_kind(first.dtype, first.shape)
        if math.lcm(PAGE, kind.nbytes) > _LARGEST_STEP or not ADJACENT:
            yield from (Uniform(root, [entry], kind) for entry in (first, *others))
        else:
            yield Uniform(root, [first, *others], kind)


def _alike(entry: ChunkEntry) -> tuple[str, list[int]] | None:
    return None if entry.shape is None else (repr(entry.dtype), entry.shape)


def chunk_path(root: Path, chunk_id: str) -> Path:
    """Name the file of a chunk."""
    return root / "chunks" / f"{chunk_id}.chunk"


def open_chunk(root: Path, entry: ChunkEntry, place: Reservation, offset: int = 0) -> Chunk:
    """Map a chunk's file after checking that it is the one that the manifest names."""
    path = chunk_path(root, entry.id)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise missing(root, path, entry.rows) from None
    except OSError as error:
        raise storage_error("open", path, error) from error
    try:
        size = os.fstat(descriptor).st_size
        if size != entry.bytes:
            raise IntegrityError(
                f"{path} has {size} bytes instead of {entry.bytes}: it was cut or changed"
            )
        place.place(descriptor, offset, size)
    except OSError as error:
        raise storage_error("map", path, error) from error
    finally:
        os.close(descriptor)
    chunk = Chunk(path, entry.id, place.bytes[offset : offset + size])
    if chunk.trailer_crc != entry.trailer or chunk.rows != entry.rows:
        raise IntegrityError(f"{path} is not the file that the manifest names")
    return chunk


def reserve(root: Path, size: int) -> Reservation:
    """Reserve addresses for chunks of so many bytes."""
    if size >= _LARGEST_RANGE:
        raise FormatError(f"{root}: chunks of {size} bytes are too large to map")
    try:
        return Reservation(size)
    except OSError as error:
        raise storage_error("map", root, error) from error


class Uniform:
    """Chunks whose records all have one dtype and shape, and no gaps between them."""

    def __init__(self, root: Path, entries: Sequence[ChunkEntry], kind: Kind) -> None:
        self._root, self.entries, self._kind = root, entries, kind
        self.starts = [0, *accumulate(entry.rows for entry in entries)]
        self.rows = self.starts[-1]
        self._chunks: list[Chunk | None] = [None] * len(entries)
        self._trusted = np.zeros(len(entries), bool)
        self._all_trusted = False
        self._place: Reservation | None = None
        step = math.lcm(PAGE, kind.nbytes) if kind.nbytes else PAGE
        sizes = (rounded(entry.bytes, step) for entry in entries)
        self._offsets = list(accumulate(sizes, initial=0))
        if self._offsets[-1] >= _LARGEST_RANGE:
            raise FormatError(f"{root}: chunks of {self._offsets[-1]} bytes are too large to map")
        self._bounds = np.array(self.starts[1:], np.int64)
        # A record's place among the slots of the range is its position plus its chunk's shift.
        stride = kind.nbytes
        shifts = [
            offset // stride - start if stride else 0
            for offset, start in zip(self._offsets, self.starts, strict=True)
        ]
        self._shifts, self._shift_of = shifts, np.array(shifts, np.int64)
        self._single = len(entries) == 1
        self._array: Array = np.empty((0, *kind.shape), kind.dtype)

    def _reserve(self) -> Reservation:
        if self._place is None:
            # Threads may come at once: all must use the range that came first, as one of theirs
            # would read where another has placed nothing. A lock could be held during a fork.
            first = self.__dict__.setdefault("_first", self._reserved())
            self._array, self._place = first[1], first[0]
        return self._place

    def _reserved(self) -> tuple[Reservation, Array]:
        kind, size = self._kind, self._offsets[-1]
        place, array = reserve(self._root, size), self._array
        if kind.nbytes == 0:
            array = np.empty((self.rows, *kind.shape), kind.dtype)
        elif ADJACENT:
            count = (size - PAYLOADS) // kind.nbytes
            array = np.ndarray((count, *kind.shape), kind.dtype, place.bytes, PAYLOADS)
        return place, array

    def chunk(self, number: int) -> Chunk:
        found = self._chunks[number]
        if found is None:
            place = self._reserve()
            found = open_chunk(self._root, self.entries[number], place, self._offsets[number])
            if not found.uniform or found.kinds[0] != self._kind:
                raise FormatError(f"{found.path}: its records are not what the manifest says")
            if not ADJACENT and self._kind.nbytes:
                shape = (found.rows, *self._kind.shape)
                self._array = np.ndarray(shape, self._kind.dtype, place.bytes, PAYLOADS)
            self._chunks[number] = found
        return found

    def read(self, position: int) -> Array:
        number = 0 if self._single else bisect_right(self.starts, position) - 1
        chunk = self._chunks[number] or self.chunk(number)
        row = position - self.starts[number]
        if not chunk.seen[row]:
            chunk.check(row)
        found: Array = self._array[position + self._shifts[number], ...]
        return found

    peek = read

    def file(self, position: int) -> None:
        """Give no file: arrays lie here as they are."""

    def kind(self, positions: Positions) -> Kind:  # noqa: ARG002
        return self._kind

    def take_into(self, positions: Positions, out: Array) -> None:
        if self._single:
            chunk = self._chunks[0] or self.chunk(0)
            if not chunk.trusted:
                chunk.check_many(positions)
            slots = positions
        else:
            numbers = self._bounds.searchsorted(positions, side="right")
            if not self._all_trusted and not self._trusted.take(numbers).all():
                self._check(positions, numbers)
            slots = positions + self._shift_of.take(numbers)
        # The positions were checked; with "clip" numpy writes to out without a buffer between.
        self._array.take(slots, axis=0, out=out, mode="clip")

    def _check(self, positions: Positions, numbers: Positions) -> None:
        for number in np.unique(numbers[~self._trusted.take(numbers)]).tolist():
            chunk = self.chunk(number)
            chunk.check_many(positions[numbers == number] - self.starts[number])
            self._trusted[number] = chunk.trusted
        self._all_trusted = bool(self._trusted.all())


class Mixed:
    """One chunk whose records differ in dtype or shape, or are encoded."""

    def __init__(self, root: Path, entry: ChunkEntry) -> None:
        self._root, self.rows = root, entry.rows
        self.entries: Sequence[ChunkEntry] = [entry]
        self.starts = [0, entry.rows]
        self._chunk: Chunk | None = None

    def chunk(self, number: int = 0) -> Chunk:  # noqa: ARG002
        if self._chunk is None:
            entry = self.entries[0]
            found = open_chunk(self._root, entry, reserve(self._root, entry.bytes))
            if found.uniform:
                raise FormatError(f"{found.path}: its records are not what the manifest says")
            self._chunk = found
        return self._chunk

    def read(self, position: int) -> Array:
        return (self._chunk or self.chunk()).read(position)

    def peek(self, position: int) -> Array | None:
        """Give a record, None where it is an image that is not decoded yet."""
        return (self._chunk or self.chunk()).peek(position)

    def file(self, position: int) -> Array | None:
        """Give the bytes of an image file that was packed as such, None of other records."""
        return (self._chunk or self.chunk()).file(position)

    def kind(self, positions: Positions) -> Kind | None:
        return self.chunk().common_kind(positions)

    def take_into(self, positions: Positions, out: Array) -> None:
        chunk = self.chunk()
        for slot, row in enumerate(positions.tolist()):
            chunk.read_into(row, out[slot, ...])
