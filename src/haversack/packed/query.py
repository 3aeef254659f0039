"""Filter records by SQL over their metadata: DuckDB on exactly the index files of a version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from haversack.errors import UsageError
from haversack.packed.parts import Positions
from haversack.packed.table import MIXED

if TYPE_CHECKING:
    from haversack.packed.snapshot import Snapshot

# Nothing is fetched from anywhere: what a query needs is in DuckDB itself.
_OFFLINE: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def source(snapshot: Snapshot) -> str:
    """Write the query that gives a version's records: their files, rows, keys and columns."""
    files = ", ".join(_text(str(path.absolute())) for path in snapshot.index_paths())
    columns = ["_file", "file_row_number", "_meta", *_columns(snapshot)]
    named = ", ".join(map(_name, columns))
    return (
        f"SELECT {named} FROM read_parquet([{files}], union_by_name => true, "  # noqa: S608
        "filename => '_file', file_row_number => true, hive_partitioning => false)"
        f"{_without_deleted(snapshot)}"
    )


def _without_deleted(snapshot: Snapshot) -> str:
    lists = []
    for number, path in enumerate(snapshot.index_paths()):
        rows = ", ".join(map(str, snapshot.deleted(number).tolist()))
        if rows:
            file = _text(str(path.absolute()))
            lists.append(f"NOT (_file = {file} AND file_row_number IN ({rows}))")
    return f" WHERE {' AND '.join(lists)}" if lists else ""


def matching(snapshot: Snapshot, predicate: str) -> Positions:
    """Find the positions whose metadata satisfy a predicate, in ascending order.

    Raises
    ------
    UsageError
        The predicate is not SQL, or asks for a column that is not there or of conflicting types.
    """
    if not snapshot.manifest.chunks:
        return np.empty(0, np.int64)
    for number in range(len(snapshot.manifest.chunks)):
        snapshot.index(number).check()
    files, rows = _run(snapshot, predicate)
    starts = {
        str(path.absolute()): start
        for path, start in zip(snapshot.index_paths(), snapshot.chunk_starts, strict=False)
    }
    first = np.fromiter((starts[file] for file in files), np.int64, len(files))
    return np.sort(first + rows)


def _run(snapshot: Snapshot, predicate: str) -> tuple[list[str], Any]:
    import duckdb

    with duckdb.connect(":memory:", config=_OFFLINE) as connection:
        _confine(connection, snapshot)
        try:
            chosen = connection.sql(source(snapshot)).filter(predicate)
            found = chosen.project("_file, file_row_number").fetchnumpy()
        except duckdb.Error as error:
            raise UsageError(_explained(snapshot, predicate, error)) from error
    return list(map(str, found["_file"])), np.asarray(found["file_row_number"], np.int64)


def _confine(connection: Any, snapshot: Snapshot) -> None:
    """Let a predicate, which may hold subqueries, read the index files and no others."""
    paths = ", ".join(_text(str(path.absolute())) for path in snapshot.index_paths())
    connection.execute(f"SET allowed_paths = [{paths}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _explained(snapshot: Snapshot, predicate: str, error: Exception) -> str:
    for name, types in snapshot.manifest.columns.items():
        if name not in _columns(snapshot) and re.search(rf"\b{re.escape(name)}\b", predicate):
            path = _text(f'$."{name}"')
            return (
                f"column {name!r} has values of several types ({', '.join(types)}): write "
                f"CAST(_meta->>{path} AS DOUBLE), or AS VARCHAR, instead of its name"
            )
    known = ", ".join(_columns(snapshot)) or "none"
    return f"cannot filter by {predicate!r}: {str(error).splitlines()[0]}; the columns are: {known}"


def _columns(snapshot: Snapshot) -> list[str]:
    """Name the columns that a query can use: those of one type, and of one spelling."""
    columns = snapshot.manifest.columns
    folded = [name.casefold() for name in columns]
    keyed = ["_key"] if any(entry.keys for entry in snapshot.manifest.chunks) else []
    return keyed + [
        name
        for name, types in columns.items()
        if MIXED not in types
        and (len(types) == 1 or set(types) == {"int", "double"})
        and folded.count(name.casefold()) == 1
    ]


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
