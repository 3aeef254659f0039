"""Packed datasets."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import numpy as np

from benchmarks.records.contenders.contender import Batch, Contender, WrongError

_LARGE = 1 << 16  # bytes of a record from which a view beats a copy in a batch
_LARGE_BATCH = 1 << 20


class Haversack(Contender):
    """A packed dataset."""

    name = "haversack"
    packages = ("haversack",)
    modules = ("haversack.packed",)
    writing = ("pandas", "pyarrow.parquet")

    def build(self) -> None:
        from haversack.packed import pack

        pack(range(len(self.source)), self.home, read=self.source.__getitem__, workers=1)

    def build_by(self, executor: Executor, workers: int) -> None:
        from haversack.packed import pack

        items, read = range(len(self.source)), self.source.__getitem__
        pack(items, self.home, read=read, workers=workers, executor=executor)

    def build_index(self) -> None:
        from haversack.packed import PackWriter

        with PackWriter(self.home) as writer:  # which fills one chunk before the next
            for index in range(len(self.source)):
                writer.append(self.source[index])

    def open(self) -> None:
        from haversack.packed import open_packed

        self.ds = open_packed(self.home)

    def get(self, index: int) -> np.ndarray:
        return self.ds[index].data

    def batch(self, indices: np.ndarray, out: np.ndarray | None) -> Batch:
        return self.ds.take(indices, out)

    def scan(self) -> Iterator[np.ndarray]:
        if self.source.ragged or self.source[0].nbytes >= _LARGE:
            return (record.data for record in self.ds)
        # A megabyte at once stays in the processor's cache.
        size = max(1, _LARGE_BATCH // self.source[0].nbytes)
        return (batch.data for batch in self.ds.batches(size, threads=0))

    def close(self) -> None:
        self.ds.close()

    def epoch(self, size: int, threads: int) -> Iterator[np.ndarray]:
        return (batch.data for batch in self.ds.batches(size, shuffle=True, threads=threads))

    def verify(self) -> None:
        if self.ds.verify():
            raise WrongError("verify finds damage where there is none")

    def appender(self) -> Callable[[np.ndarray], None]:
        from haversack.packed import PackWriter

        writer = PackWriter(self.home)

        def append(record: np.ndarray) -> None:
            writer.append(record)
            writer.flush()

        return append

    def appended(self) -> int:
        self.open()
        return len(self.ds)


class Compressed(Haversack):
    """A packed dataset whose records are compressed."""

    name = "haversack, blosc-lz4"

    def build(self) -> None:
        from haversack.packed import pack

        items, read = range(len(self.source)), self.source.__getitem__
        pack(items, self.home, read=read, workers=1, codec="blosc-lz4")


def in_chunks(number: int) -> type[Haversack]:
    """Make a contender: a packed dataset whose records lie in so many chunks."""

    class InChunks(Haversack):
        name = f"haversack in {number:,}"

        def build(self) -> None:
            from haversack.packed import pack

            items, read = range(len(self.source)), self.source.__getitem__
            size = -(-self.source.nbytes // number)
            pack(items, self.home, read=read, workers=1, chunk_bytes=size)

    return InChunks
