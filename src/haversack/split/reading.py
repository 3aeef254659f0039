"""What every array on disk offers for reading, whether it is a whole one or a view of one."""

from __future__ import annotations

import html
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from haversack import events
from haversack.errors import UnsupportedError
from haversack.split.directory.about import About
from haversack.split.planning.cutting import Numbers
from haversack.split.planning.indexers import select_orthogonal
from haversack.split.planning.indexing import Selection, select
from haversack.split.reductions.methods import Reductions

if TYPE_CHECKING:
    from haversack.split.view import BlockViews

Shape = tuple[int, ...]


class Indexer:
    """Square brackets of another meaning."""

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self._get = get

    def __getitem__(self, index: Any) -> Any:
        return self._get(index)


class DiskArray(Reductions):
    """An array that is read as numpy reads one in memory."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Length of each axis."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The type of an element."""

    @property
    @abstractmethod
    def about(self) -> About:
        """Axes, units, resolution, frequency and free metadata."""

    @property
    def resolution(self) -> tuple[float, ...]:
        """Distance between elements on each axis, or on each but the first if that is not known."""
        return self.about.resolution

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes."""
        return self.about.axes

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the resolution, for each axis, where the writer named them."""
        return self.about.units

    @property
    def frequency(self) -> float | None:
        """Elements in a second along the first axis, where known."""
        return self.about.frequency

    @property
    def metadata(self) -> dict[str, Any]:
        """What else the writer kept."""
        return self.about.metadata

    @abstractmethod
    def _read(self, selection: Selection, out: NDArray[Any] | None = None) -> Any:
        """Read what a selection is."""

    @abstractmethod
    def _read_all(self, selections: list[Selection]) -> list[Any]:
        """Read several selections at once."""

    @abstractmethod
    def _rows_at(self, row: int) -> int:
        """Say how many rows, from this one on, are best read at once."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the array in memory."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, index: Any) -> Any:
        return self._read(select(index, self.shape))

    @property
    def oindex(self) -> Indexer:
        """Index each axis on its own: ``ds.oindex[[3, 1], :, [0, 9, 9]]`` is a 2 x n x 3 grid."""
        return Indexer(self._read_grid)

    @property
    def vindex(self) -> Indexer:
        """Index by points: lists go together and come first, as the axes of the result."""
        return Indexer(self._read_points)

    def _read_grid(self, index: Any) -> Any:
        return self._read(select_orthogonal(index, self.shape))

    def _read_points(self, index: Any) -> Any:
        return self._read(select(index, self.shape, points_first=True))

    @property
    def view(self) -> Indexer:
        """Take a part without reading it: ``ds.view[::2, 3]`` is an array on disk again."""
        return Indexer(self._window)

    def read(self, index: Any = ..., *, out: NDArray[Any] | None = None) -> Any:
        """Read as square brackets do, into an array that is there if one is given.

        Parameters
        ----------
        index
            Whatever indexes a numpy array; all by default.
        out
            Array of the result's shape and dtype, which is filled and returned.

        Raises
        ------
        UsageError
            ``out`` has another shape or dtype, or cannot be written to.
        """
        return self._read(select(index, self.shape), out)

    def read_many(self, indices: Sequence[Any]) -> list[Any]:
        """Read many small regions, decoding each chunk that they share only once.

        Parameters
        ----------
        indices
            Indices, each as in square brackets.

        Returns
        -------
        list
            What each gives, in their order.
        """
        if not isinstance(indices, Iterable):
            raise UnsupportedError(f"{indices!r} is no list of indices: read() takes a single one")
        return self._read_all([select(index, self.shape) for index in indices])

    @property
    def blocks(self) -> BlockViews:
        """The blocks, or what a view sees of them, as views by their place in the grid."""
        from haversack.split.view import BlockViews

        return BlockViews(self._window(()))

    def map_blocks(
        self,
        function: Callable[[NDArray[Any]], Any],
        *,
        overlap: Numbers = 0,
        to: str | os.PathLike[str] | None = None,
        executor: Executor | None = None,
        workers: int | None = None,
        progress: events.Progress = None,
        compression: str | None = "blosc",
    ) -> Any:
        """Apply a function to each block, or to what a view sees of each.

        Parameters
        ----------
        function
            Called with a block's data as an array.
        overlap
            How many elements around the block it gets besides: one number, or one for each axis.
            They are cut off a result of the shape of what it got. At the array's edges there are
            none.
        to
            Directory of a new split array that is made of the results, with the same blocks. Where
            a view sees different lengths of them, all become as long as the longest.
        executor
            Where the function runs: threads or processes, here or on a cluster; it is only used.
        workers
            Number of threads, where no executor is given; also how many blocks are on their way.
        progress
            True draws a bar; a callable is told of every event.
        compression
            Of the new array.

        Returns
        -------
        SplitDataset or iterator
            The new array; without ``to`` an iterator of (region of the block, result), in order.

        Examples
        --------
        >>> import numpy as np
        >>> from haversack.split import save_to_split_dataset
        >>> ds = save_to_split_dataset(np.arange(12.0).reshape(6, 2), "mapped", (2, None))
        >>> [float(result) for _, result in ds.map_blocks(np.sum)]
        [6.0, 22.0, 38.0]
        >>> ds.map_blocks(np.sqrt, to="roots")
        SplitDataset('roots': (6, 2) float64, 3 blocks of (2, 2))
        """
        from haversack.split.mapping import Mapping, save_mapped

        mapping = Mapping(self._window(()), function, overlap, is_even=to is not None)
        results = mapping.run(executor, workers, progress)
        return results if to is None else save_mapped(mapping, results, to, compression)

    def to_dask(self) -> Any:
        """Make a dask array that reads when it computes; its chunks are the blocks."""
        from haversack.split.lazy import to_dask

        return to_dask(self._window(()))

    def to_xarray(self, name: str = "stack") -> Any:
        """Make a lazy xarray DataArray, with coordinates from frequency and resolution."""
        from haversack.split.lazy import to_xarray

        return to_xarray(self._window(()), name)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a split array is on disk: it cannot become an array without a copy")
        data: NDArray[Any] = self._read(select(..., self.shape))
        return data if dtype is None else data.astype(dtype, copy=False)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        start, end = 0, len(self)
        while start < end:
            stop = min(end, start + max(1, self._rows_at(start)))
            yield from self[start:stop]
            start = stop

    def _repr_html_(self) -> str:
        return as_table(self.info())

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """Describe the array in plain words, ready for JSON."""


def as_table(about: dict[str, Any]) -> str:
    """Write pairs as an HTML table."""
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in about.items()
    )
    return f"<table>{rows}</table>"
