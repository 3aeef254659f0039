"""The blocks that others wrote: the old package, microscopes, plain HDF5.

They have no checksums. Their chunks are found once through HDF5; Blosc chunks are then read and
decoded as ours are, bzip2 too, and everything else is left to HDF5. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from haversack.errors import (
    EmptySourceError,
    FormatError,
    HaversackError,
    NotFoundError,
    PathNotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from haversack.split.blockfiles.block import ChunkByChunk, Shape, Wanted, cells, check_dtype
from haversack.split.blockfiles.filters import Decode, decoder_of
from haversack.split.chunks.chunk import check_chunk_shape
from haversack.split.chunks.threads import in_threads
from haversack.storage.damage import Damage
from haversack.storage.ranges import RangeFile

_MOST_TOLD = 99  # names of arrays
_SLAB = 1 << 20  # bytes read at once of data that is not chunked
_OPEN_ELSEWHERE = ("file locking", "already open for write")  # as HDF5 tells it
# What h5py raises where a file is damaged.
H5PY_ERRORS = (OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where a chunk lies, and the mask of the filters that were left out."""

    offset: int
    size: int
    skipped: int


class ForeignBlock:
    """A block without a tail.

    Raises
    ------
    PathNotFoundError
        There is no such file.
    FormatError
        It is not HDF5, or has no array in it.
    UnsupportedError
        Its array is not of plain numbers, or lies in other files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hdf5 = open_hdf5(path)
        try:
            self._dataset = _stack(self._hdf5, path)
            self._describe()
        except BaseException as error:
            self._hdf5.close()
            if isinstance(error, HaversackError) or not isinstance(error, H5PY_ERRORS):
                raise
            raise FormatError(f"{path} is a damaged HDF5 file: {error}") from error

    @property
    def key(self) -> str:
        """Name of the array in the file."""
        return str(self._dataset.name).strip("/")

    def _describe(self) -> None:
        self.shape: Shape = self._dataset.shape
        self.dtype = _dtype(self._dataset)
        chunks = self._dataset.chunks
        self.chunk_shape: Shape = chunks or _slabs(self.shape, self.dtype.itemsize)
        self._decode: Decode | None = decoder_of(self._dataset, self.path) if chunks else None
        check_chunk_shape(self.chunk_shape, self.dtype, self.path)
        self._ranges = self._locate() if chunks else None
        if self._decode is not None:
            self._file = RangeFile(self.path)
            self._file.expect_no_order()

    def _locate(self) -> dict[Shape, _Stored]:
        """Find all chunks."""
        found: dict[Shape, _Stored] = {}

        def note(info: Any) -> None:
            cell = tuple(i // n for i, n in zip(info.chunk_offset, self.chunk_shape, strict=True))
            found[cell] = _Stored(info.byte_offset, info.size, info.filter_mask)

        self._dataset.id.chunk_iter(note)
        return found

    rows = None

    def fetch(self, wanted: Sequence[Wanted]) -> ChunkByChunk:
        ranges = self._ranges or {}
        asks_hdf5 = self._decode is None or any(cell not in ranges for cell, _ in wanted)
        return ChunkByChunk(wanted, self._chunk, self._expect, is_locked=asks_hdf5)

    def _expect(self, cell: Shape) -> None:
        stored = self._ranges.get(cell) if self._ranges and self._decode else None
        if stored is not None:
            self._file.expect(stored.offset, stored.size)

    def _chunk(self, cell: Shape) -> NDArray[Any]:
        if self._ranges is not None and cell not in self._ranges:
            # HDF5's way of storing nothing but the fill value.
            fill = np.asarray(self._dataset.fillvalue, self.dtype)
            return np.broadcast_to(fill, self.chunk_shape)
        if self._ranges is None or self._decode is None:
            return self._through_hdf5(cell)
        stored = self._ranges[cell]
        if stored.size > self._file.size:
            raise FormatError(f"{self.path}: chunk {cell} claims {stored.size} bytes")
        data = self._file.read(stored.offset, stored.size)
        try:
            return self._decode(data, stored.skipped, self.dtype, self.chunk_shape)
        except FormatError as error:
            raise FormatError(f"{self.path}: chunk {cell} is damaged: {error}") from error

    def verify(self) -> Iterator[Damage]:
        """Read all that is stored, a chunk at a time in each thread."""
        try:
            each = map if self._decode is None else in_threads  # HDF5 has one lock for all
            yield from filter(None, each(self._damage, self._stored()))
        except H5PY_ERRORS as error:
            yield Damage(self.path, "", f"its chunks cannot be found: {error}")

    def _damage(self, cell: Shape) -> Damage | None:
        try:
            self._chunk(cell)
        except (FormatError, StorageError) as error:
            refused = isinstance(error, StorageError)
            return Damage(self.path, f"chunk {cell}", str(error), refused)
        return None

    def _stored(self) -> Iterable[Shape]:
        """List the chunks that are there: of what the shape claims, most may be none."""
        if self._ranges is not None:
            return self._ranges
        stored, there = self._dataset.id.get_storage_size(), self.path.stat().st_size
        if stored > there:
            raise OSError(f"the array claims {stored} bytes, but the file has {there}")
        return cells(self.shape, self.chunk_shape) if stored else ()

    def _through_hdf5(self, cell: Shape) -> NDArray[Any]:
        region = tuple(slice(i * n, i * n + n) for i, n in zip(cell, self.chunk_shape, strict=True))
        try:
            data = self._dataset[region]
        except H5PY_ERRORS as error:
            raise FormatError(f"{self.path}: chunk {cell} cannot be read: {error}") from error
        return np.asarray(data).astype(self.dtype, copy=False)


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, without HDF5's lock.

    Raises
    ------
    PathNotFoundError, FormatError
        It is missing, or not HDF5.
    """
    RangeFile(path)  # HDF5 would wait for who may write to a FIFO
    try:
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        raise PathNotFoundError(f"{path} does not exist") from error
    except (OSError, RuntimeError) as error:
        if any(told in str(error) for told in _OPEN_ELSEWHERE):
            raise FormatError(
                f"{path} is open elsewhere, in this process or for writing: close it there first"
            ) from error
        raise FormatError(f"{path} is not a whole HDF5 file: {error}") from error


def _stack(hdf5: h5py.File, path: Path) -> h5py.Dataset:
    """Find the array: the first dataset with "stack" in its name, as the old package does."""
    linked = ""
    try:
        for name in hdf5:
            if not isinstance(name, str) or "stack" not in name:
                continue
            if not isinstance(hdf5.get(name, getlink=True), h5py.HardLink):
                linked = f": {name!r} is a link, which is not followed"
                continue
            found = hdf5[name]
            if isinstance(found, h5py.Dataset):
                _refuse_elsewhere(found, path)
                return found
    except H5PY_ERRORS as error:
        if isinstance(error, HaversackError):
            raise
        raise FormatError(f"{path} is a damaged HDF5 file: {error}") from error
    raise FormatError(f"{path} has no array with 'stack' in its name{linked}")


def checked_dataset(hdf5: h5py.File, path: Path, name: str | None) -> h5py.Dataset:
    """Find an array in any HDF5 file: that of a name, or the one that can be meant.

    Raises
    ------
    EmptySourceError, NotFoundError
        There is no array, or none of that name.
    UsageError
        There are several, of which somebody has to name one.
    UnsupportedError
        It is not of plain numbers, or lies in other files.
    """
    name = _only_array(hdf5, path) if name is None else name
    parts = [part for part in name.split("/") if part]
    for count in range(1, len(parts) + 1):  # a link on the way may lead out of the file
        step = "/".join(parts[:count])
        if not isinstance(hdf5.get(step, getlink=True), h5py.HardLink):
            raise NotFoundError(f"{path} has no array {name!r} of its own")
    found = hdf5["/".join(parts) or "/"]
    if not isinstance(found, h5py.Dataset):
        raise NotFoundError(f"{path}: {name!r} is no array")
    _refuse_elsewhere(found, path)
    return found


def _only_array(hdf5: h5py.File, path: Path) -> str:
    """Find the only array of numbers, at any depth, or the only one with "stack" in its name."""
    arrays: list[str] = []
    others: list[str] = []

    def note(name: str | bytes, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.shape:  # single numbers and texts have no axis
            (arrays if _is_of_numbers(found, path) else others).append(os.fsdecode(name))

    hdf5.visititems(note)
    if others and not arrays:
        return others[0]  # what is wrong with it is told by who opens it
    stacks = [name for name in arrays if "stack" in name.rpartition("/")[2]]
    return the_only(stacks if len(stacks) == 1 else arrays, path)


def the_only(names: list[str], path: Path) -> str:
    """Take the only one of the arrays of a file.

    Raises
    ------
    EmptySourceError
        There are none.
    UsageError
        There are several, of which somebody has to name one.
    """
    if len(names) == 1:
        return names[0]
    if not names:
        raise EmptySourceError(f"{path} holds no array of one axis or more")
    raise UsageError(
        f"{path} has the arrays {_told(names)}: name one by --dataset (in Python dataset=)"
    )


def _told(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_TOLD} others" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more


def _is_of_numbers(dataset: h5py.Dataset, path: Path) -> bool:
    try:
        _refuse_no_numbers(dataset, path)
    except UnsupportedError:
        return False
    return True


def _refuse_elsewhere(dataset: h5py.Dataset, path: Path) -> None:
    if dataset.is_virtual or dataset.external:
        raise UnsupportedError(f"{path} keeps its data in other files")
    _refuse_no_numbers(dataset, path)


def _refuse_no_numbers(dataset: h5py.Dataset, path: Path) -> None:
    if dataset.shape is None or dataset.ndim == 0:
        raise UnsupportedError(f"{path} holds no array of one axis or more")
    try:
        check_dtype(_dtype(dataset))
    except (UnsupportedError, TypeError) as error:
        raise UnsupportedError(f"{path}: {error}") from error


def _dtype(dataset: h5py.Dataset) -> np.dtype[Any]:
    # PyTables keeps booleans as bit fields, which h5py shows as bytes.
    is_bits = dataset.id.get_type().get_class() == h5py.h5t.BITFIELD
    dtype: np.dtype[Any] = dataset.dtype
    return np.dtype(np.bool_) if is_bits and dtype.itemsize == 1 else dtype


def _slabs(shape: Shape, itemsize: int) -> Shape:
    """Read data that has no chunks as if it were cut into slabs of whole rows."""
    slab = list(shape)
    for axis in range(len(shape)):
        rest = int(np.prod(shape[axis + 1 :], dtype=object)) * itemsize
        slab[axis] = max(1, min(shape[axis], _SLAB // max(1, rest)))
        if slab[axis] > 1:
            break
    return tuple(max(1, n) for n in slab)
