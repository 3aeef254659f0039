"""Write HDF5 files of one array, each chunk once.

HDF5 fits badly into a program that may be interrupted, and on disks that fill up. A signal that
arrives amid a call of h5py raises where h5py throws the error away: so a thread of its own calls
h5py, and signals find the main thread waiting. And a file that HDF5 cannot write to the end brings
the process down when that ends: so it writes to an object of ours, which keeps the error for us and
takes the rest for written, and whatever is begun is closed.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.convert.filling import fill
from haversack.split import SplitView
from haversack.split.blockfiles.block import cells
from haversack.split.blockfiles.encoding import cut_chunk
from haversack.split.chunks.chunking import chunk_shape_for
from haversack.split.chunks.threads import in_threads
from haversack.split.directory.about import check_text
from haversack.split.reductions.streaming import Region

_LEVEL = 4  # of gzip

_Result = TypeVar("_Result")
Chunk = tuple[tuple[int, ...], bytes]  # where it begins in the array, and its bytes


def write_hdf5(view: SplitView, path: Path, progress: events.Progress) -> None:
    """Write a view as the dataset ``stack``, its chunks shuffled and deflated.

    Raises
    ------
    OSError
        The disk refuses.
    UsageError
        An axis has a name that HDF5 does not take.
    """
    check_text(view.about.axes)
    with path.open("w+b", buffering=0) as raw, ThreadPoolExecutor(1, "haversack-hdf5") as thread:
        disk, made = _Disk(raw), _Made()

        def write(region: Region, data: NDArray[Any]) -> None:
            if made.chunks:
                encode = partial(_encode, data, region, made.chunks)
                encoded = [*in_threads(encode, cells(data.shape, made.chunks))]
                thread.submit(made.put, encoded).result()
            else:
                thread.submit(made.fill, data).result()
            disk.check()

        try:
            thread.submit(made.begin, disk, view).result()
            fill(view, write, progress, made.chunks)
        finally:  # also where beginning it was interrupted: the thread begins it to the end first
            thread.submit(made.close).result()
        disk.check()


class _Made:
    """The file and its dataset, for one thread."""

    chunks: tuple[int, ...] = ()
    _file: h5py.File | None = None

    def begin(self, disk: _Disk, view: SplitView) -> None:
        self._file, about = h5py.File(disk, "w"), view.about
        is_chunked = bool(view.size and view.ndim)
        if is_chunked:
            self.chunks = chunk_shape_for(view.shape, view.dtype.itemsize)
        packed = {"chunks": self.chunks, "compression": "gzip", "shuffle": True}
        packed["compression_opts"] = _LEVEL
        self._dataset = self._file.create_dataset(
            "stack", view.shape, view.dtype, **(packed if is_chunked else {})
        )
        for number, name in enumerate(about.axes):
            self._dataset.dims[number].label = name
        self._dataset.attrs["resolution"] = about.resolution
        if about.frequency is not None:
            self._dataset.attrs["frequency"] = about.frequency

    def put(self, chunks: Iterable[Chunk]) -> None:
        for start, data in chunks:
            self._dataset.id.write_direct_chunk(start, data)

    def fill(self, data: Any) -> None:
        self._dataset[...] = data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Disk:
    """What HDF5 takes for a file: of the first error on, what it writes goes nowhere.

    The same holds once the file is closed (``ValueError``): who interrupts twice may have that
    happen before HDF5 is done with it.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._error: OSError | ValueError | None = None

    def check(self) -> None:
        """Raise what the disk told."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._done(offset, self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._done(0, self._file.tell)

    def readinto(self, buffer: Any) -> int:
        return self._done(0, self._file.readinto, buffer) or 0

    def read(self, size: int = -1) -> bytes:
        return self._done(b"", self._file.read, size) or b""

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while left and self._error is None:
            left = left[self._done(None, self._file.write, left) or 0 :]
        return size

    def truncate(self, size: int) -> int:
        return self._done(size, self._file.truncate, size)

    def flush(self) -> None:
        """Nothing waits to be written."""

    def _done(self, otherwise: _Result, call: Callable[..., _Result], *arguments: Any) -> _Result:
        try:
            return call(*arguments)
        except (OSError, ValueError) as error:
            self._error = self._error or error
            return otherwise


def _encode(
    data: NDArray[Any], region: Region, chunks: tuple[int, ...], cell: tuple[int, ...]
) -> Chunk:
    """Compress a chunk of a region of whole chunks as HDF5's filters do."""
    start = tuple(each.start + i * n for each, i, n in zip(region, cell, chunks, strict=True))
    whole = cut_chunk(data, cell, chunks).reshape(-1).view(np.uint8)
    shuffled = whole.reshape(math.prod(chunks), data.itemsize).T
    return start, zlib.compress(shuffled.tobytes(), _LEVEL)
