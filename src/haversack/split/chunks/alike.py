"""The chunks of a block that are coded alike: the heads of their Blosc buffers say the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.split.chunks.chunk import ChunkHeader

_HEAD = 3  # words of 32 bits of a chunk's head that say how it is coded
_VERSION = 2  # of the format of Blosc 1
# Flags: one that only Blosc 2 has; and two of which a chunk of Blosc 2 has both.
_OF_BLOSC_2, _SHUFFLES = 0x8, 0x5
_MOST_ADDED = 128  # bytes that a Blosc block may have beyond those that it decodes to
_MOST_WAYS = 64

Index = slice | NDArray[np.intp]


class Alike(NamedTuple):
    """Chunks, and the head of the first; those of the others differ in the stored size alone."""

    chunks: Index
    header: ChunkHeader

    def is_sound(self, nbytes: int) -> bool:
        """Whether Blosc writes such heads for chunks of so many bytes."""
        header = self.header
        return (
            header.version == _VERSION
            and header.typesize > 0
            and not header.flags & _OF_BLOSC_2
            and header.flags & _SHUFFLES != _SHUFFLES
            and header.nbytes == nbytes
            and 0 < header.blocksize <= nbytes
        )

    def of_each(self, chunks: NDArray[Any], listed: NDArray[Any]) -> NDArray[Any]:
        """Make a table (chunks, Blosc blocks) of what is listed for each Blosc block."""
        if isinstance(self.chunks, slice):
            return listed.reshape(-1, self.header.nblocks)
        return listed[chunks["first"][self.chunks][:, None] + np.arange(self.header.nblocks)]

    def fits(self, chunks: NDArray[Any], starts: NDArray[Any]) -> bool:
        """Whether their Blosc blocks can begin where a tail says, each behind the one before."""
        header, found = self.header, self.of_each(chunks, starts)
        size, before, after = chunks["size"][self.chunks], found[:, :-1], found[:, 1:]
        least = header.body + (header.nbytes if header.is_stored else 0)
        return bool(
            (found[:, 0] == header.body).all()
            and (before <= after).all()
            and (not header.is_stored or (after - before == header.blocksize).all())
            and (found[:, -1] <= size).all()
            and size.min() >= least
            and size.max() <= header.body + header.nbytes + _MOST_ADDED * header.nblocks
        )


def group(chunks: NDArray[Any]) -> list[Alike]:
    """Group a tail's chunks by how they are coded; none where that is in more ways than anybody's.

    The first 12 bytes of a head say how.
    """
    if not len(chunks):
        return []
    heads = chunks.view(np.uint32).reshape(len(chunks), -1)[:, :_HEAD]
    if (heads == heads[0]).all():
        return [Alike(slice(None), _header(chunks[0]))]
    ways, which = np.unique(heads, axis=0, return_inverse=True)
    if len(ways) > _MOST_WAYS:
        return []
    of_way = [np.flatnonzero(which.ravel() == way) for way in range(len(ways))]
    return [Alike(some, _header(chunks[some[0]])) for some in of_way]


def _header(chunk: Any) -> ChunkHeader:
    return ChunkHeader(*chunk.item()[: len(ChunkHeader._fields)])
