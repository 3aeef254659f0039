"""How new chunks are compressed, and along which axis they are long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from haversack.errors import UsageError
from haversack.split.chunks.chunk import in_order, join
from haversack.split.chunks.chunking import LAYOUTS

_BITSHUFFLE = 2


@dataclass(frozen=True, slots=True)
class Coding:
    """A Blosc compressor, its number in HDF5's filter options, its level; and the layout."""

    compressor: str
    code: int
    level: int
    layout: str = "balanced"


_COMPRESSIONS = {
    "blosc": Coding("lz4", 1, 5),
    "zstd": Coding("zstd", 5, 1),
    "zlib": Coding("zlib", 4, 5),
    "none": Coding("lz4", 1, 0),
}


def coding_named(name: str | None, layout: str = "balanced") -> Coding:
    """Find a compression: ``blosc`` (lz4), ``zstd``, ``zlib``, or ``none`` (None).

    Raises
    ------
    UsageError
        There is no such compression, or no such layout.
    """
    asked: Any = "none" if name is None else name
    found = _COMPRESSIONS.get(asked or "none") if isinstance(asked, str) else None
    if found is None:
        known = ", ".join(map(repr, _COMPRESSIONS))
        raise UsageError(f"compression {name!r} is not known: choose one of {known}, None")
    wanted: Any = layout
    if not isinstance(wanted, str) or wanted not in LAYOUTS:
        raise UsageError(f"layout {layout!r} is not known: choose one of {', '.join(LAYOUTS)}")
    return replace(found, layout=layout)


def encode(chunk: NDArray[Any], compression: Coding, blocksize: int) -> bytes:
    """Compress a contiguous array into one chunk; Blosc may make its blocks larger than asked."""
    data: bytes = blosc.compress(
        chunk.reshape(-1).view(np.uint8),
        compression.compressor.encode(),
        compression.level,
        _BITSHUFFLE,
        blocksize,
        chunk.itemsize,
    )
    return data


def encode_in_blocks(chunk: NDArray[Any], compression: Coding, blocksize: int) -> bytes:
    """Compress into one chunk: Blosc blocks in order, of just this size where they can have it."""
    if chunk.nbytes <= blocksize or chunk.nbytes % blocksize:
        return in_order(encode(chunk, compression, blocksize))
    blocks = chunk.reshape(-1).view(np.uint8).reshape(-1, blocksize).view(chunk.dtype)
    joined = join([encode(block, compression, blocksize) for block in blocks])
    return joined or in_order(encode(chunk, compression, blocksize))
