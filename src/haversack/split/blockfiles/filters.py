"""The filters of HDF5 that other programs' chunks went through, and those that we undo ourselves.

PyTables writes Blosc and bzip2, which HDF5 itself cannot read without plugins.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, UnsupportedError
from haversack.split.blockfiles.block import BLOSC_FILTER, Shape
from haversack.split.chunks.chunk import StoredChunk, as_chunk

_SHUFFLE, _BZIP2 = 2, 307
_OURS = ([BLOSC_FILTER], [_BZIP2], [_SHUFFLE, _BZIP2])

# Bytes, the mask of the filters that were left out, the dtype and the shape of a chunk -> its data.
Decode = Callable[[bytes, int, np.dtype[Any], Shape], NDArray[Any]]


def decoder_of(dataset: h5py.Dataset, path: Path) -> Decode | None:
    """Find what undoes the filters of an array; None where HDF5 has to.

    Raises
    ------
    UnsupportedError
        HDF5 lacks one of them.
    """
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number) for number in range(properties.get_nfilters())]
    codes = [code for code, *_ in filters]
    shuffled = [options[0] for code, _, options, _ in filters if code == _SHUFFLE and options]
    if codes == [BLOSC_FILTER]:
        return _blosc
    if codes in _OURS and shuffled in ([], [dataset.dtype.itemsize]):
        return _bzip2_of(codes)
    for code, _, _, name in filters:
        if not h5py.h5z.filter_avail(code):
            raise UnsupportedError(
                f"{path} is compressed by HDF5's filter {code} ({name.decode(errors='replace')}), "
                "which is not here: `import hdf5plugin` may bring it; or write the array anew with "
                "Blosc, where it can be read"
            )
    return None


def _blosc(data: bytes, skipped: int, dtype: np.dtype[Any], shape: Shape) -> NDArray[Any]:
    # What does not become smaller, HDF5 stores as it is.
    return as_chunk(data, dtype, shape) if skipped else StoredChunk(data).decode(dtype, shape)


def _bzip2_of(codes: Sequence[int]) -> Decode:
    def decode(data: bytes, skipped: int, dtype: np.dtype[Any], shape: Shape) -> NDArray[Any]:
        size = int(np.prod(shape)) * dtype.itemsize
        if not skipped >> (len(codes) - 1) & 1:
            data = _unzipped(data, size)
        found = as_chunk(data, dtype, shape)
        if _SHUFFLE not in codes or skipped & 1:
            return found
        planes = found.view(np.uint8).reshape(dtype.itemsize, -1)
        return np.ascontiguousarray(planes.T).view(dtype).reshape(shape)

    return decode


def _unzipped(data: bytes, size: int) -> bytes:
    found = bz2.BZ2Decompressor()
    try:
        data = found.decompress(data, size + 1)  # no more is ever needed
    except (OSError, EOFError, ValueError) as error:
        raise FormatError(f"a chunk cannot be decoded: {error}") from error
    if not found.eof:  # its checksum comes last
        raise FormatError("a chunk cannot be decoded: it is cut short, or too long")
    return data
