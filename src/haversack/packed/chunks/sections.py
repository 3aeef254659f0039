"""The arrays of a chunk's row table, mapped; each part is checked when it is first used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed.chunks.blocks import Blocks
from haversack.packed.chunks.layout import BLOCK, SECTIONS, TRAILER_SIZE, Footer
from haversack.storage.checksum import crc32c

_ON_READING = ("slot", "offset", "length", "kind")


class Sections:
    """The sections of one chunk, and the ``blocks`` that tell whether they can be trusted."""

    def __init__(self, path: Path, raw: NDArray[np.uint8], footer: Footer) -> None:
        self._path, self._raw, self._footer = path, raw, footer
        self._views: dict[str, NDArray[Any]] = {}
        self._whole: dict[str, bool] = {}
        self._end = len(raw) - TRAILER_SIZE
        sums = self.view("block")
        where = footer.sections["block"]
        self._end = where.offset
        if len(sums) != -(-where.offset // BLOCK):
            raise FormatError(f"{path}: section block has {len(sums)} checksums")
        if crc32c(sums) != where.crc32c:
            raise IntegrityError(f"{path}: section block of the row table is damaged")
        used = [footer.payload_end, *(self._span(name)[1] for name in _ON_READING if name in self)]
        self.blocks = Blocks(raw[: where.offset], sums, max(used))

    def __contains__(self, name: str) -> bool:
        return name in self._footer.sections

    def view(self, name: str, count: int | None = None) -> NDArray[Any]:
        """Map a section that is not yet checked: see :meth:`check`."""
        if name not in self._views:
            start, stop = self._span(name)
            self._views[name] = self._raw[start:stop].view(SECTIONS[name])
        found = self._views[name]
        if count is not None and len(found) != count:
            raise FormatError(f"{self._path}: section {name} has {len(found)} rows, not {count}")
        return found

    def _span(self, name: str) -> tuple[int, int]:
        where = self._footer.sections.get(name)
        if where is None:
            raise FormatError(f"{self._path}: the row table lacks its section {name}")
        size, end = SECTIONS[name].itemsize, where.offset + where.length
        if where.offset < self._footer.payload_end or end > self._end:
            raise FormatError(f"{self._path}: section {name} lies outside the row table")
        if where.length % size or where.offset % size:
            raise FormatError(f"{self._path}: section {name} is no array of {SECTIONS[name]}")
        return where.offset, end

    def check(self, name: str, start: int = 0, stop: int | None = None) -> None:
        """Raise unless these entries of a section are as they were written."""
        where, size = self._footer.sections[name], SECTIONS[name].itemsize
        until = where.offset + (where.length if stop is None else stop * size)
        if not self.blocks.good(where.offset + start * size, until) and not self._alone(name):
            raise IntegrityError(
                f"{self._path}: section {name} of the row table is damaged"
                + ("" if stop is None else f" between its rows {start} and {stop - 1}")
            )

    def _alone(self, name: str) -> bool:
        """Whether a section is whole, though it lies in a block where something is damaged."""
        if name not in self._whole:
            self._whole[name] = crc32c(self.view(name)) == self._footer.sections[name].crc32c
        return self._whole[name]

    def whole(self, name: str, count: int | None = None) -> NDArray[Any]:
        """Map a section and check all of it."""
        found = self.view(name, count)
        self.check(name)
        return found
