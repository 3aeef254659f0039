"""Pack many items at once: read them in threads, write them in their order, publish one version."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from haversack.errors import HaversackError, StorageError, UsageError
from haversack.events import Progress, task
from haversack.packed.dataset import PackedDataset, open_packed
from haversack.packed.drafts import FOLDERS
from haversack.packed.encoding import CodecChoice
from haversack.packed.records import Record
from haversack.packed.writer import PackWriter

_AHEAD = 4  # items that each worker may be ahead of the writer


def pack(
    items: Iterable[Any],
    path: str | os.PathLike[str],
    *,
    read: Callable[[Any], Any] | None = None,
    key: Callable[[Any], Any] | str | None = None,
    codec: CodecChoice = "none",
    workers: int = 1,
    progress: Progress = None,
    chunk_bytes: int = 1 << 30,
) -> PackedDataset:
    """Build a new packed dataset.

    Parameters
    ----------
    items
        Anything that can be iterated over; records keep its order.
    path
        Directory to make.
    read
        Called with each item, gives ``(array, metadata)``, an array or a record of a dataset;
        without it, the items themselves are that. In place of an array, the bytes of a JPEG, PNG
        or TIFF file are taken too, and kept as they are.
    key
        Gives a record's key: called with each item, or the name of a metadata value.
    codec
        As in :class:`PackWriter`.
    workers
        Threads that call ``read``; more than one pays where it waits or releases the GIL.
    progress
        True draws a bar; a callable gets events.

    Raises
    ------
    ExistsError
        A dataset is there already, or another writer has made one meanwhile.
    HaversackError
        An item cannot be read or packed; the message names it, nothing is left behind, and an
        error of ``read`` itself is its cause.

    Examples
    --------
    >>> import numpy as np
    >>> ds = pack(range(3), "squares", read=lambda n: (np.full(2, n * n), {"n": n}), key="n")
    >>> ds.record(2).data.tolist()
    [4, 4]
    """
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    total = len(items) if isinstance(items, Sized) else None
    key_of = _key_finder(key)
    made = _missing(Path(path).absolute())
    try:
        with (
            PackWriter(path, codec=codec, chunk_bytes=chunk_bytes, new=True) as writer,
            task(progress, "pack", total=total, unit="record") as work,
        ):
            for number, (item, give) in enumerate(_each(items, read, workers)):
                try:
                    array, metadata = _pair(give())
                    writer.append(array, metadata, key=key_of(item, metadata))
                except Exception as error:
                    raise _named(error, number, item) from error
                work.advance()
    except BaseException:
        _clear_away(made)
        raise
    return open_packed(path)


def _each(
    items: Iterable[Any], read: Callable[[Any], Any] | None, workers: int
) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """Yield each item with the call that gives what was read of it, in order."""
    if read is None:
        yield from ((item, partial(_same, item)) for item in items)
    elif workers == 1:
        yield from ((item, partial(read, item)) for item in items)
    else:
        yield from _ahead(items, read, workers)


def _ahead(
    items: Iterable[Any], read: Callable[[Any], Any], workers: int
) -> Iterator[tuple[Any, Callable[[], Any]]]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="haversack-pack")
    waiting: deque[tuple[Any, Callable[[], Any]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(read, item).result))
            if len(waiting) > workers * _AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _same(item: Any) -> Any:
    return item


def _pair(value: Any) -> tuple[Any, Mapping[Any, Any]]:
    """Tell an array with metadata from an array alone."""
    if isinstance(value, Record):
        encoded = value.encoded
        return value.data if encoded is None else encoded, value.metadata
    if isinstance(value, tuple) and len(value) == 2:
        array, metadata = value
        if metadata is None or isinstance(metadata, Mapping):
            return array, metadata or {}
    return value, {}


def _key_finder(
    key: Callable[[Any], Any] | str | None,
) -> Callable[[Any, Mapping[Any, Any]], Any]:
    if key is None:
        return lambda _item, _metadata: None
    if isinstance(key, str):
        return lambda _item, metadata: metadata[key]
    return lambda item, _metadata: key(item)


def _named(error: Exception, number: int, item: Any) -> Exception:
    """Say which item it was, and keep the error's class where it is one of ours."""
    shown = repr(item)
    message = f"item {number} ({shown[:200]}): {type(error).__name__}: {error}"
    if isinstance(error, StorageError):
        return error
    return type(error)(message) if isinstance(error, HaversackError) else UsageError(message)


def _missing(path: Path) -> list[Path]:
    """List the folders that a build will have made, innermost first."""
    ours = [path / folder for folder in reversed(FOLDERS)]
    return [folder for folder in (*ours, path, *path.parents) if not folder.exists()]


def _clear_away(made: list[Path]) -> None:
    """Remove the folders of a build that published nothing, up to one that holds something."""
    with suppress(OSError):
        for folder in made:
            folder.rmdir()
