"""Old directories of AcumenIndexer into packed datasets, and back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from haversack.convert.acumen.casting import converted, plain_dtype
from haversack.convert.acumen.index import COLUMNS, NAME, OURS, read_table
from haversack.convert.acumen.reading import read_from_index
from haversack.errors import ExistsError, HaversackError, UnsupportedError, UsageError
from haversack.events import Progress, task
from haversack.packed import PackedDataset, open_packed, pack
from haversack.storage.publish import (
    make_directory,
    storage_error,
    sync_directory,
    temporary_beside,
    writing,
)

if TYPE_CHECKING:
    import pandas as pd

_KEY = "_key"


def import_acumen(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    dtype: DTypeLike | None,
    codec: str = "none",
    progress: Progress = None,
) -> PackedDataset:
    """Make a packed dataset of an old directory, which stays as it is.

    Parameters
    ----------
    source
        The old directory, with ``index.csv`` and ``chunks``.
    path
        Directory to make.
    dtype
        The dtype that it was written in, which it does not say itself.
    codec
        As in :class:`~haversack.packed.PackWriter`.
    progress
        True draws a bar; a callable gets events.

    Raises
    ------
    UsageError
        No dtype was given.
    FormatError
        The directory is damaged, or is not of this dtype; nothing is left at ``path``.
    ExistsError
        Something stands at ``path``.
    """
    index = read_table(Path(source))
    if dtype is None:
        raise UsageError(
            f"{source} does not say of which dtype its values are: give the dtype that "
            "split_into_chunks was given (float16, if it was given none)"
        )
    read = read_from_index(index, dtype=dtype)
    keys = index.pop(_KEY).tolist() if _KEY in index.columns else None

    def read_row(row: int) -> tuple[Any, dict[Any, Any]]:
        array, metadata = read(row)
        metadata.pop(_KEY, None)
        return array, metadata

    key = None if keys is None else keys.__getitem__
    return pack(range(len(index)), path, read=read_row, key=key, codec=codec, progress=progress)


def export_acumen(
    source: str | os.PathLike[str] | PackedDataset,
    path: str | os.PathLike[str],
    *,
    dtype: DTypeLike | None = None,
    chunk_size_bytes: int = 10 * 1024 * 1024,
    progress: Progress = None,
) -> dict[str, Any]:
    """Write a packed dataset as a directory that AcumenIndexer reads.

    Such a directory has one dtype for all records, which it does not store, and keeps metadata as
    text; keys of records become metadata ``_key``.

    Parameters
    ----------
    source
        The dataset, or its path.
    path
        Directory to make; it appears whole or not at all.
    dtype
        Convert the arrays to this; needed where their dtypes differ.
    chunk_size_bytes
        Most bytes of a chunk file, but for a record that is larger alone.
    progress
        True draws a bar; a callable gets events.

    Returns
    -------
    dict
        ``path``, ``records``, ``chunks``, ``bytes``, and the ``dtype`` to read it with.

    Raises
    ------
    ExistsError
        Something stands at ``path``.
    UsageError
        The records are of several dtypes, or do not fit the one given.
    UnsupportedError
        Metadata has a name that the format needs itself.

    Examples
    --------
    >>> from haversack import pack
    >>> with pack([(np.zeros((2, 2), "uint8"), {"name": "a"})], "new") as ds:
    ...     export_acumen(ds, "old")["dtype"]
    'uint8'
    """
    dataset = source if isinstance(source, PackedDataset) else open_packed(source)
    target = Path(path).absolute()
    if target.exists():
        raise ExistsError(f"{target} exists: choose another")
    try:
        with _published(target) as folder:
            written = _write(dataset, folder, dtype, chunk_size_bytes, progress)
    except OSError as error:
        if isinstance(error, HaversackError):
            raise
        raise storage_error("write", target, error) from error
    return {"path": str(target), **written}


@contextmanager
def _published(target: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes its name when the block ends well."""
    make_directory(target.parent)
    folder = temporary_beside(target)
    try:
        make_directory(folder / "chunks")
        yield folder
        for place in (folder / "chunks", folder):
            sync_directory(place)
        folder.rename(target)
        sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(
    dataset: PackedDataset, folder: Path, dtype: DTypeLike | None, most: int, progress: Progress
) -> dict[str, Any]:
    table = dataset.metadata()
    for name in table.columns:
        if str(name).startswith(OURS):
            raise UnsupportedError(f"metadata has {name!r}, and names with {OURS} are the format's")
    wanted = None if dtype is None else plain_dtype(dtype)
    places: list[tuple[str, int, int, str]] = []
    with (
        _ChunkFiles(folder, most) as chunks,
        task(progress, "convert", total=len(dataset), unit="record") as work,
    ):
        for number, record in enumerate(dataset):
            array = record.data
            wanted = array.dtype if wanted is None else wanted
            data = _as_one_dtype(array, wanted, number, chosen=dtype is not None).tobytes()
            places.append((*chunks.append(data), str(tuple(array.shape))))
            work.advance()
    for at, name in enumerate(COLUMNS):
        table.insert(at, name, [place[at] for place in places])
    _write_table(table, folder / NAME)
    return {
        "records": len(dataset),
        "chunks": len({place[0] for place in places}),
        "bytes": sum(place[2] for place in places),
        "dtype": None if wanted is None else str(wanted),
    }


def _as_one_dtype(
    array: NDArray[Any], wanted: np.dtype[Any], number: int, *, chosen: bool
) -> NDArray[Any]:
    if not chosen and array.dtype != wanted:
        raise UsageError(
            f"record {number} is {array.dtype}, those before it {wanted}, and an old directory "
            "has one dtype: choose one"
        )
    try:
        return converted(array, wanted)
    except UsageError as error:
        raise UsageError(f"record {number}: {error}") from error


def _write_table(table: pd.DataFrame, path: Path) -> None:
    try:
        text = table.to_csv(index=False).encode()
    except UnicodeEncodeError as error:
        raise UnsupportedError(f"metadata has text that no UTF-8 file can hold: {error}") from error
    with writing(path) as file:
        file.write(text)


class _ChunkFiles:
    """Chunk files filled one after the other, each durable when the next begins."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._stack = ExitStack()
        self._number, self._size = -1, 0
        self._file: BinaryIO | None = None

    def append(self, data: bytes) -> tuple[str, int, int]:
        """Write one record; give its file's name, its offset and its size."""
        if self._file is None or (self._size and self._size + len(data) > self._most):
            self._file = self._next()
        self._file.write(data)
        offset, self._size = self._size, self._size + len(data)
        return f"chunks/chunk_{self._number}.chnk", offset, len(data)

    def _next(self) -> BinaryIO:
        self._stack.close()
        self._number, self._size = self._number + 1, 0
        path = self._folder / "chunks" / f"chunk_{self._number}.chnk"
        return self._stack.enter_context(writing(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
