"""Split arrays in their layouts, and of the old package."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from benchmarks.split.contenders.contender import Contender
from benchmarks.split.reads import Index


class Haversack(Contender):
    """A split array as it is written by default: layout balanced, Blosc lz4."""

    name = "haversack"
    packages = ("haversack", "numcodecs")
    modules = ("haversack.split.dataset", "haversack.split.writing")
    options: ClassVar[dict[str, str | None]] = {}

    def write(self) -> None:
        from haversack.split import save_to_split_dataset

        block = (self.recording.block, None, None, None)
        save_to_split_dataset(self.source.data, self.home, block_size=block, **self.options)

    def open(self) -> None:
        from haversack.split import SplitDataset

        self.data = SplitDataset(self.home)

    def read(self, index: Index) -> np.ndarray:
        return self.data[index]

    def read_all(self, indices: Sequence[Index]) -> list[np.ndarray]:
        return self.data.read_many(indices)

    def close(self) -> None:
        del self.data


class Frames(Haversack):
    """A split array whose chunks are of one time point."""

    name = "haversack, frames"
    options: ClassVar[dict[str, str | None]] = {"layout": "frames"}


class Traces(Haversack):
    """A split array whose chunks are long in time."""

    name = "haversack, traces"
    options: ClassVar[dict[str, str | None]] = {"layout": "traces"}


class Stored(Haversack):
    """A split array that is not compressed."""

    name = "haversack, not compressed"
    options: ClassVar[dict[str, str | None]] = {"compression": None}


class OfOld(Haversack):
    """haversack on the directory that the old package wrote."""

    name = "haversack on split_dataset's"
    files_of = "split_dataset"
