"""The keys of one chunk: from a key to its row, and back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.chunks.layout import scalars
from haversack.packed.chunks.sections import Sections
from haversack.packed.encoding.keys import hash64

_SECTIONS: Final = ("key_hash", "key_row", "key_end", "key_text")
_PATIENCE: Final = 1000


class KeyTable:
    """The key sections of a chunk that has keys.

    Each part is checked when it is used. Who asks for many keys uses all of them: then they are
    checked once as a whole, and no longer one by one.
    """

    def __init__(self, path: Path, sections: Sections, rows: int) -> None:
        self._path, self._sections, self._rows = path, sections, rows
        self._hashes = sections.view("key_hash")
        self._count = len(self._hashes)
        self._held = sections.view("key_row", self._count)
        self._ends = sections.view("key_end", rows)
        self._hash_of, self._row_of = scalars(self._hashes), scalars(self._held)
        self._end_of, self._text = scalars(self._ends), scalars(sections.view("key_text"))
        self._sure, self._asked = False, 0

    def find(self, key: bytes) -> int | None:
        """Find the row of a key.

        Raises
        ------
        FormatError
            The part of the table that would tell is damaged.
        """
        wanted = hash64(key)
        place = int(self._hashes.searchsorted(np.uint64(wanted)))
        if not self._sure:
            self._doubt(place)
        while place < self._count and self._hash_of[place] == wanted:
            row = self._row_at(place)
            if self._bytes(row) == key:
                return row
            place += 1
            self._sections.check("key_hash", place, min(place + 1, self._count))
        return None

    def _doubt(self, place: int) -> None:
        """Check that a search has ended where it had to.

        A damaged entry may have led it astray. It has compared the two that it ended between; where
        these are as they were written, all others lie on the right side.
        """
        self._asked += 1
        if self._asked == _PATIENCE:
            with suppress(FormatError):
                self.check()
                self._sure = True
        self._sections.check("key_hash", max(place - 1, 0), min(place + 1, self._count))

    def _row_at(self, place: int) -> int:
        if not self._sure:
            self._sections.check("key_row", place, place + 1)
        row = self._row_of[place]
        if row >= self._rows:
            raise FormatError(f"{self._path}: a key of row {row} of {self._rows}")
        return row

    def _bytes(self, row: int) -> bytes:
        if not self._sure:
            self._sections.check("key_end", max(row - 1, 0), row + 1)
        start, stop = (self._end_of[row - 1] if row else 0), self._end_of[row]
        if not start <= stop <= len(self._text):
            raise FormatError(f"{self._path}: the key of record {row} lies outside the keys")
        if not self._sure:
            self._sections.check("key_text", start, stop)
        return bytes(self._text[start:stop])

    def is_key(self, row: int, key: bytes) -> bool:
        """Whether a row has this key."""
        return row < self._rows and self._bytes(row) == key and self.text(row) is not None

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
        for name in _SECTIONS:
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


def key_sections(keys: dict[bytes, int], rows: int) -> dict[str, NDArray[Any]]:
    """Lay out the keys of a chunk (key -> row, in the order of rows) as sections of its table."""
    hashes = np.fromiter(map(hash64, keys), "<u8", len(keys))
    held = np.fromiter(keys.values(), "<u4", len(keys))
    order = np.lexsort((held, hashes))
    lengths = np.zeros(rows, "<u8")
    lengths[held] = np.fromiter(map(len, keys), "<u8", len(keys))
    return {
        "key_hash": hashes[order],
        "key_row": held[order],
        "key_end": np.cumsum(lengths, dtype="<u8"),
        "key_text": np.frombuffer(b"".join(keys), np.uint8),
    }
