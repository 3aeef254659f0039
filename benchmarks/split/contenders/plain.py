"""The limit, and blosc2."""

import numpy as np

from benchmarks.split.contenders.contender import Contender
from benchmarks.split.reads import Index


class Memmap(Contender):
    """One raw file through numpy.memmap; what is read is copied out."""

    name = "memmap"

    def write(self) -> None:
        self.home.mkdir()
        with (self.home / "data.bin").open("wb") as file:
            for rows in self.slabs(self.recording.shard):
                file.write(self.source.data[rows])

    def open(self) -> None:
        self.data = np.memmap(self.home / "data.bin", "<u2", "r", shape=self.recording.shape)

    def read(self, index: Index) -> np.ndarray:
        return np.array(self.data[index])

    def close(self) -> None:
        del self.data


class Blosc2(Contender):
    """blosc2: an NDArray in one file; its chunks are cut into blocks of the others' chunk."""

    name = "blosc2"
    environment = "bench-split"
    packages = ("blosc2",)
    modules = ("blosc2",)

    def write(self) -> None:
        import blosc2

        self.home.mkdir()
        shape = self.recording.shape
        data = blosc2.empty(
            shape,
            dtype=np.dtype("<u2"),
            urlpath=str(self.home / "data.b2nd"),
            mode="w",
            chunks=(self.recording.shard, 1, *shape[2:]),
            blocks=self.recording.chunk,
            cparams=blosc2.CParams(
                codec=blosc2.Codec.LZ4, clevel=5, filters=[blosc2.Filter.BITSHUFFLE]
            ),
        )
        for rows in self.slabs(self.recording.shard):
            data[rows] = self.source.data[rows]

    def open(self) -> None:
        import blosc2

        self.data = blosc2.open(str(self.home / "data.b2nd"), mode="r")

    def read(self, index: Index) -> np.ndarray:
        return np.asarray(self.data[index])

    def close(self) -> None:
        del self.data
