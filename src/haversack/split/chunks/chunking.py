"""Which chunk shape a new block gets, and how small its Blosc blocks are.

A chunk spans some time points and one tile of a plane. How many is the layout: ``frames`` makes
planes fastest, ``traces`` the history of pixels, ``balanced`` both fast: there one Blosc block is
one time point of the tile, so that either touches little, and a tile is as wide as the plane where
that is not too wide, so that tiles are decoded to where they belong. Longer chunks would make
single planes slow in the old package, which decodes whole chunks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from haversack.errors import UsageError
from haversack.split.planning.blocks import Blocks
from haversack.split.planning.cutting import PartialShape, listed


@dataclass(frozen=True, slots=True)
class Layout:
    """Most time points in a chunk; most bytes of one time point of it, and of a line of that."""

    times: int
    tile: int
    line: int


LAYOUTS = {
    "frames": Layout(1, 256 << 10, 16 << 10),
    "balanced": Layout(10, 20 << 10, 2 << 10),
    "traces": Layout(512, 2 << 10, 64),
}
_BLOCK = 64 << 10
_BLOCK_BYTES = 64 << 20
_FLAT = 512 << 10  # bytes of a chunk of an array without a time axis


def chunk_shape_for(
    shape: tuple[int, ...], itemsize: int, layout: str = "balanced"
) -> tuple[int, ...]:
    """Choose the chunk shape for a block.

    Parameters
    ----------
    shape
        Shape of the block, time first where it has three axes or more.
    itemsize
        Bytes of one element.
    layout
        ``"frames"``, ``"balanced"`` or ``"traces"``.

    Examples
    --------
    >>> chunk_shape_for((20, 16, 256, 640), 2)
    (10, 1, 16, 640)
    >>> chunk_shape_for((1000, 16, 256, 640), 2, "traces")
    (500, 1, 32, 32)
    """
    if len(shape) < 3:
        return _tile(shape, _FLAT // itemsize, _FLAT // itemsize)
    chosen = LAYOUTS[layout]
    tile = _tile(shape[1:], chosen.tile // itemsize, chosen.line // itemsize)
    return (_even(shape[0], chosen.times), *tile)


def blosc_block_size(chunk: tuple[int, ...], itemsize: int) -> int:
    """Bytes of one Blosc block: one time point of the chunk, where that is not too little."""
    plane = math.prod(chunk[1:]) * itemsize if len(chunk) > 2 else 0
    return plane if plane >= _BLOCK // 16 else _BLOCK


def block_shape_for(given: PartialShape, frame: NDArray[Any]) -> tuple[int, ...]:
    """Choose the shape of a block; its first length is not bounded by frames that are to come.

    Raises
    ------
    UsageError
        The frame has no elements, or the shape that is given does not fit it.
    """
    if not frame.nbytes:
        raise UsageError(f"a frame of shape {frame.shape} has no elements")
    full = (max(1, _BLOCK_BYTES // frame.nbytes), *frame.shape)
    if given is None:
        return full
    sizes = listed(given)
    first = sizes[0] if sizes and sizes[0] is not None else full[0]
    return Blocks((first, *frame.shape), sizes).shape_block


def default_block_shape(
    shape: tuple[int, ...], itemsize: int, chunks: Any = None
) -> tuple[int, ...]:
    """Cut an array into blocks that fit into memory, along the first axis where that is enough.

    Parameters
    ----------
    shape, itemsize
        Of the array.
    chunks
        Shape of its chunks, where it has some: none is cut, so that each is decoded once.

    Examples
    --------
    >>> default_block_shape((1000, 16, 256, 640), 2), default_block_shape((2, 30000, 5000), 1)
    ((12, 16, 256, 640), (1, 10000, 5000))
    >>> default_block_shape((9000, 1024, 512), 2, chunks=(9000, 64, 8))
    (9000, 64, 56)
    """
    block: tuple[int, ...] = ()
    for axis, (length, step) in enumerate(zip(shape, _steps(shape, itemsize, chunks), strict=True)):
        row = math.prod(block) * step * math.prod(shape[axis + 1 :]) * itemsize
        most = max(1, _BLOCK_BYTES // max(1, row))
        steps = max(1, -(-length // step))
        block = (*block, min(-(-steps // -(-steps // most)) * step, max(1, length)))
        if most > 1:
            return (*block, *(max(1, n) for n in shape[axis + 1 :]))
    return block


def _steps(shape: tuple[int, ...], itemsize: int, chunks: Any) -> tuple[int, ...]:
    """Say in what steps axes are cut: by one where there are no chunks, or too large ones."""
    ones = (1,) * len(shape)
    if not isinstance(chunks, tuple) or len(chunks) != len(shape):
        return ones
    if not all(isinstance(step, int) and step > 0 for step in chunks):
        return ones
    found = tuple(min(step, max(1, n)) for step, n in zip(chunks, shape, strict=True))
    return found if math.prod(found) * itemsize <= _BLOCK_BYTES else ones


def _tile(shape: tuple[int, ...], elements: int, line: int) -> tuple[int, ...]:
    tile: tuple[int, ...] = ()
    for length in reversed(shape):
        most = elements // math.prod(tile) if tile else min(line, elements)
        tile = (_even(length, max(1, most)), *tile)
    return tile


def _even(length: int, most: int) -> int:
    """Cut a length into equal pieces of at most ``most``; without a rest, if few more do."""
    fewest = -(-length // most) or 1
    for pieces in range(fewest, fewest * 3 // 2 + 1):
        if length % pieces == 0:
            return length // pieces
    return -(-length // fewest)
