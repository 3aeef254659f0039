"""The old package, and h5py with one file and with a virtual dataset over many."""

from typing import Any

import numpy as np

from benchmarks.split.contenders.contender import Contender
from benchmarks.split.reads import Index


class SplitDataset(Contender):
    """split_dataset from the package index, which chooses chunks and compression itself."""

    name = "split_dataset"
    environment = "compat-split"
    packages = ("split_dataset", "flammkuchen", "tables")
    modules = ("split_dataset",)

    def write(self) -> None:
        from split_dataset import save_to_split_dataset

        block = (self.recording.block, *self.recording.shape[1:])
        save_to_split_dataset(self.source.data, str(self.home), block_size=block)

    def open(self) -> None:
        from split_dataset import SplitDataset as Old

        self.data = Old(str(self.home))

    def read(self, index: Index) -> np.ndarray:
        # Its integers keep their axis, and it wants slices with both ends.
        lengths = self.recording.shape
        axes = [
            range(*item.indices(length)) if isinstance(item, slice) else range(item, item + 1)
            for item, length in zip(index, lengths, strict=False)
        ]
        found = self.data[tuple(slice(axis.start, axis.stop) for axis in axes)]
        kept = [len(axis) for axis, item in zip(axes, index, strict=True) if type(item) is slice]
        return found.reshape((*kept, *lengths[len(index) :]))


class OfOurs(SplitDataset):
    """The old package on a directory that haversack wrote."""

    name = "split_dataset on haversack's"
    files_of = "haversack"


class OneFile(Contender):
    """h5py: one chunked dataset, compressed by hdf5plugin's Blosc as the others are."""

    name = "h5py, one file"
    environment = "bench-split"
    packages = ("h5py", "hdf5plugin")
    modules = ("h5py", "hdf5plugin")

    def write(self) -> None:
        import h5py

        self.home.mkdir()
        with h5py.File(self.home / "data.h5", "w") as file:
            data = self._create(file, self.recording.shape)
            for rows in self.slabs(self.recording.shard):
                data[rows] = self.source.data[rows]

    def _create(self, file: Any, shape: tuple[int, ...]) -> Any:
        import hdf5plugin

        coding = hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.BITSHUFFLE)
        chunks = tuple(map(min, self.recording.chunk, shape))
        return file.create_dataset("x", shape, "<u2", chunks=chunks, compression=coding)

    def open(self) -> None:
        import h5py

        self.file = h5py.File(self.home / "data.h5", "r")
        self.data = self.file["x"]

    def read(self, index: Index) -> np.ndarray:
        return self.data[index]

    def close(self) -> None:
        self.file.close()


class Virtual(OneFile):
    """h5py: a virtual dataset over a file for each block."""

    name = "h5py, virtual"

    def write(self) -> None:
        import h5py

        self.home.mkdir()
        shape = self.recording.shape
        whole = h5py.VirtualLayout(shape, "<u2")
        for number, rows in enumerate(self.slabs(self.recording.block)):
            name, part = f"{number:06}.h5", self.source.data[rows]
            with h5py.File(self.home / name, "w") as file:
                self._create(file, part.shape)[...] = part
            whole[rows] = h5py.VirtualSource(name, "x", part.shape)
        with h5py.File(self.home / "data.h5", "w") as file:
            file.create_virtual_dataset("x", whole)
