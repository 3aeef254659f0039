"""Make the bytes of a block: an HDF5 file that any reader opens, and the tail behind it."""

from __future__ import annotations

import io
import math
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from haversack.split.blockfiles.block import BLOSC_FILTER, Place, Shape, cells
from haversack.split.blockfiles.tail import CHUNK, PIECE, BlockHead, Tail, encode_tail
from haversack.split.chunks.chunk import ChunkHeader, StoredChunk
from haversack.split.chunks.chunking import blosc_block_size, chunk_shape_for
from haversack.split.chunks.codec import Coding, encode_in_blocks
from haversack.storage.checksum import crc32c, crc32cs

Encoder = Callable[[Callable[[Shape], bytes], Iterable[Shape]], Iterable[bytes]]


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
        return encode_in_blocks(cut_chunk(data, cell, chunk_shape), coding, size)

    file = io.BytesIO()
    grid = list(cells(data.shape, chunk_shape))
    headers: list[ChunkHeader] = []
    pieces: list[tuple[int, int]] = []
    first: list[int] = []
    with h5py.File(file, "w") as hdf5:
        dataset = _create(hdf5, data, chunk_shape, coding)
        for cell, chunk in zip(grid, encode_all(encode, grid), strict=True):
            stored = StoredChunk(chunk)
            headers.append(stored.header)
            first.append(len(pieces))
            pieces += zip(stored.starts, crc32cs(stored.pieces()), strict=True)
            start = tuple(i * n for i, n in zip(cell, chunk_shape, strict=True))
            dataset.write_direct_chunk(start, chunk)
        offsets = _offsets(dataset)
    whole = file.getvalue()
    where = [offsets[cell] for cell in grid]
    table = [
        (*header, at, number) for header, at, number in zip(headers, where, first, strict=True)
    ]
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
    return whole + encode_tail(Tail(head, np.array(table, CHUNK), np.array(pieces, PIECE)))


def cut_chunk(data: NDArray[Any], cell: Shape, chunk_shape: Shape) -> NDArray[Any]:
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


def _offsets(dataset: Any) -> dict[Shape, int]:
    """Find where HDF5 put the chunk of each cell."""
    found = {}
    chunk_shape = dataset.get_create_plist().get_chunk()

    def note(info: Any) -> None:
        cell = tuple(i // n for i, n in zip(info.chunk_offset, chunk_shape, strict=True))
        found[cell] = info.byte_offset

    dataset.chunk_iter(note)
    return found
