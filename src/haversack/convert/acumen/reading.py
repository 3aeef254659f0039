"""Read records by an index, one at a time."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from haversack.convert.acumen.casting import converted, plain_dtype
from haversack.convert.acumen.chunks import OLD_DTYPE, Chunks
from haversack.convert.acumen.index import CHUNK, COLUMNS, OURS, RECORD
from haversack.errors import (
    FormatError,
    PositionError,
    UsageError,
    VersionGoneError,
)
from haversack.packed import PackedDataset, is_packed, open_packed, open_snapshot

if TYPE_CHECKING:
    import pandas as pd


def read_from_index(
    index: pd.DataFrame,
    dtype: DTypeLike | None = None,
    use_gzip: bool = False,
    chunk_paths: str | os.PathLike[str] | None = None,
    in_memory: bool = False,  # noqa: ARG001
) -> Reader:
    """Make a function that reads the record of a row of an index.

    Parameters
    ----------
    index
        What :func:`load_index` gave, or some rows of it, in any order.
    dtype
        Convert the arrays to this, as :func:`split_into_chunks` does; by default what
        ``load_index`` was given, else each array's own. Of an old directory, which does not store
        it: the dtype that it was written in, by default float16, as in the old package.
    use_gzip
        Not needed: a packed dataset knows its compression, and the old package never wrote any.
    chunk_paths
        The directory of the dataset, if it has moved since, or the index has lost its ``attrs``.
    in_memory
        Not needed: files are mapped in either case, and the system keeps in memory what fits.

    Returns
    -------
    Reader
        ``read(i)`` gives ``(array, metadata)``: the array read-only, the metadata a dict of the
        row's columns. It can be pickled, and used in threads and in worker processes.

    Raises
    ------
    UsageError
        The index is not from ``load_index``, or does not say where its dataset is.
    FormatError
        An old index tells of what cannot be, as read in this dtype.
    VersionGoneError
        The dataset has been made anew since the index was loaded.

    Examples
    --------
    >>> from haversack import load_index, split_into_chunks
    >>> split_into_chunks([(np.full(2, n), {"n": n}) for n in range(5)], "numbers")
    >>> index = load_index("numbers")
    >>> read = read_from_index(index[index["n"] > 2])
    >>> read(0)
    (array([3, 3]), {'n': 3})
    """
    given = dtype if dtype is not None else index.attrs.get("dtype")
    target = None if given is None else plain_dtype(given)
    if RECORD in index.columns:
        return Reader(index, _records(index, chunk_paths), target)
    if not set(COLUMNS) <= set(index.columns):
        raise UsageError(f"this index has neither {RECORD} nor {CHUNK}: make it with load_index")
    if use_gzip or index.attrs.get("use_gzip"):
        raise UsageError("the old package never wrote gzip: leave use_gzip out")
    base = Path(chunk_paths or index.attrs.get("path", ".")).absolute()
    return Reader(index, Chunks(index, base, target or OLD_DTYPE), None)


class Reader:
    """Reads the record of a row: ``read(i)`` gives ``(array, metadata)``."""

    def __init__(
        self,
        index: pd.DataFrame,
        array: Callable[[int], NDArray[Any]],
        dtype: np.dtype[Any] | None,
    ) -> None:
        self._array, self._dtype, self._length = array, dtype, len(index)
        self._columns = {
            name: column.tolist()
            for name, column in index.items()
            if not (isinstance(name, str) and name.startswith(OURS))
        }

    def __len__(self) -> int:
        return self._length

    def __call__(self, row: SupportsIndex) -> tuple[NDArray[Any], dict[Any, Any]]:
        """Read one record; a negative row counts from the end."""
        wanted = operator.index(row)
        number = wanted + self._length if wanted < 0 else wanted
        if not 0 <= number < self._length:
            raise PositionError(f"row {wanted} of an index of {self._length}")
        array = converted(self._array(number), self._dtype)
        array.flags.writeable = False
        return array, {name: values[number] for name, values in self._columns.items()}

    def __repr__(self) -> str:
        return f"<Reader of {self._length} records>"


class _Records:
    """The arrays of chosen records of a packed dataset."""

    def __init__(self, dataset: PackedDataset) -> None:
        self._dataset = dataset

    def __call__(self, row: int) -> NDArray[Any]:
        data: NDArray[Any] = self._dataset[row].data
        return data


def _records(index: pd.DataFrame, chunk_paths: str | os.PathLike[str] | None) -> _Records:
    place = chunk_paths if chunk_paths is not None else index.attrs.get("path")
    if place is None:
        raise UsageError(
            "this index has lost its attrs, which say where its dataset is: "
            "give the directory as chunk_paths"
        )
    positions = index[RECORD].to_numpy()
    if positions.dtype.kind not in "iu":
        raise FormatError(f"the index has values in {RECORD} that are no positions")
    return _Records(_opened(_dataset_place(Path(place)), index.attrs)[positions])


def _dataset_place(path: Path) -> Path:
    """Take the folder of the chunks, which the old package was given, for the dataset's own."""
    place = path.absolute()
    inside = place.name == "chunks" and not is_packed(place)
    return place.parent if inside else place


def _opened(place: Path, attrs: dict[Any, Any]) -> PackedDataset:
    """Open the version that the index was loaded from: positions are those of a version."""
    if "snapshot" not in attrs:
        return open_packed(place)
    try:
        return open_snapshot(place, attrs["snapshot"])
    except VersionGoneError as error:
        raise VersionGoneError(f"{error}: load the index again") from error
