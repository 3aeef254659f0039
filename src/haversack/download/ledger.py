"""What a download remembers of the files it has published: a cache, never the truth.

Whatever stands under a final name is whole, because it came there by rename. The ledger saves the
next run from hashing and asking. Lost or damaged, it costs time and nothing else. The format is in
``docs/spec/ledger.md``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from haversack.download.outcome import Version

LEDGER_NAME = "mlhub_stac_assets.db"
_APPLICATION = 0x68617665  # "have"
_VERSION = 1
_TABLE = """CREATE TABLE files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    checksum TEXT NOT NULL, etag TEXT, last_modified TEXT
) WITHOUT ROWID"""

_AT_ONCE = 100  # rows of one statement, so that even an old SQLite takes their values
_ROW = "(?, ?, ?, ?, ?, ?)"


class Entry(NamedTuple):
    """A published file: its path (relative to the ledger, ``/`` between parts) and what it was.

    ``checksum`` is the SHA-256 as hex multihash; ``etag`` and ``last_modified`` are the server's.
    """

    path: str
    size: int
    mtime_ns: int
    checksum: str
    etag: str | None = None
    last_modified: str | None = None

    def version(self) -> Version:
        """Give what the server is asked by whether it has another."""
        return Version(self.etag, self.last_modified, self.size)


class Ledger:
    """The ledger in one file; made when missing, made anew when it is damaged or no ledger.

    Only the process that holds a dataset's lease opens it, so it takes no lock: locks fail on
    network file systems.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "a.tif").write_bytes(b"pixels")
    >>> with Ledger(root / LEDGER_NAME) as ledger:
    ...     ledger.add([ledger.entry(root / "a.tif", "1220…")])
    ...     ledger.whole(root / "a.tif").size
    6
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = Path(os.path.abspath(path.parent))  # noqa: PTH100 (resolves no symlink)
        self._below = str(self._root / "x")[:-1]
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        with contextlib.suppress(sqlite3.Error, OSError):
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        journal = self.path.with_name(f"{self.path.name}-journal")
        for path in (self.path, journal):
            if path.is_symlink():  # it would be written through
                path.unlink(missing_ok=True)
        try:
            return _connect(self.path)
        except sqlite3.Error:
            # Damaged, or the old client's table of the same name.
            self.path.unlink(missing_ok=True)
            journal.unlink(missing_ok=True)
            return _connect(self.path)

    def entry(
        self,
        path: Path,
        checksum: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> Entry:
        """Describe a file as it stands now."""
        status = path.stat()
        name = self.name(path)
        return Entry(name, status.st_size, status.st_mtime_ns, checksum, etag, last_modified)

    def whole(self, path: Path) -> Entry | None:
        """Give what is known of a file, if it still stands there as it was published."""
        found = self.get(path)
        try:
            status = path.stat()
        except OSError:
            return None
        if found is None or (status.st_size, status.st_mtime_ns) != (found.size, found.mtime_ns):
            return None
        return found

    def get(self, path: Path) -> Entry | None:
        """Give what was remembered of a path, whatever stands there now."""
        found = self._entries("SELECT * FROM files WHERE path = ?", (self.name(path),))
        return found[0] if found else None

    def add(self, entries: Iterable[Entry]) -> None:
        """Remember files, in one transaction."""
        rows = list(entries)
        with self._lock:
            if self._database is None:
                return
            try:
                with self._database as database:
                    for begin in range(0, len(rows), _AT_ONCE):
                        _insert(database, rows[begin : begin + _AT_ONCE])
            except sqlite3.Error:
                # Users delete it while it is open; the next run makes it again.
                self._give_up()

    def __iter__(self) -> Iterator[Entry]:
        last = ""
        while found := self._entries(
            "SELECT * FROM files WHERE path > ? ORDER BY path LIMIT 1000", (last,)
        ):
            yield from found
            if found[-1].path <= last:  # an index that is damaged would go round for ever
                return
            last = found[-1].path

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._give_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def name(self, path: Path | str) -> str:
        """Name a path as entries do: relative to the ledger."""
        text = os.fspath(path)
        if text.startswith(self._below) and f"{os.sep}." not in text[len(self._below) - 1 :]:
            return text[len(self._below) :].replace(os.sep, "/")
        absolute = os.path.abspath(path)  # noqa: PTH100 (resolves no symlink)
        return Path(os.path.relpath(absolute, self._root)).as_posix()

    def _read(self, query: str, values: tuple[str, ...]) -> list[Any]:
        with self._lock:
            if self._database is None:
                return []
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error:
                self._give_up()
                return []

    def _entries(self, query: str, values: tuple[str, ...]) -> list[Entry]:
        """Read whole entries; a ledger that holds anything else is damaged, and made anew."""
        found = [Entry(*row) for row in self._read(query, values)]
        if all(map(_is_sound, found)):
            return found
        with self._lock:
            self._give_up()
            self.path.unlink(missing_ok=True)
        return []

    def _give_up(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _is_sound(entry: Entry) -> bool:
    """Tell a row that was written from one that a power cut has made of others."""
    texts = (entry.path, entry.checksum)
    numbers = (entry.size, entry.mtime_ns)
    return all(type(one) is str for one in texts) and all(type(one) is int for one in numbers)


def _insert(database: sqlite3.Connection, rows: list[Entry]) -> None:
    """Insert rows by one statement, during which SQLite lets other threads run."""
    statement = "INSERT OR REPLACE INTO files VALUES " + ", ".join([_ROW] * len(rows))  # noqa: S608
    database.execute(statement, [*chain.from_iterable(rows)])


def _connect(path: Path) -> sqlite3.Connection:
    where = quote(os.path.abspath(path))  # noqa: PTH100 (resolves no symlink)
    database = sqlite3.connect(f"file:{where}?nolock=1", uri=True, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = DELETE")
        mark = database.execute("PRAGMA application_id").fetchone()[0]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if empty:
            _make_table(database)
        # Another program's file has no such table of ours, or a different mark.
        ours = (mark, version) == (_APPLICATION, _VERSION) or empty
        database.execute("SELECT mtime_ns FROM files LIMIT 1" if ours else "no ledger of ours")
    except BaseException:
        database.close()
        raise
    return database


def _make_table(database: sqlite3.Connection) -> None:
    with database:
        database.execute(f"PRAGMA application_id = {_APPLICATION}")
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute(_TABLE)
