"""What a contender is: one way to keep a large array."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmarks.records.contenders.contender import NotOfferedError
from benchmarks.split.reads import Index
from benchmarks.split.volume import Source


class Contender:
    """One way to keep an array; heavy imports wait until a method needs them.

    ``environment``, ``packages`` and ``modules`` are as those of contenders for records.
    ``files_of`` names another contender whose files are read.
    """

    name: ClassVar[str]
    environment: ClassVar[str] = "ours"
    packages: ClassVar[tuple[str, ...]] = ()
    modules: ClassVar[tuple[str, ...]] = ()
    files_of: ClassVar[str] = ""

    def __init__(self, source: Source, home: Path) -> None:
        self.source, self.home = source, home
        self.recording = source.recording

    @classmethod
    def load(cls) -> None:
        """Import what is needed."""
        for module in cls.modules:
            import_module(module)

    def write(self) -> None:
        raise NotImplementedError

    def open(self) -> None:
        raise NotImplementedError

    def read(self, index: Index) -> np.ndarray:
        """Read into memory of its own."""
        raise NotImplementedError

    def read_all(self, indices: Sequence[Index]) -> list[np.ndarray]:
        """Read many at once, where there is a way for that."""
        raise NotOfferedError("no call reads many regions")

    def close(self) -> None:
        """Let go of all files; forgetting the contender must do the same."""

    def slabs(self, rows: int) -> Iterator[slice]:
        """Cut the time axis."""
        length = self.recording.shape[0]
        return (slice(start, min(start + rows, length)) for start in range(0, length, rows))
