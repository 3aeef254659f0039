"""Key tables of several chunks as one, in memory or in a file of ``cache/``.

The file: the chunks' ids, 16 bytes each; then, each from a multiple of 64, the hashes (u64,
ascending), the table of each (u32, its place among the ids) and the row (u32); checksums of the
blocks of all that, as a chunk has them; and a trailer.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.chunks.blockfile import BlockFile
from haversack.packed.chunks.blocks import Blocks
from haversack.packed.chunks.layout import ALIGNMENT, BLOCK, scalars
from haversack.storage.checksum import crc32c
from haversack.storage.looking import opened
from haversack.storage.maps import Reservation, rounded

_TRAILER: Final = struct.Struct("<8sIIQI32x")  # magic, format, ids, keys, crc32c of the checksums
_CRC: Final = struct.Struct("<I")
_MAGIC, _FORMAT = b"HSKKEYTB", 1
_ARRAYS: Final[tuple[np.dtype[Any], ...]] = (np.dtype("<u8"), np.dtype("<u4"), np.dtype("<u4"))


class Merged:
    """Key hashes of several chunks, ascending, with the table (of ``ids``) and the row of each.

    Where they are of a file, ``blocks`` tells what in it can be trusted.
    """

    def __init__(
        self,
        ids: Sequence[str],
        hashes: NDArray[Any],
        tables: NDArray[Any],
        rows: NDArray[Any],
        blocks: Blocks | None = None,
        path: Path | None = None,
    ) -> None:
        self.ids, self.path, self._blocks = ids, path, blocks
        self.hashes, self.tables, self.rows = hashes, tables, rows
        self._hash_of, self._table_of, self._row_of = map(scalars, (hashes, tables, rows))

    def find(self, wanted: int) -> list[tuple[int, int]]:
        """List the tables and rows of a hash.

        Raises
        ------
        FormatError
            The file is damaged where they would be.
        """
        place = stop = int(self.hashes.searchsorted(np.uint64(wanted)))
        count = len(self.hashes)
        while stop < count and self._hash_of[stop] == wanted:
            stop += 1
        if self._blocks is not None:
            self._check(self._blocks, place, stop)
        return [(self._table_of[at], self._row_of[at]) for at in range(place, stop)]

    def _check(self, blocks: Blocks, place: int, stop: int) -> None:
        # As in a chunk: a search whose neighbours are as they were written ended where it had to.
        starts = _places(len(self.ids), len(self.hashes))
        spans = [(max(place - 1, 0), min(stop + 1, len(self.hashes))), (place, stop), (place, stop)]
        for start, dtype, (first, last) in zip(starts, _ARRAYS, spans, strict=False):
            if not blocks.good(start + first * dtype.itemsize, start + last * dtype.itemsize):
                raise FormatError(f"{self.path} is damaged")

    def whole(self) -> bool:
        """Check all of it."""
        return self._blocks is None or not len(self._blocks.bad())

    def write(self, path: Path) -> None:
        """Write the file; OSErrors are the caller's."""
        file = BlockFile(path)
        try:
            file.write(bytes.fromhex("".join(self.ids)))
            for array in (self.hashes, self.tables, self.rows):
                file.align(ALIGNMENT)
                file.write(array.view(np.uint8))
            file.align(ALIGNMENT)
            sums = file.sums().tobytes()
            body = _TRAILER.pack(_MAGIC, _FORMAT, len(self.ids), len(self.hashes), crc32c(sums))
            file.end(sums + body + _CRC.pack(crc32c(body)))
        except BaseException:
            file.abandon()
            raise


def _places(ids: int, keys: int) -> list[int]:
    """Say where the arrays begin, and where the checksums do."""
    places = [rounded(16 * ids, ALIGNMENT)]
    for dtype in _ARRAYS:
        places.append(rounded(places[-1] + keys * dtype.itemsize, ALIGNMENT))
    return places


def open_merged(path: Path) -> Merged | None:
    """Map the file of a merged table; None where it is none, or damaged at its end."""
    try:
        with opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            place = Reservation(size)
            place.place(descriptor, 0, size)
    except (FormatError, OSError):
        return None
    return _read(path, place.bytes[:size])


def _read(path: Path, raw: NDArray[np.uint8]) -> Merged | None:
    tail = bytes(raw[-_TRAILER.size - _CRC.size :])
    if len(tail) != _TRAILER.size + _CRC.size:
        return None
    magic, version, ids, keys, sums_crc = _TRAILER.unpack_from(tail)
    (checksum,) = _CRC.unpack_from(tail, _TRAILER.size)
    if (magic, version, crc32c(tail[: _TRAILER.size])) != (_MAGIC, _FORMAT, checksum):
        return None
    *starts, end = _places(ids, keys)
    blocks_end = end + 4 * -(-end // BLOCK)
    if blocks_end + len(tail) != len(raw) or crc32c(raw[end:blocks_end]) != sums_crc:
        return None
    blocks = Blocks(raw[:end], raw[end:blocks_end].view("<u4"), end)
    if not blocks.good(0, 16 * ids):
        return None
    names = [bytes(raw[at : at + 16]).hex() for at in range(0, 16 * ids, 16)]
    hashes, tables, rows = (
        raw[start : start + keys * dtype.itemsize].view(dtype)
        for start, dtype in zip(starts, _ARRAYS, strict=True)
    )
    return Merged(names, hashes, tables, rows, blocks, path)
