"""The contenders that need nothing but numpy: the limit, a file per record, and SQLite."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import cache
from benchmarks.records.contenders.contender import Batch, Contender, NotOfferedError


class Memmap(Contender):
    """The limit: one file of all records, read through numpy.memmap as numpy gives it."""

    name = "memmap"

    def begin(self) -> None:
        super().begin()
        with (self.home / "data.bin").open("wb") as file:
            file.truncate(self.source.nbytes)

    def share(self, rows: range, number: int) -> None:
        with (self.home / "data.bin").open("r+b") as file:
            file.seek(self.source.first_element(rows.start) * self.source.dtype.itemsize)
            for row in rows:
                file.write(self.source[row])

    def join(self, shares: list[Any]) -> None:
        if self.source.ragged:
            np.save(self.home / "starts.npy", self.source.starts)

    def open(self) -> None:
        shape = None if self.source.ragged else (len(self.source), *self.source.shape)
        path = self.home / "data.bin"
        self.map = np.memmap(path, self.source.dtype, mode="r", shape=shape)
        self.starts = np.load(self.home / "starts.npy") if self.source.ragged else None
        self.rest = self.source.shape[1:]

    def get(self, index: int) -> np.ndarray:
        if self.starts is None:
            return self.map[index]
        return self.map[self.starts[index] : self.starts[index + 1]].reshape(-1, *self.rest)

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        # In mode "clip" numpy writes to ``out`` without a buffer between.
        return (
            super().batch(indices, out) if out is None else self.map.take(indices, 0, out, "clip")
        )

    def scan(self) -> Iterator[np.ndarray]:
        return iter([self.map])

    def epoch(self, size: int, threads: int) -> Iterator[np.ndarray]:
        if threads:
            raise NotOfferedError("it is drawn in one thread")
        order = np.random.default_rng().permutation(len(self.source))
        for start in range(0, len(order), size):
            indices = order[start : start + size]
            yield super().batch(indices, None) if self.source.ragged else self.map.take(indices, 0)

    def verify(self) -> None:
        cache.warm(self.home)  # reads all and compares nothing: the limit

    def appender(self) -> Callable[[np.ndarray], None]:
        self.home.mkdir()
        descriptor = os.open(self.home / "data.bin", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def append(record: np.ndarray) -> None:
            os.write(descriptor, record)
            os.fdatasync(descriptor)

        return append

    def appended(self) -> int:
        return cache.size(self.home)[0] // self.source[0].nbytes


class BareMap(Memmap):
    """The same as a plain ndarray: what numpy.memmap adds to every index is not there."""

    name = "memmap as ndarray"

    def open(self) -> None:
        super().open()
        self.map = self.map.view(np.ndarray)


class NpyFiles(Contender):
    """One .npy file per record."""

    name = ".npy files"

    def build_index(self) -> None:
        raise NotOfferedError("it has no index")

    def share(self, rows: range, number: int) -> None:
        for row in rows:
            np.save(self._path(row), self.source[row])

    def open(self) -> None:
        self.folder = str(self.home)

    def get(self, index: int) -> np.ndarray:
        return np.load(f"{self.folder}/{index}.npy")

    def _path(self, row: int) -> Path:
        return self.home / f"{row}.npy"


class Sqlite(Contender):
    """SQLite, for durable appends: a transaction for each, synchronous=FULL, a write-ahead log."""

    name = "SQLite"
    modules = ("sqlite3",)

    def _connect(self) -> Any:
        import sqlite3

        return sqlite3.connect(self.home / "data.sqlite", isolation_level=None)

    def appender(self) -> Callable[[np.ndarray], None]:
        self.home.mkdir()
        connection = self._connect()
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, data BLOB)")

        def append(record: np.ndarray) -> None:
            connection.execute("INSERT INTO records (data) VALUES (?)", (record.tobytes(),))

        return append

    def appended(self) -> int:
        return self._connect().execute("SELECT count(*) FROM records").fetchone()[0]
