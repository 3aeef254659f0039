"""Index files: a Parquet row for each record, with its key, its metadata, and typed columns.

``_meta`` is the truth. A typed column exists for queries, where the values of one key share a
scalar or list type in the whole chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed.encoding.columns import MIXED, TYPES, arrow_array, column_type, is_unicode
from haversack.packed.encoding.keys import KeyType, key_from_bytes
from haversack.packed.encoding.metadata import loads
from haversack.packed.manifests.kept import missing
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.manifests.places import index_path
from haversack.storage.checksum import crc32c
from haversack.storage.looking import refuse_endless
from haversack.storage.publish import TEMPORARY_SUFFIX, storage_error, writing

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_GROUP = 16_384
RESERVED = "file_row_number"  # what DuckDB calls the rows of a file, in any case


@dataclass(frozen=True, slots=True)
class Written:
    """An index file that is whole and synced: its size, its checksum, its columns' types."""

    size: int
    crc32c: int
    columns: dict[str, str]


# Writing.


def plain_fields(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """Copy the metadata that may become columns: names that do not begin with ``_``."""
    fields = {}
    for name, value in metadata.items():
        if type(name) is str and name and name[0] != "_" and name.lower() != RESERVED:
            fields[name] = value if type(value) in TYPES else _plain(value)
    return fields


def _plain(value: Any) -> Any:
    """Turn numpy's and pandas' values into Python's, and copy lists, which may change later."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime) and hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value


def write_index(
    path: Path,
    texts: list[str],
    fields: list[dict[str, Any]],
    keys: dict[bytes, int],
    kind: KeyType | None,
) -> Written:
    """Write the index file of a chunk and sync it (its folder is not yet synced)."""
    import pyarrow.parquet as pq

    table, columns = make_table(texts, fields, keys, kind)
    temporary = path.with_name(f".{path.stem}{TEMPORARY_SUFFIX}")
    try:
        with writing(temporary) as file:
            pq.write_table(
                table,
                file,
                row_group_size=_GROUP,
                compression="zstd",
                write_page_index=False,
                write_page_checksum=True,  # so that what is whole of a damaged file can be told
                store_schema=False,
            )
        size, checksum = _checksum(temporary)
        temporary.rename(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error("write", path, error) from error
    return Written(size, checksum, columns)


def make_table(
    texts: list[str], fields: list[dict[str, Any]], keys: dict[bytes, int], kind: KeyType | None
) -> tuple[pa.Table, dict[str, str]]:
    """Build the table of some records, and name the types of its columns."""
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    if keys and kind is not None:
        held: list[Any] = [None] * len(texts)
        for data, row in keys.items():
            held[row] = key_from_bytes(data, kind)
        arrays["_key"] = arrow_array(held, kind)
    arrays["_meta"] = arrow_array(texts, "text")
    columns: dict[str, str] = {}
    for name, values in _by_name(fields):
        found = column_type(values)
        if found is None:
            continue
        columns[name] = found
        if found != MIXED and not _clashes(name, arrays):
            arrays[name] = arrow_array(values, found)
    return pa.Table.from_arrays(list(arrays.values()), list(arrays)), columns


def column_types(fields: list[dict[str, Any]]) -> dict[str, str]:
    """Name the type of each key of any of these records that can be a column."""
    found = ((name, column_type(values)) for name, values in _by_name(fields))
    return {name: kind for name, kind in found if kind is not None}


def _by_name(fields: list[dict[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Give each name with the values that the records have for it, None where they have none."""
    for name in dict.fromkeys(chain.from_iterable(fields)):
        if is_unicode(name):
            yield name, [record.get(name) for record in fields]


def _clashes(name: str, arrays: Mapping[str, Any]) -> bool:
    # SQL names know no case: the second spelling stays in _meta alone.
    return any(name.casefold() == other.casefold() for other in arrays)


def _checksum(path: Path) -> tuple[int, int]:
    data = np.fromfile(path, np.uint8)
    return len(data), crc32c(data)


# Reading.


class IndexFile:
    """The index file of one chunk, checked as a whole before its first use."""

    def __init__(self, root: Path, entry: ChunkEntry) -> None:
        self.path, self._entry, self._checked = index_path(root, entry.id), entry, False
        self._root = root
        self._groups: dict[int, Any] = {}

    def check(self) -> None:
        """Compare the file with what the manifest says of it.

        Raises
        ------
        IntegrityError
            It is missing, cut short or changed.
        """
        if self._checked:
            return
        try:
            refuse_endless(self.path)
            found = _checksum(self.path)
        except FileNotFoundError:
            raise missing(self._root, self.path, self._entry.rows) from None
        except OSError as error:
            raise storage_error("read", self.path, error) from error
        if found != (self._entry.index_bytes, self._entry.index_crc32c):
            raise IntegrityError(
                f"{self.path} is damaged: its bytes disagree with their checksum in the manifest"
            )
        self._checked = True

    def metadata(self, row: int) -> dict[Any, Any]:
        """Give the metadata of one row."""
        return loads(self._group(row // _GROUP)[row % _GROUP].as_py())

    def texts_of(self, rows: NDArray[np.int64]) -> list[str]:
        """Give the metadata of some rows as JSON; neighbours are read together."""
        groups, texts = rows // _GROUP, list[str]()
        for piece in np.split(rows, np.flatnonzero(np.diff(groups)) + 1) if len(rows) else ():
            texts += self._group(int(piece[0]) // _GROUP).take(piece % _GROUP).to_pylist()
        return texts

    def _group(self, group: int) -> Any:
        if group not in self._groups:
            if len(self._groups) >= 64:
                self._groups.clear()
            self._groups[group] = self._read_group(group)
        return self._groups[group]

    def texts(self) -> list[str]:
        """Give the metadata of all rows as JSON."""
        with self._opened() as file:
            texts: list[str] = file.read(columns=["_meta"]).column(0).to_pylist()
        if len(texts) != self._entry.rows:
            raise FormatError(f"{self.path} has {len(texts)} rows instead of {self._entry.rows}")
        return texts

    def _read_group(self, group: int) -> Any:
        with self._opened() as file:
            if file.metadata.num_rows != self._entry.rows:
                raise FormatError(
                    f"{self.path} has {file.metadata.num_rows} rows instead of {self._entry.rows}"
                )
            return file.read_row_group(group, columns=["_meta"]).column(0).combine_chunks()

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        import pyarrow.parquet as pq

        self.check()
        try:
            with pq.ParquetFile(self.path) as file:
                yield file
        except FileNotFoundError:
            raise missing(self._root, self.path, self._entry.rows) from None
        except OSError as error:
            raise storage_error("read", self.path, error) from error
