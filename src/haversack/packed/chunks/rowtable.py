"""Where the payloads of a chunk's rows lie: by a fixed stride, by slots, or by a table.

A table is checked in groups of rows, each when one of its rows is first used: its bytes against
their checksums, then every number in it, so that reading need not ask again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.chunks.layout import PAYLOADS, Footer, scalars
from haversack.packed.chunks.sections import Sections
from haversack.packed.encoding.kinds import Kind

_GROUP_BITS: Final = 13
GROUP: Final = 1 << _GROUP_BITS  # rows that are admitted together
Rows = NDArray[np.int64]
Spans = tuple[NDArray[np.int64], NDArray[np.int64]]


class Strided:
    """Rows of one size, one behind the other."""

    whole = True  # whether all rows were admitted

    def __init__(self, path: Path, footer: Footer, stride: int) -> None:
        self.stride = stride
        if footer.slots * stride > footer.payload_end - PAYLOADS:
            raise FormatError(f"{path}: {footer.slots} records do not fit in it")

    def admit(self, rows: Rows) -> None:
        """Check the table's part for these rows."""

    def span(self, row: int) -> tuple[int, int]:
        """Say where a row's payload begins and ends."""
        start = PAYLOADS + row * self.stride
        return start, start + self.stride

    def spans(self, rows: Rows) -> Spans:
        """Say where these rows' payloads begin and end."""
        starts = PAYLOADS + rows * self.stride
        return starts, starts + self.stride

    def kind(self, row: int) -> int:  # noqa: ARG002
        """Give the number of the kind of a row."""
        return 0

    def kinds(self, rows: Rows) -> NDArray[Any]:
        """Give the numbers of the kinds of these rows."""
        return np.zeros(len(rows), np.uint32)


class Grouped(ABC):
    """A table whose rows are admitted in groups."""

    names: tuple[str, ...]

    def __init__(self, path: Path, sections: Sections, footer: Footer) -> None:
        self._path, self._sections, self._footer = path, sections, footer
        self._rows = footer.rows
        self._admitted = bytearray(-(-footer.rows >> _GROUP_BITS))
        self._flags = np.frombuffer(self._admitted, np.uint8)
        self.whole = False

    def admit(self, rows: Rows) -> None:
        """Check the table's part for these rows.

        Raises
        ------
        IntegrityError, FormatError
            It is damaged, or its numbers cannot be.
        """
        if self.whole:
            return
        groups = rows >> _GROUP_BITS
        unknown = groups[self._flags.take(groups) == 0]
        for group in np.unique(unknown).tolist():
            self._admit(group)

    def admit_one(self, row: int) -> None:
        """Check the table's part for this row."""
        if not self._admitted[row >> _GROUP_BITS]:
            self._admit(row >> _GROUP_BITS)

    def _admit(self, group: int) -> None:
        start = group << _GROUP_BITS
        stop = min(start + GROUP, self._rows)
        for name in self.names:
            self._sections.check(name, start, stop)
        self._judge(start, stop)
        self._admitted[group] = 1
        self.whole = self._admitted.find(0) < 0

    @abstractmethod
    def _judge(self, start: int, stop: int) -> None:
        """Raise where the numbers of some rows, whose checksums are right, cannot be."""


class Slotted(Grouped, Strided):
    """Payloads of one size, one behind the other, each for one or more rows."""

    names = ("slot",)

    def __init__(self, path: Path, sections: Sections, footer: Footer, stride: int) -> None:
        Strided.__init__(self, path, footer, stride)
        Grouped.__init__(self, path, sections, footer)
        self.slots = sections.view("slot", footer.rows)
        self.slots_at = footer.sections["slot"].offset

    def _judge(self, start: int, stop: int) -> None:
        if int(self.slots[start:stop].max()) >= self._footer.slots:
            row = start + int(self.slots[start:stop].argmax())
            raise FormatError(
                f"{self._path}: the row table gives record {row} the slot {self.slots[row]} "
                f"of {self._footer.slots}"
            )

    def span(self, row: int) -> tuple[int, int]:
        self.admit_one(row)
        return Strided.span(self, self.slots.item(row))

    def spans(self, rows: Rows) -> Spans:
        self.admit(rows)
        return Strided.spans(self, self.slots.take(rows).astype(np.int64))


class Listed(Grouped):
    """Rows of any kind, each with its offset, length and kind."""

    names = ("offset", "length", "kind")

    def __init__(
        self, path: Path, sections: Sections, footer: Footer, kinds: Sequence[Kind]
    ) -> None:
        super().__init__(path, sections, footer)
        rows = footer.rows
        self._offsets = sections.view("offset", rows)
        self._lengths = sections.view("length", rows)
        self._kinds = sections.view("kind", rows)
        # Of rows that were admitted. Single numbers are taken from these at a third of the cost.
        self.start_of, self._length_of = scalars(self._offsets), scalars(self._lengths)
        self.kind_of = scalars(self._kinds)
        self._sizes = np.array([kind.nbytes for kind in kinds], "<u8")
        self._raw = np.array([kind.codec == "none" for kind in kinds], bool)

    def _judge(self, start: int, stop: int) -> None:
        rows, end = slice(start, stop), self._footer.payload_end
        offset, length, kind = self._offsets[rows], self._lengths[rows], self._kinds[rows]
        if int(kind.max()) >= len(self._sizes):
            row = start + int(kind.argmax())
            raise FormatError(f"{self._path}: record {row} is of a kind that is not listed")
        # Unsigned and subtracting, so that no sum can overflow.
        outside = (offset < PAYLOADS) | (offset > end) | (length > np.uint64(end) - offset)
        sizes = self._sizes[kind]
        outside |= np.where(self._raw[kind], length != sizes, (length == 0) & (sizes > 0))
        if outside.any():
            row = start + int(outside.argmax())
            raise FormatError(
                f"{self._path}: the row table places record {row} at {self._offsets[row]} with "
                f"{self._lengths[row]} bytes, where it cannot be"
            )

    def span(self, row: int) -> tuple[int, int]:
        """Say where a row's payload begins and ends."""
        self.admit_one(row)
        start = self.start_of[row]
        return start, start + self._length_of[row]

    def spans(self, rows: Rows) -> Spans:
        """Say where these rows' payloads begin and end."""
        self.admit(rows)
        starts = self._offsets.take(rows).astype(np.int64)
        return starts, starts + self._lengths.take(rows)

    def kind(self, row: int) -> int:
        """Give the number of the kind of a row."""
        self.admit_one(row)
        return self.kind_of[row]

    def kinds(self, rows: Rows) -> NDArray[Any]:
        """Give the numbers of the kinds of these rows."""
        self.admit(rows)
        return self._kinds.take(rows)


RowTable = Strided | Slotted | Listed
