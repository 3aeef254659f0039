"""Build a packed dataset by AcumenIndexer's call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from haversack.convert.acumen.casting import converted, plain_dtype
from haversack.errors import UsageError
from haversack.packed import pack


def split_into_chunks(
    data_list: Iterable[Any],
    output_path: str | os.PathLike[str],
    read_fn: Callable[[Any], Any] | None = None,
    chunk_size_bytes: int = 10 * 1024 * 1024,
    verbose: bool = False,
    n_jobs: int = 1,
    dtype: DTypeLike | None = None,
    use_gzip: bool = False,
) -> None:
    """Build a packed dataset of many arrays with their metadata.

    Parameters
    ----------
    data_list
        Anything that can be iterated over; records keep its order.
    output_path
        Directory to make.
    read_fn
        Called with each item, gives ``(array, metadata)``; without it, the items are such pairs.
        Any callable will do: one that processes cannot be sent is called in threads.
    chunk_size_bytes
        Size at which a chunk file is closed and the next begun.
    verbose
        Draw a progress bar.
    n_jobs
        Processes or threads that call ``read_fn``; -1 is one for each core.
    dtype
        Convert the arrays to this; None keeps the dtype of each. A float may be rounded to a
        narrower one; any other conversion that would change a value is refused.
    use_gzip
        Compress the records.

    Raises
    ------
    ExistsError
        Something is there already.
    HaversackError
        An item cannot be read, gives None, or does not fit ``dtype``; the message names it, and
        nothing is left behind.

    Examples
    --------
    >>> split_into_chunks([(np.eye(2), {"name": "a"}), (np.eye(3), {"name": "b"})], "eyes")
    >>> from haversack import load_index, read_from_index
    >>> index = load_index("eyes")
    >>> index["name"].tolist()
    ['a', 'b']
    >>> read_from_index(index)(1)[0].shape
    (3, 3)
    """
    target = None if dtype is None else plain_dtype(dtype)
    pack(
        data_list,
        output_path,
        read=partial(_read, read_fn, target),
        codec="gzip" if use_gzip else "none",
        workers=_workers(n_jobs) if read_fn else 1,
        progress=verbose,
        chunk_bytes=chunk_size_bytes,
    ).close()


def _workers(n_jobs: int) -> int:
    return (os.cpu_count() or 1) if n_jobs == -1 else n_jobs


def _read(
    read_fn: Callable[[Any], Any] | None, dtype: np.dtype[Any] | None, item: Any
) -> tuple[Any, Mapping[Any, Any]]:
    value = item if read_fn is None else read_fn(item)
    giver = "the item" if read_fn is None else "read_fn"
    if value is None:
        raise UsageError(f"{giver} gave None instead of (array, metadata)")
    try:
        array, metadata = value
    except (TypeError, ValueError) as error:
        raise UsageError(f"{giver} must give (array, metadata), not {value!r:.100}") from error
    if array is None:
        raise UsageError(f"{giver} gave None as the array: could the file be read?")
    if not isinstance(metadata, Mapping):
        raise UsageError(f"{giver} must give metadata as a dict, not {metadata!r:.100}")
    return (array if dtype is None else converted(np.asarray(array), dtype)), metadata
