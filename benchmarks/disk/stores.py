"""The contenders: each keeps images by location and source."""

import json
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

Images = Iterable[tuple[str, str, np.ndarray]]
_HEADER = struct.Struct("<8s8I")  # dtype, dimensions, shape


class Store:
    """One way to keep images. ``add`` is durable when it returns, ``bulk`` at its end."""

    name: ClassVar[str]
    environment: ClassVar[str] = "ours"
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, home: Path) -> None:
        self.home = home

    def open(self) -> None:
        """Open what is there, or nothing yet."""

    def bulk(self, images: Images) -> None:
        """Add many at once."""
        for image in images:
            self.add(*image)
        os.sync()

    def add(self, location: str, source: str, image: np.ndarray) -> None:
        raise NotImplementedError

    def load(self, location: str, source: str) -> np.ndarray:
        """Give an image, as an array of the caller's own."""
        raise NotImplementedError


class Haversack(Store):
    name = "haversack"
    packages = ("haversack",)

    def open(self) -> None:
        from haversack.disk import DiskDataset

        dataset = DiskDataset(self.home)
        self.add, self.load, self.bulk = dataset.add_image, dataset.load_image, dataset.add_images


class Sqlite(Store):
    """A table with the ids as its primary key and a write-ahead log."""

    name = "SQLite"

    def open(self) -> None:
        import sqlite3

        self.home.mkdir(exist_ok=True)
        self._db = sqlite3.connect(self.home / "images.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS images"
            "(location TEXT, source TEXT, image BLOB, PRIMARY KEY (location, source))"
        )

    def bulk(self, images: Images) -> None:
        self._db.execute("BEGIN")
        rows = ((location, source, _packed(image)) for location, source, image in images)
        self._db.executemany("INSERT INTO images VALUES (?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def add(self, location: str, source: str, image: np.ndarray) -> None:
        self._db.execute("INSERT INTO images VALUES (?, ?, ?)", (location, source, _packed(image)))

    def load(self, location: str, source: str) -> np.ndarray:
        found = self._db.execute(
            "SELECT image FROM images WHERE location = ? AND source = ?", (location, source)
        )
        return _unpacked(found.fetchone()[0])


class Lmdb(Store):
    """The ids with a zero between them as the key; a synced transaction for each ``add``."""

    name = "LMDB"
    environment = "bench-peers"
    packages = ("lmdb",)

    def open(self) -> None:
        import lmdb

        self._env: Any = lmdb.open(str(self.home), map_size=1 << 36)

    def bulk(self, images: Images) -> None:
        with self._env.begin(write=True) as transaction:
            for location, source, image in images:
                transaction.put(_key(location, source), _packed(image), overwrite=False)

    def add(self, location: str, source: str, image: np.ndarray) -> None:
        with self._env.begin(write=True) as transaction:
            transaction.put(_key(location, source), _packed(image), overwrite=False)

    def load(self, location: str, source: str) -> np.ndarray:
        with self._env.begin(buffers=True) as transaction:
            return _unpacked(transaction.get(_key(location, source)))


class NpyFiles(Store):
    """A file for each image in a folder for each location; ``add`` syncs file and folders."""

    name = ".npy files"

    def open(self) -> None:
        self.home.mkdir(exist_ok=True)

    def bulk(self, images: Images) -> None:
        for location, source, image in images:
            (self.home / location).mkdir(exist_ok=True)
            np.save(self.home / location / f"{source}.npy", image)
        os.sync()

    def add(self, location: str, source: str, image: np.ndarray) -> None:
        folder = self.home / location
        folder.mkdir(exist_ok=True)
        path = folder / f"{source}.npy"
        with path.with_suffix(".partial").open("wb") as file:
            np.save(file, image)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".partial").rename(path)
        _sync(folder)
        _sync(self.home)

    def load(self, location: str, source: str) -> np.ndarray:
        return np.load(self.home / location / f"{source}.npy")


class BcolzAndTable(Store):
    """What the old storage API did: a table in JSON read and written by each call, and bcolz.

    It stands in for that package, which was never released. Nothing of it is durable.
    """

    name = "bcolz + JSON table"
    environment = "compat-bcolz"
    packages = ("bcolz-zipline",)

    def open(self) -> None:
        import bcolz

        self._bcolz: Any = bcolz
        self._table = self.home / "metadata.json"
        if not self.home.exists():
            self.home.mkdir()
            self._table.write_text("[]")

    def add(self, location: str, source: str, image: np.ndarray) -> None:
        rows = json.loads(self._table.read_text())
        if any(row[:2] == [location, source] for row in rows):
            raise KeyError(location)
        self._table.write_text(json.dumps([*rows, [location, source, {}]]))
        (self.home / location).mkdir(exist_ok=True)
        self._bcolz.carray(image, rootdir=str(self.home / location / source), mode="w").flush()

    def load(self, location: str, source: str) -> np.ndarray:
        rows = json.loads(self._table.read_text())
        next(row for row in rows if row[:2] == [location, source])
        return self._bcolz.open(str(self.home / location / source), mode="r")[:]


STORES = {store.name: store for store in (Haversack, Sqlite, Lmdb, NpyFiles, BcolzAndTable)}


def _key(location: str, source: str) -> bytes:
    return f"{location}\0{source}".encode()


def _packed(image: np.ndarray) -> bytes:
    shape = (image.ndim, *image.shape, *[0] * (7 - image.ndim))
    return _HEADER.pack(image.dtype.str.encode(), *shape) + image.tobytes()


def _unpacked(data: Any) -> np.ndarray:
    dtype, ndim, *shape = _HEADER.unpack_from(data)
    flat = np.frombuffer(data, dtype.rstrip(b"\0").decode(), offset=_HEADER.size)
    return flat.reshape(shape[:ndim]).copy()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)
