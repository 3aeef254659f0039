"""Choose items by a predicate on their properties: a function, or SQL."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.catalog.columns import BytesColumn
from haversack.catalog.kinds import some
from haversack.catalog.stac import parse
from haversack.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from haversack.catalog.catalog import Catalog

Where = str | Callable[[dict[str, Any]], bool]
Rows = NDArray[np.int64]
_ROW = "_row"
_ROWS, _BYTES = 4096, 1 << 20  # decoded at once
_KEPT_MOST = 128 << 20
_objects = msgspec.json.Decoder(list[dict[str, Any]])


def by_properties(catalog: Catalog, rows: Rows, where: Where) -> Rows:
    """Choose from some rows of items those whose properties satisfy a predicate, in any order.

    Raises
    ------
    UsageError
        The predicate is no SQL, or names what no item has.
    """
    if not callable(where):
        return catalog.kept.satisfying(catalog, rows, where) if len(rows) else rows
    found = chain.from_iterable(_properties(catalog, rows))
    chosen: Rows = rows[np.fromiter((bool(where(each)) for each in found), bool, len(rows))]
    return chosen


class Kept:
    """What SQL needs of a catalog and takes long to get: columns of properties, a connection.

    Those of the items that were asked about last are kept where they are small, so that the next
    predicate on the same items takes milliseconds. They are no part of the catalog: a copy begins
    without.
    """

    def __init__(self) -> None:
        self._columns: _Columns | None = None
        # A forked child opens one of its own, and leaves that of its parent alone.
        self._connections: dict[int, Any] = {}

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()

    def satisfying(self, catalog: Catalog, rows: Rows, where: str) -> Rows:
        """Choose from some rows, at least one, those that satisfy SQL."""
        import duckdb

        columns = self._columns_of(catalog, rows)
        try:
            with self._connection().cursor() as cursor:
                chosen = cursor.from_arrow(columns.table).filter(where).project(_ROW).fetchnumpy()
        except duckdb.Error as error:
            reason, names = str(error).splitlines()[0], sorted(columns.table.column_names[:-1])
            raise UsageError(
                f"cannot choose by {where!r}: {reason}; of the properties, {some(names)} "
                f"(write names with a colon in double quotes){columns.left_out()}"
            ) from None
        found: Rows = np.asarray(chosen[_ROW], np.int64)
        return found

    def _columns_of(self, catalog: Catalog, rows: Rows) -> _Columns:
        # Two threads may both lay them out: a lock might be held for ever in a forked child.
        columns = self._columns
        if columns is None or not np.array_equal(columns.rows, rows):
            columns = _lay_out(catalog, rows)
            self._columns = columns if columns.table.nbytes <= _KEPT_MOST else None
        return columns

    def _connection(self) -> Any:
        import duckdb

        from haversack.packed.query import OFFLINE

        process = os.getpid()
        if process not in self._connections:
            # No file is read: a predicate may hold subqueries. One thread is enough, and leaves
            # none behind that a fork would lose.
            confined = {"enable_external_access": False, "threads": 1, "lock_configuration": True}
            self._connections[process] = duckdb.connect(":memory:", config=OFFLINE | confined)
        return self._connections[process]


@dataclass(frozen=True, slots=True)
class _Columns:
    """The properties of some rows of items, and at the end the numbers of these rows.

    ``others`` are names of properties that SQL cannot ask for.
    """

    rows: Rows
    table: pa.Table
    others: tuple[str, ...]

    def left_out(self) -> str:
        """Say what is no column, if anything."""
        if not self.others:
            return ""
        names = ", ".join(map(repr, sorted(self.others)[:5]))
        return (
            f"; no column can be {names}: objects, values of several kinds, or names that "
            "differ in case alone; a function as where can ask for them"
        )


def _lay_out(catalog: Catalog, rows: Rows) -> _Columns:
    import pyarrow as pa

    from haversack.packed.encoding.columns import MIXED, column_type

    arrays: dict[str, Any] = {}
    others: list[str] = []
    values_of = _by_name(_properties(catalog, rows))
    spellings = Counter(map(str.casefold, values_of))
    for name in list(values_of):
        values = values_of.pop(name)
        kind = column_type(values)
        # SQL names know no case: of two spellings it might take the wrong one.
        if kind == MIXED or spellings[name.casefold()] > 1:
            others.append(name)
        elif kind is not None:
            arrays[name] = _array(values, kind)
    arrays[_ROW] = pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)])
    return _Columns(rows, pa.table(arrays), tuple(others))


def _by_name(batches: Iterator[list[dict[str, Any]]]) -> dict[str, list[Any]]:
    """Give each name with the values that the items have for it, None where they have none."""
    from haversack.packed.encoding.columns import is_unicode
    from haversack.packed.manifests.index import plain_fields

    found: dict[str, list[Any]] = {}
    count = 0
    for batch in batches:
        names = dict.fromkeys(chain.from_iterable(batch))
        for name in plain_fields(names):
            if name not in found and is_unicode(name):
                found[name] = [None] * count
        for name, values in found.items():
            values.extend([each.get(name) for each in batch])
        count += len(batch)
    return found


def _array(values: list[Any], kind: str) -> Any:
    """Make an Arrow array; texts of which few differ are numbers of these."""
    import pyarrow as pa

    from haversack.packed.encoding.columns import arrow_array

    distinct = dict.fromkeys(values) if kind == "text" else {}
    if not distinct or len(distinct) * 4 > len(values):
        return arrow_array(values, kind)
    distinct.pop(None, None)
    number_of: dict[Any, int] = {text: number for number, text in enumerate(distinct)}
    numbers = np.fromiter((number_of.get(value, -1) for value in values), np.int32, len(values))
    there = pa.py_buffer(np.packbits(numbers >= 0, bitorder="little"))
    buffers = [there, pa.py_buffer(np.maximum(numbers, 0))]
    codes = pa.Array.from_buffers(pa.int32(), len(values), buffers)
    return pa.DictionaryArray.from_arrays(codes, arrow_array(list(distinct), "text"))


def _properties(catalog: Catalog, rows: Rows) -> Iterator[list[dict[str, Any]]]:
    """Yield the properties of some rows of items, thousands at once."""
    for batch, told in _batches(catalog.items.properties, rows.tolist()):
        try:
            yield _objects.decode(b"[" + b",".join(told) + b"]")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            names = [f"{catalog.path}: {catalog.items.place[row]}" for row in batch]
            yield [parse(*each) for each in zip(told, names, strict=True)]


def _batches(column: BytesColumn, rows: list[int]) -> Iterator[tuple[list[int], list[bytes]]]:
    begin, told, size = 0, list[bytes](), 0
    for end, row in enumerate(rows, 1):
        value = column[row]
        told.append(value)
        size += len(value)
        if len(told) >= _ROWS or size >= _BYTES or end == len(rows):
            yield rows[begin:end], told
            begin, told, size = end, [], 0
