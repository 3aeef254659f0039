"""The index of a dataset as a DataFrame: a row for each record, a column for each metadata key."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import DTypeLike

from haversack.convert.acumen.casting import plain_dtype
from haversack.errors import FormatError, PathNotFoundError, UsageError
from haversack.packed import is_packed, open_packed

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "index.csv"
OURS: Final = "ai:"
RECORD: Final = "ai:record"  # a record's position, so that chosen rows still find their records
CHUNK, OFFSET, SIZE, SHAPE = "ai:chunk_name", "ai:offset_bytes", "ai:size_bytes", "ai:shape"
COLUMNS: Final = (CHUNK, OFFSET, SIZE, SHAPE)


def load_index(
    index_path: str | os.PathLike[str] | pd.DataFrame,
    *,
    dtype: DTypeLike | None = None,
    in_memory: bool | None = None,
    use_gzip: bool | None = None,
) -> pd.DataFrame:
    """Load the index of a dataset: its metadata, and where each record is.

    Rows may be chosen and sorted, and columns added, before the index goes to
    :func:`read_from_index`.

    Parameters
    ----------
    index_path
        The directory that :func:`split_into_chunks` made, or ``index.csv`` in it (no such file
        is needed); an old directory, or its ``index.csv``; or an index that was loaded already.
    dtype, in_memory, use_gzip
        Kept in ``DataFrame.attrs`` where given, for :func:`read_from_index`.

    Raises
    ------
    PathNotFoundError
        Nothing stands there.
    FormatError
        It is no dataset, or a damaged one.

    Examples
    --------
    >>> import numpy as np
    >>> from haversack import split_into_chunks
    >>> split_into_chunks([(np.zeros(2), {"cloud": 7})], "chips")
    >>> index = load_index("chips/index.csv", dtype=np.float32)
    >>> index["cloud"].tolist(), index.attrs["dtype"]
    ([7], '<f4')
    """
    import pandas as pd

    if isinstance(index_path, pd.DataFrame):
        frame = index_path.copy()
    else:
        place = Path(index_path).absolute()
        if place.name == NAME and is_packed(place.parent):
            place = place.parent
        frame = _of_packed(place) if is_packed(place) else read_table(place)
    given = {
        "dtype": None if dtype is None else _told(plain_dtype(dtype)),
        "in_memory": in_memory,
        "use_gzip": use_gzip,
    }
    frame.attrs.update({name: value for name, value in given.items() if value is not None})
    return frame


def _told(dtype: np.dtype[Any]) -> Any:
    """Give a dtype as text, which attrs can be saved with, where text can tell it."""
    return dtype if dtype.fields else dtype.str


def _of_packed(place: Path) -> pd.DataFrame:
    with open_packed(place) as dataset:
        frame, snapshot = dataset.metadata(), dataset.snapshot
    if RECORD in frame.columns:
        raise UsageError(f"{place} has metadata {RECORD!r}, a name that the index needs itself")
    frame[RECORD] = range(len(frame))
    frame.attrs.update(path=str(place), snapshot=snapshot)
    return frame


def read_table(place: Path) -> pd.DataFrame:
    """Read the index of an old directory; types are told from the text.

    Raises
    ------
    PathNotFoundError, FormatError
        It is not there, or no such table.
    """
    import pandas as pd

    path = place / NAME if place.is_dir() else place
    try:
        texts = pd.read_csv(path, dtype=str, na_filter=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise PathNotFoundError(
            f"{path} does not exist: give the directory that split_into_chunks made"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is no index of AcumenIndexer: {error}") from error
    missing = [name for name in COLUMNS if name not in texts.columns]
    if missing:
        raise FormatError(f"{path} is no index of AcumenIndexer: it has no column {missing[0]}")
    frame = pd.DataFrame({name: _typed(texts[name].tolist()) for name in texts.columns})
    frame.attrs["path"] = str(path.parent)
    return frame


def _typed(texts: list[str]) -> pd.Series[Any]:
    """Give a column the type that wrote exactly these texts: '7' is a number, '007' is not."""
    import pandas as pd

    held = {text for text in texts if text}
    for read, absent in ((int, None), (float, math.nan), (_bool, None)):
        if held and all(_is_written(text, read) for text in held):
            values: list[Any] = [read(text) if text else absent for text in texts]
            break
    else:
        values = [text or None for text in texts]
    return pd.Series(values, dtype=object if None in values else None)


def _is_written(text: str, read: Callable[[str], Any]) -> bool:
    try:
        value = read(text)
    except ValueError:
        return False
    return str(value) == text and value == value


def _bool(text: str) -> bool:
    if text not in {"True", "False"}:
        raise ValueError(text)
    return text == "True"
