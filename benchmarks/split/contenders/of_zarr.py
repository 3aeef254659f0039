"""The readers of Zarr v3: zarr, zarr with zarrs, tensorstore."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmarks.split.contenders.contender import Contender
from benchmarks.split.reads import Index


class Zarr(Contender):
    """zarr: shards of chunks; where a block is one chunk there are no shards."""

    name = "zarr"
    environment = "bench-split"
    packages = ("zarr",)
    modules = ("zarr",)
    pipeline = ""

    def write(self) -> None:
        import zarr

        self._choose()
        shape, shard = self.recording.shape, (self.recording.shard, *self.recording.shape[1:])
        coding = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle")
        data = zarr.create_array(
            str(self.home),
            shape=shape,
            chunks=self.recording.chunk,
            shards=None if shard == self.recording.chunk else shard,
            dtype="<u2",
            compressors=coding,
        )
        for rows in self.slabs(self.recording.shard):
            data[rows] = self.source.data[rows]

    def open(self) -> None:
        import zarr

        self._choose()
        self.data = zarr.open_array(str(self.home), mode="r")

    def _choose(self) -> None:
        import zarr

        if self.pipeline:
            zarr.config.set({"codec_pipeline.path": self.pipeline})

    def read(self, index: Index) -> np.ndarray:
        return self.data[index]

    def close(self) -> None:
        del self.data


class Zarrs(Zarr):
    """zarr with the codec pipeline of zarrs."""

    name = "zarr with zarrs"
    packages = ("zarr", "zarrs")
    modules = ("zarr", "zarrs")
    pipeline = "zarrs.ZarrsCodecPipeline"


_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_BLOSC = {
    "name": "blosc",
    "configuration": {
        "cname": "lz4",
        "clevel": 5,
        "shuffle": "bitshuffle",
        "typesize": 2,
        "blocksize": 0,
    },
}


class TensorStore(Contender):
    """tensorstore: its zarr3 driver, without a cache of decoded chunks, as is its default."""

    name = "tensorstore, balanced"
    environment = "bench-split"
    packages = ("tensorstore",)
    modules = ("tensorstore",)
    codecs: ClassVar[list[Any]] = [_BYTES, _BLOSC]
    times = 0  # in a chunk; 0: as the recording says

    def write(self) -> None:
        import tensorstore

        made = tensorstore.open({**self._spec(), "metadata": self._metadata()}, create=True)
        data = made.result()
        for rows in self.slabs(self.recording.shard):
            data[rows].write(self.source.data[rows]).result()

    def _spec(self) -> dict[str, Any]:
        return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{self.home}/"}}

    def _metadata(self) -> dict[str, Any]:
        shape, chunk = self.recording.shape, list(self.recording.chunk)
        chunk[0] = self.times or chunk[0]
        shard = [self.recording.shard, *shape[1:]]
        sharding = {"chunk_shape": chunk, "codecs": self.codecs}
        whole = {"name": "sharding_indexed", "configuration": sharding}
        return {
            "shape": list(shape),
            "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
            "codecs": self.codecs if shard == chunk else [whole],
        }

    def open(self) -> None:
        import tensorstore

        self.data = tensorstore.open(self._spec(), open=True, read=True).result()

    def read(self, index: Index) -> np.ndarray:
        return np.asarray(self.data[index].read().result())

    def read_all(self, indices: Sequence[Index]) -> list[np.ndarray]:
        import tensorstore

        with tensorstore.Batch() as batch:
            asked = [self.data[index].read(batch=batch) for index in indices]
        return [np.asarray(each.result()) for each in asked]

    def close(self) -> None:
        del self.data


class TensorFrames(TensorStore):
    """tensorstore: chunks of one time point."""

    name = "tensorstore, frames"
    times = 1


class TensorStored(TensorStore):
    """tensorstore: no compression."""

    name = "tensorstore, not compressed"
    codecs: ClassVar[list[Any]] = [_BYTES]
