"""How new chunks are compressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from haversack.errors import UsageError

_BITSHUFFLE = 2


@dataclass(frozen=True, slots=True)
class Compression:
    """A Blosc compressor and its level; ``code`` is its number in HDF5's filter options."""

    compressor: str
    code: int
    level: int


_COMPRESSIONS = {
    "blosc": Compression("lz4", 1, 5),
    "zstd": Compression("zstd", 5, 1),
    "zlib": Compression("zlib", 4, 5),
    "none": Compression("lz4", 1, 0),
}


def compression_named(name: str | None) -> Compression:
    """Find a compression: ``blosc`` (lz4), ``zstd``, ``zlib``, or ``none`` (None)."""
    found = _COMPRESSIONS.get(name or "none")
    if found is None:
        known = ", ".join(map(repr, _COMPRESSIONS))
        raise UsageError(f"compression {name!r} is not known: choose one of {known}, None")
    return found


def encode(chunk: NDArray[Any], compression: Compression, blocksize: int) -> bytes:
    """Compress a contiguous array into one chunk."""
    data: bytes = blosc.compress(
        chunk.reshape(-1).view(np.uint8),
        compression.compressor.encode(),
        compression.level,
        _BITSHUFFLE,
        blocksize,
        chunk.itemsize,
    )
    return data
