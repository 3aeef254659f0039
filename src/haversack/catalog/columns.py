"""Columns of text that stay small at a million rows: one run of bytes, or codes for few values.

What a run holds beyond some 100 kB waits on disk, so a large catalog takes little memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from haversack.catalog.spool import Spool
from haversack.errors import PositionError

_MOST = 1 << 18  # larger blocks that come and go leave holes between columns that grow
_AT_ONCE = 256
_FEW_KINDS = 8
_ROWS = 1 << 16
_NARROW, _WIDE = "I", "q"
_FEW = 1 << 32  # bytes whose ends fit the narrow one
Value = TypeVar("Value", bound=Hashable)
Number = TypeVar("Number", bound=np.generic)


class BytesColumn(Sequence[bytes]):
    """Byte strings end to end, and where each ends; the older ones wait on disk.

    Examples
    --------
    >>> column = BytesColumn()
    >>> column.append(b"one")
    >>> column[0], len(column)
    (b'one', 1)
    """

    def __init__(self) -> None:
        # The last few, which are taken in together.
        self._fresh, self._fresh_bytes = list[bytes](), 0
        self._bytes = bytearray()
        self._ends = array(_NARROW, [0])
        self._spool: Spool | None = None
        self._spooled = 0

    def append(self, value: bytes) -> None:
        self._fresh.append(value)
        self._fresh_bytes += len(value)
        if len(self._fresh) >= _AT_ONCE or self._fresh_bytes >= _MOST:
            self._take_in()

    def extend(self, values: Sequence[bytes | Raw]) -> None:
        self._take_in()
        self.settle(b"".join(values), map(len, values))

    def settle(self, joined: bytes, lengths: Iterable[int]) -> None:
        """Add values that are joined already, so long each; all others are settled."""
        ends = accumulate(lengths, initial=self._ends[-1])
        next(ends)
        settled = list(ends)
        if settled and settled[-1] >= _FEW and self._ends.typecode == _NARROW:
            self._ends = array(_WIDE, self._ends)
        self._ends.fromlist(settled)
        self._bytes += joined
        if len(self._bytes) >= _MOST:
            self._spill()

    def _take_in(self) -> None:
        fresh, self._fresh, self._fresh_bytes = self._fresh, [], 0
        if fresh:
            self.settle(b"".join(fresh), map(len, fresh))

    def _spill(self) -> None:
        self._spool = self._spool or Spool()
        self._spool.append(self._bytes)
        self._spooled = self._spool.size
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._ends) - 1 + len(self._fresh)

    def __getitem__(self, row: int) -> bytes:  # type: ignore[override]
        settled = len(self._ends) - 1
        if row >= settled or row < 0:
            if not 0 <= row < len(self):
                raise no_row(row, len(self))
            return self._fresh[row - settled]
        begin, end = self._ends[row], self._ends[row + 1]
        if begin < self._spooled and self._spool is not None:
            return self._spool.read(begin, end)
        return bytes(self._bytes[begin - self._spooled : end - self._spooled])


class TextColumn(Sequence[str]):
    """Texts, kept as UTF-8 end to end."""

    def __init__(self) -> None:
        self._encoded = BytesColumn()

    def extend(self, values: Sequence[str]) -> None:
        joined = "".join(values).encode()
        plain: Iterable[Any] = values
        if not joined.isascii():
            plain = map(str.encode, values)
        self._encoded.settle(joined, map(len, plain))

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, row: int) -> str:  # type: ignore[override]
        return self._encoded[row].decode()


class CodedColumn(Generic[Value]):
    """Values of which few differ: each row is the number of its value.

    Examples
    --------
    >>> column = CodedColumn()
    >>> for value in ["red", "nir", "red"]:
    ...     column.append(value)
    >>> column[2], column.codes.tolist(), column.values
    ('red', [0, 1, 0], ['red', 'nir'])
    """

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._code_of: dict[Value, int] = {}
        self._codes = array("i")

    def code(self, value: Value) -> int:
        """Give the code of a value, a new one where it is new."""
        found = self._code_of.get(value)
        if found is None:
            found = self._code_of[value] = len(self.values)
            self.values.append(value)
        return found

    def find(self, value: Value) -> int | None:
        return self._code_of.get(value)

    def append(self, value: Value) -> None:
        self._codes.append(self.code(value))

    def extend(self, values: Iterable[Value]) -> None:
        self._codes.fromlist([self.code(value) for value in values])

    @property
    def codes(self) -> NDArray[np.int32]:
        return numbers(self._codes, np.int32)

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, row: int) -> Value:
        try:
            return self.values[self._codes[row]]
        except IndexError:
            raise no_row(row, len(self)) from None

    def __iter__(self) -> Iterator[Value]:
        return (self.values[code] for code in self._codes)


class KindColumn(Generic[Value]):
    """Values that rows of one kind share: each row is the number of its kind.

    Parameters
    ----------
    kinds
        The kind of each row, which several columns have in common.

    Examples
    --------
    >>> kinds = array("i", [0, 1, 0])
    >>> column = KindColumn(kinds)
    >>> column.add_kind("red"), column.add_kind("nir")
    (None, None)
    >>> column[2], column.codes.tolist(), column.mask([False, True]).tolist()
    ('red', [0, 1, 0], [False, True, False])
    """

    def __init__(self, kinds: array[int]) -> None:
        self._kinds = kinds
        self._of_kind: CodedColumn[Value] = CodedColumn()

    def add_kind(self, value: Value) -> None:
        """Give the value of the next kind."""
        self._of_kind.append(value)

    @property
    def values(self) -> list[Value]:
        return self._of_kind.values

    @property
    def codes(self) -> NDArray[np.int32]:
        """The number of each row's value, in ``values``."""
        found: NDArray[np.int32] = self._of_kind.codes[self._kind()]
        return found

    def mask(self, chosen: Sequence[bool]) -> NDArray[np.bool_]:
        """Mask the rows of some values, each of which is chosen or not."""
        of_kinds, kinds = np.array(chosen, bool)[self._of_kind.codes], self._kind()
        few = np.flatnonzero(of_kinds).tolist()
        if len(few) > _FEW_KINDS:  # to look each row up is faster than to compare with so many
            looked_up: NDArray[np.bool_] = of_kinds[kinds]
            return looked_up
        found = np.zeros(len(kinds), bool)
        for kind in few:
            found |= kinds == kind
        return found

    def among(self, rows: NDArray[np.bool_]) -> set[Value]:
        """Give the values of some rows."""
        of_kinds = np.bincount(self._kind().compress(rows))
        return {self._of_kind[kind] for kind in np.flatnonzero(of_kinds).tolist()}

    def _kind(self) -> NDArray[np.int32]:
        return numbers(self._kinds, np.int32)

    def __len__(self) -> int:
        return len(self._kinds)

    def __getitem__(self, row: int) -> Value:
        try:
            return self._of_kind[self._kinds[row]]
        except IndexError:
            raise no_row(row, len(self)) from None

    def __iter__(self) -> Iterator[Value]:
        return (self._of_kind[kind] for kind in self._kinds)


def no_row(row: int, count: int) -> PositionError:
    """Say that there is no such row."""
    return PositionError(f"there is no row {row}: there are {count}, numbered from 0 on")


def pieces(column: NDArray[Number]) -> Iterator[NDArray[Number]]:
    """Yield a column in pieces, at least one, for what numpy looks up at once takes much memory."""
    for begin in range(0, max(1, len(column)), _ROWS):
        yield column[begin : begin + _ROWS]


def numbers(values: array[int] | array[float], dtype: type[Number]) -> NDArray[Number]:
    """View an array of numbers as numpy's, without a copy."""
    return np.frombuffer(values, dtype) if values else np.empty(0, dtype)
