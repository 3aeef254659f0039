"""Which chunk shape a new block gets, and how small its Blosc blocks are.

A chunk spans a few time points and one tile of a plane; one Blosc block is one time point of the
tile, so that planes and pixel traces both touch little. Longer chunks would make single planes
slow in the old package, which decodes whole chunks.
"""

from __future__ import annotations

import math

_TILE = 64 << 10  # bytes of one time point in a chunk: the smallest block that lz4 keeps
_LONGEST = 256  # elements of a tile along one axis
_TIMES = 8
_FLAT = 512 << 10  # bytes of a chunk of an array without a time axis


def chunk_shape_for(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Choose the chunk shape for a block.

    Parameters
    ----------
    shape
        Shape of the block, time first where it has three axes or more.
    itemsize
        Bytes of one element.

    Examples
    --------
    >>> chunk_shape_for((20, 16, 256, 640), 2)
    (7, 1, 128, 214)
    """
    if len(shape) < 3:
        return _tile(shape, max(1, _FLAT // itemsize), longest=_FLAT)
    return (_even(shape[0], _TIMES), *_tile(shape[1:], max(1, _TILE // itemsize), _LONGEST))


def blosc_block_size(chunk: tuple[int, ...], itemsize: int) -> int:
    """Bytes of one Blosc block: one time point of the chunk."""
    plane = math.prod(chunk[1:]) * itemsize if len(chunk) > 2 else 0
    return plane or _TILE


def _tile(shape: tuple[int, ...], elements: int, longest: int) -> tuple[int, ...]:
    tile: tuple[int, ...] = ()
    for length in reversed(shape):
        most = min(longest, elements // math.prod(tile)) if tile else min(longest, elements)
        tile = (_even(length, max(1, most)), *tile)
    return tile


def _even(length: int, most: int) -> int:
    """Cut a length into equal pieces of at most ``most``."""
    pieces = -(-length // most)
    return -(-length // max(1, pieces))
