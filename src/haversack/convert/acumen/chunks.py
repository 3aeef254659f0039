"""The ``.chnk`` files of an old directory: raw bytes, of which only the index knows anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.convert.acumen.index import CHUNK, OFFSET, SHAPE, SIZE
from haversack.errors import FormatError, PathNotFoundError
from haversack.packed.encoding.kinds import make_kind

if TYPE_CHECKING:
    import pandas as pd

OLD_DTYPE: Final = np.dtype(np.float16)  # what the old package wrote unless told otherwise
_NAME = re.compile(r"chunks/(chunk_\d{1,18}\.chnk)")
_SHAPE = re.compile(r"\(((\d{1,10}, ?)*(\d{1,10},?)?)\)")


class Chunks:
    """The arrays that rows of an old index tell of, as read-only views of the mapped files.

    Raises
    ------
    FormatError
        A row tells of a place or a shape that cannot be.
    """

    def __init__(self, index: pd.DataFrame, base: Path, dtype: np.dtype[Any]) -> None:
        self._base, self._dtype = base, dtype
        numbers, names = _factorized(index[CHUNK])
        self._chunk, self._names = numbers, [_file_name(name) for name in names]
        kinds, shapes = _factorized(index[SHAPE])
        self._kind, self._shapes = kinds, [_shape(text) for text in shapes]
        self._offset, self._size = _counts(index, OFFSET), _counts(index, SIZE)
        self._check_sizes()
        self._mapped: dict[int, NDArray[np.uint8]] = {}

    def _check_sizes(self) -> None:
        needed = [make_kind(self._dtype, shape).nbytes for shape in self._shapes]
        wrong = np.flatnonzero(np.array(needed, np.int64)[self._kind] != self._size)
        if wrong.size:
            row = int(wrong[0])
            shape = self._shapes[self._kind[row]]
            raise FormatError(
                f"row {row} of the index has {self._size[row]} bytes for the shape {shape}, which "
                f"has {needed[self._kind[row]]} as {self._dtype}: give the dtype it was written in"
            )

    def __call__(self, row: int) -> NDArray[Any]:
        number, start = self._chunk[row], int(self._offset[row])
        chunk = self._mapped.get(number)
        if chunk is None:
            chunk = self._mapped[number] = self._map(number)
        end = start + int(self._size[row])
        if end > len(chunk):
            raise FormatError(
                f"{self._path(number)} has {len(chunk)} bytes, but record {row} "
                f"lies at {start} to {end}: the file is cut short"
            )
        array = chunk[start:end].view(self._dtype).reshape(self._shapes[self._kind[row]])
        if not array.flags.aligned:
            array = array.copy()
            array.flags.writeable = False
        return array

    def _map(self, number: int) -> NDArray[np.uint8]:
        path = self._path(number)
        if path.stat().st_size == 0:
            return np.empty(0, np.uint8)
        return np.asarray(np.memmap(path, np.uint8, "r"))

    def _path(self, number: int) -> Path:
        name = self._names[number]
        # chunk_paths may name the folder of the chunks itself.
        for path in (self._base / "chunks" / name, self._base / name):
            if path.is_file():
                return path
        raise PathNotFoundError(
            f"{self._base} has no chunks/{name}: give the old directory as chunk_paths"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": {}}


def _factorized(column: pd.Series[Any]) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    # Text of each value, missing ones too: those would be numbered -1, and read as the last.
    numbers, values = pd.factorize(np.array([str(value) for value in column], object))
    return np.asarray(numbers, np.int64), [str(value) for value in values]


def _file_name(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None:
        raise FormatError(f"the index names the chunk {name!r:.100}: no such name is written")
    return match[1]


def _shape(text: str) -> tuple[int, ...]:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise FormatError(f"the index has the shape {text!r:.100}, which is none")
    return tuple(int(size) for size in match[1].split(",") if size.strip())


def _counts(index: pd.DataFrame, name: str) -> NDArray[np.int64]:
    values = index[name].to_numpy()
    if len(values) and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() >> 62):
        raise FormatError(f"the index has values in {name} that are no places in a file")
    return values.astype(np.int64)
