"""Filter records by SQL over their metadata: DuckDB on exactly the index files of a version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from haversack.errors import UsageError
from haversack.packed.encoding.columns import MIXED
from haversack.packed.encoding.metadata import loads
from haversack.packed.manifests.index import make_table, plain_fields
from haversack.packed.reading.locate import Positions

if TYPE_CHECKING:
    from haversack.packed.reading.snapshot import Snapshot

_JOURNAL = "_journal"  # the name that its records have in place of a file's

# Nothing is fetched from anywhere: what a query needs is in DuckDB itself.
OFFLINE: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def source(snapshot: Snapshot) -> str:
    """Write the query that gives the records of a version's chunks: files, rows, keys, columns."""
    files = ", ".join(_text(str(path.absolute())) for path in snapshot.index_paths())
    return (
        f"SELECT {_columns_of(snapshot)} FROM read_parquet([{files}], union_by_name => true, "  # noqa: S608
        "filename => '_file', file_row_number => true, hive_partitioning => false)"
        f"{_without_deleted(snapshot)}"
    )


def whole_source(snapshot: Snapshot) -> str:
    """Write the query of all records, for others to use.

    Raises
    ------
    UsageError
        Some lie in the journal, which only haversack reads.
    """
    if snapshot.tail is not None and snapshot.tail.rows:
        raise UsageError(
            f"the latest {snapshot.tail.rows} records of {snapshot.root} lie in its journal: "
            "`PackWriter(path).close()` seals them into a file that SQL reads"
        )
    return source(snapshot)


def _columns_of(snapshot: Snapshot) -> str:
    manifest = snapshot.manifest
    there = {*manifest.columns, *(["_key"] if any(c.keys for c in manifest.chunks) else [])}
    columns = [name for name in _columns(snapshot) if name in there]
    return ", ".join(map(_name, ["_file", "file_row_number", "_meta", *columns]))


def _without_deleted(snapshot: Snapshot) -> str:
    lists = []
    for number, path in enumerate(snapshot.index_paths()):
        rows = ", ".join(map(str, snapshot.gone_of(number).tolist()))
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
    if not snapshot.rows:
        return np.empty(0, np.int64)
    for number in range(len(snapshot.manifest.chunks)):
        snapshot.index(number).check()
    files, rows = _run(snapshot, predicate)
    names = [str(path.absolute()) for path in snapshot.index_paths()]
    starts = dict(zip([*names, _JOURNAL], snapshot.chunk_starts, strict=True))
    first = np.fromiter((starts[file] for file in files), np.int64, len(files))
    return snapshot.positions_of(np.sort(first + rows))


def _run(snapshot: Snapshot, predicate: str) -> tuple[list[str], Any]:
    import duckdb

    with duckdb.connect(":memory:", config=OFFLINE) as connection:
        parts = [source(snapshot)] if snapshot.manifest.chunks else []
        if snapshot.tail is not None and snapshot.tail.rows:
            connection.register(_JOURNAL, _journal_table(snapshot))
            parts.append(f"SELECT * FROM {_JOURNAL}")  # noqa: S608
        _confine(connection, snapshot)
        try:
            chosen = connection.sql(" UNION ALL BY NAME ".join(parts)).filter(predicate)
            found = chosen.project("_file, file_row_number").fetchnumpy()
        except duckdb.Error as error:
            raise UsageError(_explained(snapshot, predicate, error)) from error
    return list(map(str, found["_file"])), np.asarray(found["file_row_number"], np.int64)


def _journal_table(snapshot: Snapshot) -> Any:
    """Lay out the live records of the journal as an index file would be."""
    tail = snapshot.tail
    assert tail is not None
    live = tail.live()
    texts = [tail.row(row).text for row in live]
    keys = {key: at for at, row in enumerate(live) if (key := tail.row(row).key) is not None}
    fields = [plain_fields(loads(text)) for text in texts]
    table, _ = make_table(texts, fields, keys, tail.key_type)
    kept = [name for name in table.column_names if name in ("_meta", *_columns(snapshot))]
    return (
        table.select(kept)
        .append_column("_file", [[_JOURNAL] * len(live)])
        .append_column("file_row_number", [live])
    )


def _confine(connection: Any, snapshot: Snapshot) -> None:
    """Let a predicate, which may hold subqueries, read the index files and no others."""
    paths = ", ".join(_text(str(path.absolute())) for path in snapshot.index_paths())
    connection.execute(f"SET allowed_paths = [{paths}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _explained(snapshot: Snapshot, predicate: str, error: Exception) -> str:
    known, said = _columns(snapshot), str(error).splitlines()[0]
    for name in snapshot.columns:
        if name not in known and re.search(f'column "{re.escape(name)}" not', said, re.IGNORECASE):
            return _why_no_column(snapshot, name)
    return f"cannot filter by {predicate!r}: {said}; the columns are: {', '.join(known) or 'none'}"


def _why_no_column(snapshot: Snapshot, name: str) -> str:
    """Say why values are in no column, and how to ask for them all the same."""
    alike = [other for other in snapshot.columns if other.casefold() == name.casefold()]
    path = _text(f'$."{name}"')
    value = f"_meta->>{path}"
    if len(alike) > 1:
        names = ", ".join(map(repr, sorted(alike)))
        return f"{names} differ by case only, which SQL does not see: write {value} for {name!r}"
    return (
        f"column {name!r} has values of several types ({', '.join(snapshot.columns[name])}): write "
        f"TRY_CAST({value} AS DOUBLE), or AS VARCHAR, instead of its name"
    )


def _columns(snapshot: Snapshot) -> list[str]:
    """Name the columns that a query can use: those of one type, and of one spelling."""
    columns = snapshot.columns
    folded = [name.casefold() for name in columns]
    keyed = [] if snapshot.key_type is None else ["_key"]
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
