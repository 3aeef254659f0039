"""The peers that keep records as bytes, each with the calls that its documents advise."""

import itertools
import struct
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.records.contenders.contender import Batch, Contender, stacked
from benchmarks.records.contenders.stubs import stub


class Lmdb(Contender):
    """LMDB: the record's number is its key; one transaction."""

    name = "LMDB"
    environment = "bench-peers"
    packages = ("lmdb",)
    modules = ("lmdb",)

    def build(self) -> None:
        import lmdb

        with (
            lmdb.open(str(self.home), map_size=1 << 36) as environment,
            environment.begin(write=True) as transaction,
        ):
            for row in range(len(self.source)):
                transaction.put(struct.pack(">Q", row), self.source[row].tobytes(), append=True)

    def open(self) -> None:
        import lmdb

        self.store = lmdb.open(str(self.home), readonly=True, lock=False)
        self.transaction = self.store.begin(buffers=True)

    def get(self, index: int) -> np.ndarray:
        return self.array(self.transaction.get(struct.pack(">Q", index)))

    def scan(self) -> Iterator[np.ndarray]:
        return (self.array(value) for _, value in self.transaction.cursor())

    def close(self) -> None:
        self.transaction.abort()
        self.store.close()

    def appender(self) -> Callable[[np.ndarray], None]:
        import lmdb

        self.store = lmdb.open(str(self.home), map_size=1 << 36)
        keys = itertools.count()

        def append(record: np.ndarray) -> None:
            with self.store.begin(write=True) as transaction:
                key = struct.pack(">Q", next(keys))
                transaction.put(key, record.tobytes(), append=True)

        return append

    def appended(self) -> int:
        import lmdb

        self.store.close()  # a process opens one only once
        with lmdb.open(str(self.home), readonly=True, lock=False) as store:
            return store.stat()["entries"]


class ArrayRecord(Contender):
    """ArrayRecord: one record a group and no compression, for random access."""

    name = "ArrayRecord"
    environment = "bench-peers"
    packages = ("array_record",)
    modules = ("array_record.python.array_record_data_source",)

    def share(self, rows: range, number: int) -> None:
        from array_record.python.array_record_module import ArrayRecordWriter

        path = self.home / f"{number}.array_record"
        writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
        for row in rows:
            writer.write(self.source[row].tobytes())
        writer.close()

    def open(self) -> None:
        from array_record.python.array_record_data_source import ArrayRecordDataSource
        from array_record.python.array_record_module import ArrayRecordReader

        paths = sorted(map(str, self.home.iterdir()))
        self.data = ArrayRecordDataSource(paths)
        # Of one file, its reader gives batches three times as fast as the data source.
        reader = ArrayRecordReader(paths[0], "readahead_buffer_size:0")
        self.many = reader.read if len(paths) == 1 else self.data.__getitems__

    def get(self, index: int) -> np.ndarray:
        return self.array(self.data[index])

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        return stacked(map(self.array, self.many(indices.tolist())), out)

    def scan(self) -> Iterator[np.ndarray]:
        for rows in self.blocks():
            yield from map(self.array, self.many(list(rows)))


class HuggingFace(Contender):
    """HF datasets: a binary column of mapped Arrow files."""

    name = "HF datasets"
    environment = "bench-peers"
    packages = ("datasets", "pyarrow")
    modules = ("datasets",)

    def share(self, rows: range, number: int) -> None:
        from datasets import Features, Value
        from datasets.arrow_writer import ArrowWriter

        path = str(self.home / f"{number}.arrow")
        with ArrowWriter(path=path, features=Features({"x": Value("binary")})) as writer:
            for row in rows:
                writer.write({"x": self.source[row].tobytes()})
            writer.finalize()

    def open(self) -> None:
        from datasets import Dataset, concatenate_datasets

        parts = [Dataset.from_file(str(path)) for path in sorted(self.home.glob("*.arrow"))]
        self.data = concatenate_datasets(parts).with_format("arrow")

    def get(self, index: int) -> np.ndarray:
        return self.array(self.data[index]["x"][0].as_buffer())

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        return stacked(self._records(self.data[indices]), out)

    def scan(self) -> Iterator[np.ndarray]:
        for table in self.data.iter(len(next(self.blocks()))):
            yield from self._records(table)

    def _records(self, table: Any) -> Iterator[np.ndarray]:
        return (self.array(value.as_buffer()) for value in table["x"])


class Mds(Contender):
    """MDS: records as bytes in uncompressed shards, read by LocalDataset."""

    name = "MDS"
    environment = "bench-peers"
    packages = ("mosaicml-streaming",)

    modules = ("streaming", "streaming.base.util")

    @classmethod
    def load(cls) -> None:
        # What streaming imports and, where records are only written and read, does not use.
        stub(
            "torch.distributed",
            "torch.utils.data",
            "transformers.feature_extraction_utils",
            "transformers.tokenization_utils_base",
        )
        for part in ("multimodal", "text", "vision"):
            sys.modules.setdefault(f"streaming.{part}", ModuleType(f"streaming.{part}"))
        super().load()

    def share(self, rows: range, number: int) -> None:
        from streaming import MDSWriter

        with MDSWriter(out=str(self.home / str(number)), columns={"x": "bytes"}) as writer:
            for row in rows:
                writer.write({"x": self.source[row].tobytes()})

    def join(self, shares: list[Any]) -> None:
        from streaming.base.util import merge_index

        merge_index(str(self.home), keep_local=True)

    def open(self) -> None:
        from streaming import LocalDataset

        self.data = LocalDataset(local=str(self.home))

    def get(self, index: int) -> np.ndarray:
        return self.array(self.data[index]["x"])
