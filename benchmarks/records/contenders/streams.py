"""The peers that give records by a stream of their own, shuffled by it, through a DataLoader."""

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.records.contenders.contender import Contender
from benchmarks.records.contenders.stubs import stub

_SHARD = 1 << 26  # bytes, as MDS and LitData have it too


class Stream(Contender):
    """One way to keep records that draws its own order."""

    environment = "bench-torch"

    def loader(self, size: int, workers: int) -> Iterable[Any]:
        """Make what gives an epoch of tensors each time it is iterated over."""
        raise NotImplementedError


class MdsStream(Stream):
    """MDS: records as arrays in uncompressed shards, read by StreamingDataset."""

    name = "MDS stream"
    packages = ("mosaicml-streaming",)
    modules = ("streaming",)

    @classmethod
    def load(cls) -> None:
        # What streaming imports and does not use for arrays.
        stub(
            "transformers.feature_extraction_utils",
            "transformers.tokenization_utils_base",
        )
        for part in ("multimodal", "text", "vision"):
            sys.modules.setdefault(f"streaming.{part}", ModuleType(f"streaming.{part}"))
        super().load()

    def build(self) -> None:
        from streaming import MDSWriter

        shape = ",".join(map(str, self.source.shape))
        columns = {"x": f"ndarray:{self.source.dtype.name}:{shape}"}
        with MDSWriter(out=str(self.home), columns=columns) as writer:
            for row in range(len(self.source)):
                writer.write({"x": self.source[row]})

    def loader(self, size: int, workers: int) -> Iterable[Any]:
        from streaming import StreamingDataset

        samples = StreamingDataset(local=str(self.home), shuffle=True, batch_size=size)
        return Columns(_data_loader(samples, size, workers))


class LitData(Stream):
    """LitData: arrays, uncompressed, by its StreamingDataset and StreamingDataLoader."""

    name = "LitData"
    packages = ("litdata",)
    modules = ("litdata",)

    def build(self) -> None:
        from litdata import optimize

        optimize(
            self.source.__getitem__,
            list(range(len(self.source))),
            str(self.home),
            chunk_bytes=_SHARD,
            num_workers=1,
            start_method="fork",
            verbose=False,
        )

    def loader(self, size: int, workers: int) -> Iterable[Any]:
        from litdata import StreamingDataLoader, StreamingDataset

        samples = StreamingDataset(str(self.home), shuffle=True)
        return StreamingDataLoader(
            samples, batch_size=size, num_workers=workers, persistent_workers=workers > 0
        )


class WebDataset(Stream):
    """WebDataset: tar files, shuffled by shards and in a buffer of 1,000, batched in workers."""

    name = "WebDataset"
    packages = ("webdataset",)
    modules = ("webdataset",)

    def build(self) -> None:
        from webdataset import ShardWriter

        self.home.mkdir()
        pattern = str(self.home / "%06d.tar")
        with ShardWriter(pattern, maxcount=1 << 40, maxsize=_SHARD, verbose=0) as writer:
            for row in range(len(self.source)):
                writer.write({"__key__": f"{row:09}", "bin": self.source[row].tobytes()})

    def loader(self, size: int, workers: int) -> Iterable[Any]:
        import webdataset

        shards = [str(path) for path in sorted(self.home.glob("*.tar"))]
        stages = [
            webdataset.SimpleShardList(shards),
            webdataset.split_by_worker,  # before each worker draws an order of its own
            webdataset.shuffle(100),
            webdataset.tarfile_to_samples(),
            webdataset.shuffle(1000),
            webdataset.map(self._array_of),
            webdataset.batched(size, collation_fn=np.stack),
        ]
        return _data_loader(webdataset.DataPipeline(*stages), None, workers)

    def _array_of(self, sample: dict[str, Any]) -> np.ndarray:
        return np.frombuffer(sample["bin"], self.source.dtype).reshape(self.source.shape)


class Columns:
    """The one column of batches, for each epoch anew."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Any:
        return (batch["x"] for batch in self._batches)


def _data_loader(samples: Any, size: int | None, workers: int) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(samples, batch_size=size, num_workers=workers, persistent_workers=workers > 0)


STREAMS: tuple[type[Stream], ...] = (MdsStream, LitData, WebDataset)
