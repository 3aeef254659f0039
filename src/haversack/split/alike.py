"""The chunks of a block that are coded alike: the heads of their Blosc buffers say the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.split.chunk import HEADER, STORED, head_size

_HEAD = 12  # bytes of a chunk's head that say how it is coded
_VERSION = 2  # of the format of Blosc 1
# Flags: one that only Blosc 2 has; and two of which a chunk of Blosc 2 has both.
_OF_BLOSC_2, _SHUFFLES = 0x8, 0x5
_MOST_ADDED = 128  # bytes that a Blosc block may have beyond those that it decodes to
_MOST_WAYS = 64

Index = slice | NDArray[np.intp]


class Alike(NamedTuple):
    """Chunks, and what the heads of all of them say."""

    chunks: Index
    version: int
    codec_version: int
    flags: int
    typesize: int
    nbytes: int
    blocksize: int

    @property
    def is_stored(self) -> bool:
        """Whether they are not compressed."""
        return bool(self.flags & STORED)

    @property
    def n_blocks(self) -> int:
        """Blosc blocks in each."""
        return -(-self.nbytes // self.blocksize)

    @property
    def coding(self) -> tuple[int, int, int, int]:
        """What the head of any Blosc buffer says that is coded like them."""
        return self.version, self.codec_version, self.flags, self.typesize

    def is_sound(self, nbytes: int) -> bool:
        """Whether Blosc writes such heads for chunks of so many bytes."""
        return (
            self.version == _VERSION
            and self.typesize > 0
            and not self.flags & _OF_BLOSC_2
            and self.flags & _SHUFFLES != _SHUFFLES
            and self.nbytes == nbytes
            and 0 < self.blocksize <= nbytes
        )

    def of_each(self, chunks: NDArray[Any], listed: NDArray[Any]) -> NDArray[Any]:
        """Make a table (chunks, Blosc blocks) of what is listed for each Blosc block."""
        if isinstance(self.chunks, slice):
            return listed.reshape(-1, self.n_blocks)
        return listed[chunks["first"][self.chunks][:, None] + np.arange(self.n_blocks)]

    def fits(self, chunks: NDArray[Any], starts: NDArray[Any]) -> bool:
        """Whether their Blosc blocks can begin where a tail says, each behind the one before."""
        found, size = self.of_each(chunks, starts), chunks["size"][self.chunks]
        body = HEADER.size if self.is_stored else head_size(self.n_blocks)
        before, after = found[:, :-1], found[:, 1:]
        return bool(
            (found[:, 0] == body).all()
            and (before <= after).all()
            and (not self.is_stored or (after - before == self.blocksize).all())
            and (found[:, -1] <= size).all()
            and size.min() >= body + (self.nbytes if self.is_stored else 0)
            and size.max() <= body + self.nbytes + _MOST_ADDED * self.n_blocks
        )


def group(chunks: NDArray[Any]) -> list[Alike]:
    """Group a tail's chunks by how they are coded.

    Raises
    ------
    FormatError
        There are more ways than anybody codes a block in.
    """
    if not len(chunks):
        return []
    heads = chunks.view(np.uint8).reshape(len(chunks), -1)[:, :_HEAD]
    if (heads == heads[0]).all():
        return [Alike(slice(None), *chunks[0].item()[:6])]
    ways, which = np.unique(heads, axis=0, return_inverse=True)
    if len(ways) > _MOST_WAYS:
        raise FormatError(f"its chunks are coded in {len(ways)} ways")
    of_way = [np.flatnonzero(which.ravel() == way) for way in range(len(ways))]
    return [Alike(some, *chunks[some[0]].item()[:6]) for some in of_way]
