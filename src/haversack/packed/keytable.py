"""The keys of one chunk: from a key to its row, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.keys import hash64
from haversack.packed.sections import Sections


class KeyTable:
    """The key sections of a chunk that has keys, checked where they are used."""

    def __init__(self, path: Path, sections: Sections, rows: int) -> None:
        self._path, self._sections, self._rows = path, sections, rows
        self._hashes = sections.view("key_hash")
        self._held = sections.view("key_row", len(self._hashes))
        self._ends = sections.view("key_end", rows)
        self._text = sections.view("key_text")

    def find(self, key: bytes) -> int | None:
        """Find the row of a key.

        Raises
        ------
        FormatError
            The part of the table that would tell is damaged.
        """
        hashes = self._hashes
        wanted = hash64(key)
        place = int(hashes.searchsorted(np.uint64(wanted)))
        # The search may have been led astray by a damaged entry. It has compared the two it ended
        # between; where these are as they were written, it ended where it had to.
        self._sections.check("key_hash", max(place - 1, 0), min(place + 1, len(hashes)))
        while place < len(hashes) and hashes.item(place) == wanted:
            self._sections.check("key_row", place, place + 1)
            row = self._held.item(place)
            if row >= self._rows:
                raise FormatError(f"{self._path}: a key of row {row} of {self._rows}")
            if self._bytes(row) == key:
                return int(row)
            place += 1
            self._sections.check("key_hash", place, min(place + 1, len(hashes)))
        return None

    def _bytes(self, row: int) -> bytes:
        self._sections.check("key_end", max(row - 1, 0), row + 1)
        start, stop = (self._ends.item(row - 1) if row else 0), self._ends.item(row)
        if not start <= stop <= len(self._text):
            raise FormatError(f"{self._path}: the key of record {row} lies outside the keys")
        self._sections.check("key_text", start, stop)
        return bytes(self._text[start:stop])

    def text(self, row: int) -> bytes | None:
        """Give the bytes of a row's key, None if it has none."""
        found = self._bytes(row)
        return found if found or self.find(b"") == row else None

    def texts(self) -> list[bytes | None]:
        """Give the bytes of all keys, in the order of rows."""
        self.check()
        text, has = self._text.tobytes(), np.zeros(self._rows, bool)
        has[self._held] = True
        ends = self._ends.tolist()
        return [
            text[start:stop] if held else None
            for start, stop, held in zip([0, *ends], ends, has.tolist(), strict=False)
        ]

    def hashes(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give the hashes of all keys, ascending, and the row of each."""
        return self._sections.whole("key_hash"), self._sections.whole("key_row")

    def check(self) -> bool:
        """Raise unless all of the table is as it was written and can be."""
        for name in ("key_hash", "key_row", "key_end", "key_text"):
            self._sections.check(name)
        ends = self._ends
        if (
            (self._hashes[1:] < self._hashes[:-1]).any()
            or (self._held >= self._rows).any()
            or (ends[1:] < ends[:-1]).any()
            or int(ends[-1]) > len(self._text)
        ):
            raise FormatError(f"{self._path}: its keys are no table of keys")
        return True
