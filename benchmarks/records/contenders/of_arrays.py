"""The peers that keep records as arrays, each with the calls that its documents advise."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np

from benchmarks.records.contenders.contender import (
    Batch,
    Contender,
    NotOfferedError,
    WrongError,
    stacked,
)

_SMALL = 4096  # bytes of a record up to which h5py reads many at once faster than one by one


class AcumenIndexer(Contender):
    """AcumenIndexer: its own chunks and index, read with in_memory=True, its faster way."""

    name = "AcumenIndexer"
    environment = "compat-acumen"
    packages = ("acumenindexer", "pandas")
    modules = ("acumenindexer",)

    def build(self) -> None:
        self._build(1)

    def build_by(self, executor: Executor, workers: int) -> None:
        self._build(workers)

    def build_index(self) -> None:
        import pandas as pd

        (self.home / "chunks").mkdir(parents=True)
        with (self.home / "chunks" / "chunk_0.chnk").open("wb") as file:
            file.truncate(self.source.nbytes)
        size = self.source[0].nbytes
        columns = {
            "ai:chunk_name": "chunks/chunk_0.chnk",
            "ai:offset_bytes": np.arange(len(self.source)) * size,
            "ai:size_bytes": size,
            "ai:shape": str(self.source.shape),
        }
        pd.DataFrame(columns).to_csv(self.home / "index.csv", index=False)

    def _build(self, jobs: int) -> None:
        from acumenindexer import split_into_chunks

        items, dtype = list(range(len(self.source))), self.source.dtype
        split_into_chunks(items, str(self.home), self._read, n_jobs=jobs, dtype=dtype)

    def _read(self, item: int) -> tuple[np.ndarray, dict]:
        return self.source[item], {}

    def open(self) -> None:
        from acumenindexer import load_index, read_from_index

        index = load_index(str(self.home / "index.csv"))
        if len(index) != len(self.source):
            raise WrongError(f"{len(index):,} records instead of {len(self.source):,}")
        self.read_record = read_from_index(
            index, self.source.dtype, chunk_paths=str(self.home), in_memory=True
        )

    def get(self, index: int) -> np.ndarray:
        return self.read_record(index)[0]


class Lance(Contender):
    """Lance: fixed-size lists of bytes where records are alike, else binaries."""

    name = "Lance"
    environment = "bench-peers"
    packages = ("pylance",)
    modules = ("lance", "pyarrow")

    def share(self, rows: range, number: int) -> Any:
        import pyarrow as pa
        from lance import LanceFragment

        batches = (pa.record_batch([self._column(part)], ["x"]) for part in self.blocks(rows))
        schema = pa.schema([("x", self._column(rows[:1]).type)])
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        return LanceFragment.create(str(self.home), reader, number).to_json()

    def _column(self, rows: range) -> Any:
        import pyarrow as pa

        records = [self.source[row] for row in rows]
        if self.source.ragged:
            return pa.array([record.tobytes() for record in records], pa.large_binary())
        flat = pa.array(np.stack(records).reshape(-1).view(np.uint8))
        return pa.FixedSizeListArray.from_arrays(flat, records[0].nbytes)

    def join(self, shares: list[Any]) -> None:
        import pyarrow as pa
        from lance import FragmentMetadata, LanceDataset, LanceOperation

        schema = pa.schema([("x", self._column(range(1)).type)])
        fragments = [FragmentMetadata.from_json(json.dumps(share)) for share in shares]
        LanceDataset.commit(str(self.home), LanceOperation.Overwrite(schema, fragments))

    def open(self) -> None:
        import lance

        self.data = lance.dataset(str(self.home))

    def get(self, index: int) -> np.ndarray:
        found = next(self._arrays(self.data.take([index]).to_batches()))
        return found if self.source.ragged else found[0]

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        return stacked(self._arrays(self.data.take(indices).to_batches()), out)

    def scan(self) -> Iterator[np.ndarray]:
        return self._arrays(self.data.to_batches(batch_size=len(next(self.blocks()))))

    def _arrays(self, batches: Iterable[Any]) -> Iterator[np.ndarray]:
        for batch in batches:
            if self.source.ragged:
                yield from (self.array(value.as_buffer()) for value in batch["x"])
            else:
                flat = batch["x"].flatten().to_numpy()
                yield flat.view(self.source.dtype).reshape(-1, *self.source.shape)


class Hdf5(Contender):
    """h5py: one contiguous dataset; of ragged records a flat one, and where each begins."""

    name = "h5py"
    environment = "bench-peers"
    packages = ("h5py",)
    modules = ("h5py",)

    def build(self) -> None:
        import h5py

        source = self.source
        self.begin()
        with h5py.File(self.home / "data.h5", "w") as file:
            if source.ragged:
                file["starts"] = source.starts
            shape = source.flat.shape if source.ragged else (len(source), *source.shape)
            data = file.create_dataset("x", shape, source.dtype)
            for rows in self.blocks():
                self._write(data, rows)

    def _write(self, data: Any, rows: range) -> None:
        records = [self.source[row] for row in rows]
        if self.source.ragged:
            start = self.source.first_element(rows.start)
            flat = np.concatenate([record.reshape(-1) for record in records])
            data[start : start + len(flat)] = flat
        else:
            data[rows.start : rows.stop] = np.stack(records)

    def open(self) -> None:
        import h5py

        self.file = h5py.File(self.home / "data.h5", "r")
        self.data = self.file["x"]
        self.starts = self.file["starts"][:] if self.source.ragged else None

    def get(self, index: int) -> np.ndarray:
        if self.starts is None:
            return self.data[index]
        return self.array(self.data[self.starts[index] : self.starts[index + 1]])

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        if out is None or out[0].nbytes > _SMALL:
            return super().batch(indices, out)
        rising, where = np.unique(indices, return_inverse=True)  # as it wants them
        return self.data[rising].take(where, 0, out, "clip")

    def scan(self) -> Iterator[np.ndarray]:
        if self.starts is not None:
            return super().scan()
        return (self.data[rows.start : rows.stop] for rows in self.blocks())

    def close(self) -> None:
        self.file.close()


class Zarr(Contender):
    """zarr v3: a record is an inner chunk, about 16 MiB of them a shard; no compression."""

    name = "zarr"
    environment = "bench-peers"
    packages = ("zarr",)
    modules = ("zarr",)

    def build_index(self) -> None:
        self.begin()  # what is not written reads as zeros

    block_bytes = 1 << 24  # a shard; two processes must not write into one

    def begin(self) -> None:
        import zarr

        if self.source.ragged:
            raise NotOfferedError("an array has one shape")
        shape = self.source.shape
        zarr.create_array(
            str(self.home),
            shape=(len(self.source), *shape),
            chunks=(1, *shape),
            shards=(len(next(self.blocks())), *shape),
            dtype=self.source.dtype,
            compressors=None,
        )

    def build_by(self, executor: Executor, workers: int) -> None:
        self.begin()
        shards = list(self.blocks())
        list(executor.map(self.share, shards, range(len(shards))))

    def share(self, rows: range, number: int) -> None:
        import zarr

        array = zarr.open_array(str(self.home), mode="r+")
        for part in self.blocks(rows):
            array[part.start : part.stop] = np.stack([self.source[row] for row in part])

    def open(self) -> None:
        import zarr

        self.data = zarr.open_array(str(self.home), mode="r")

    def get(self, index: int) -> np.ndarray:
        return self.data[index]

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        return self.data.oindex[indices]

    def scan(self) -> Iterator[np.ndarray]:
        return (self.data[part.start : part.stop] for part in self.blocks())


class SafeTensors(Contender):
    """safetensors: a tensor per record in one file."""

    name = "safetensors"
    environment = "bench-peers"
    packages = ("safetensors",)
    modules = ("safetensors.numpy",)

    def build(self) -> None:
        from safetensors.numpy import save_file

        self.begin()
        records = {str(row): self.source[row] for row in range(len(self.source))}
        save_file(records, self.home / "data.safetensors")

    def open(self) -> None:
        from safetensors import safe_open

        self.data = safe_open(self.home / "data.safetensors", framework="numpy")

    def get(self, index: int) -> np.ndarray:
        return self.data.get_tensor(str(index))

    def close(self) -> None:
        del self.data
