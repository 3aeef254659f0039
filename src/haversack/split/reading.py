"""What every array on disk offers for reading, whether it is a whole one or a view of one."""

from __future__ import annotations

import html
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from haversack import events
from haversack.errors import UsageError
from haversack.split.about import About
from haversack.split.indexers import select_orthogonal
from haversack.split.indexing import Selection, select
from haversack.split.plan import Part, whole

if TYPE_CHECKING:
    from haversack.split.view import SplitView

Shape = tuple[int, ...]
Axes = int | Sequence[int] | None


@dataclass(frozen=True, slots=True)
class How:
    """What a reduction becomes: numpy's arguments of these names."""

    keepdims: bool = False
    dtype: DTypeLike | None = None
    out: NDArray[Any] | None = None
    ddof: float = 0


class Indexer:
    """Square brackets of another meaning."""

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self._get = get

    def __getitem__(self, index: Any) -> Any:
        return self._get(index)


class DiskArray(ABC):
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
        """Distance between elements, for each axis that the writer gave one."""
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
    def _window(self, index: Any) -> SplitView:
        """Make a view."""

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
        return Indexer(lambda index: self._read(select_orthogonal(index, self.shape)))

    @property
    def vindex(self) -> Indexer:
        """Index by points: lists go together and come first, as the axes of the result."""
        return Indexer(lambda index: self._read(select(index, self.shape, points_first=True)))

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
        return self._read_all([select(index, self.shape) for index in indices])

    def sum(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Add up elements along axes, all by default, as ``np.sum`` does; read piece by piece."""
        how = How(keepdims=keepdims, dtype=dtype, out=out)
        return self._reduced("sum", axis, how, progress)

    def mean(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Average elements along axes, as ``np.mean`` does."""
        how = How(keepdims=keepdims, dtype=dtype, out=out)
        return self._reduced("mean", axis, how, progress)

    def max(
        self,
        axis: Axes = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Find the largest elements along axes, as ``np.max`` does."""
        how = How(keepdims=keepdims, out=out)
        return self._reduced("max", axis, how, progress)

    def min(
        self,
        axis: Axes = None,
        out: NDArray[Any] | None = None,
        *,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Find the smallest elements along axes, as ``np.min`` does."""
        how = How(keepdims=keepdims, out=out)
        return self._reduced("min", axis, how, progress)

    def std(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        ddof: float = 0,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Compute the standard deviation along axes, as ``np.std`` does."""
        how = How(keepdims=keepdims, dtype=dtype, out=out, ddof=ddof)
        return self._reduced("std", axis, how, progress)

    def var(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        out: NDArray[Any] | None = None,
        *,
        ddof: float = 0,
        keepdims: bool = False,
        progress: events.Progress = None,
    ) -> Any:
        """Compute the variance along axes, as ``np.var`` does."""
        how = How(keepdims=keepdims, dtype=dtype, out=out, ddof=ddof)
        return self._reduced("var", axis, how, progress)

    def _reduced(self, name: str, axis: Axes, how: How, progress: events.Progress) -> Any:
        from haversack.split.reducing import reduce_view

        return reduce_view(self._window(()), name, axis, how, progress)

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


Jobs = tuple[NDArray[Any], Part]


def lay_out(
    selection: Selection, dtype: np.dtype[Any], out: NDArray[Any] | None = None
) -> tuple[NDArray[Any], Jobs | None]:
    """Make the array that a selection becomes, and what is to be filled of it with which part.

    Raises
    ------
    UsageError
        ``out`` does not fit.
    """
    if out is not None:
        _check(out, selection.shape, dtype)
    usable = out is not None and out.flags.c_contiguous
    result = out if usable and out is not None else np.empty(selection.shape, dtype)
    if 0 in selection.shape:
        return result, None
    everything = whole(selection)
    lone = selection.lone
    lengths = [len(selection.axes[number]) for number in lone]
    flips = tuple(slice(None, None, -1 if n in selection.flipped else 1) for n in lone)
    if everything.rows is None:
        return result, (result.reshape(lengths)[flips], everything)
    assert selection.points_at is not None
    lengths.insert(selection.points_at, len(everything.rows))
    laid = np.moveaxis(result.reshape(lengths), selection.points_at, 0)
    return result, (laid[(slice(None), *flips)], everything)


def finish(selection: Selection, result: NDArray[Any], out: NDArray[Any] | None) -> Any:
    """Give what the caller gets: a scalar, his own array, or the result."""
    if out is None:
        return result[()] if selection.is_scalar else result
    if out is not result:
        out[...] = result
    return out


def _check(out: NDArray[Any], shape: Shape, dtype: np.dtype[Any]) -> None:
    if out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        raise UsageError(
            f"out is {out.dtype} of shape {out.shape}{'' if out.flags.writeable else ', read-only'}"
            f"; a writable array of {dtype} with shape {shape} is needed"
        )
