"""Save frames that come one after the other, however many there will be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from haversack import events
from haversack.errors import ConflictError, ExistsError, StorageError, UnsupportedError, UsageError
from haversack.split.appending import FrameWriter
from haversack.split.blockfiles.block import as_array
from haversack.split.dataset import SplitDataset, is_split
from haversack.split.directory.metadata import METADATA
from haversack.split.planning.cutting import PartialShape
from haversack.split.writing import taken
from haversack.storage import publish
from haversack.storage.looking import as_path, exists


def save_frames(
    frames: Iterable[ArrayLike],
    path: str | os.PathLike[str],
    block_size: PartialShape = None,
    *,
    total: int | None = None,
    progress: events.Progress = None,
    **options: Any,
) -> SplitDataset:
    """Save what an iterator gives as a split array that can grow, one block in memory at a time.

    Parameters
    ----------
    frames
        Arrays of one shape and dtype: pages of a TIFF series, the records of a packed dataset.
    path
        The directory to make.
    block_size, options
        As for :class:`FrameWriter`.
    total
        How many there will be, for the progress.
    progress
        True draws a bar; a callable is told of every event.

    Raises
    ------
    ExistsError
        The directory already holds a split array.
    UsageError
        There are no frames, or one differs from the first. The frames before it are saved.
    StorageError
        The disk refuses. The frames that were appended before are kept; without any, nothing is.

    Examples
    --------
    >>> save_frames((np.full((4, 4), t) for t in range(5)), "counted", (2, None, None))
    SplitDataset('counted': (5, 4, 4) int64, 3 blocks of (2, 4, 4))
    """
    _check_frames(frames, path)
    writer = FrameWriter(path, block_size=block_size, **options)
    with publish.clearing_away(writer.path):
        try:
            with writer:
                _append_all(writer, frames, total, progress)
        except StorageError as error:
            if len(writer):
                raise _kept(writer, error) from error
            writer.give_up()
            raise
    return SplitDataset(path)


def _kept(writer: FrameWriter, error: StorageError) -> StorageError:
    """Say what can be done where frames are kept: the same again would find an array."""
    why = getattr(error.__cause__, "strerror", None) or error
    return StorageError(
        f"cannot save all frames as {writer.path}: {why}. The {len(writer)} before are kept: mend "
        f"the disk and append the others by a FrameWriter, whose len() says how many are there, or "
        "remove the directory and begin anew"
    )


def save_all_frames(
    frames: Iterable[ArrayLike],
    path: str | os.PathLike[str],
    block_size: PartialShape = None,
    *,
    progress: events.Progress = None,
    **options: Any,
) -> SplitDataset:
    """Save frames as :func:`save_frames` does, or none of them: what fails leaves nothing."""
    _check_frames(frames, path)
    writer = FrameWriter(path, block_size=block_size, **options)
    with publish.clearing_away(writer.path):
        try:
            _append_all(writer, frames, None, progress)
            writer.close()
        except ConflictError:  # another's now
            raise
        except BaseException:
            writer.give_up()
            raise
    return SplitDataset(path)


def _check_frames(frames: Any, path: str | os.PathLike[str]) -> None:
    if not isinstance(frames, Iterable) or isinstance(frames, str | bytes):
        raise UnsupportedError(f"a {type(frames).__name__} does not give frames one by one")
    if is_split(path):
        if not exists(as_path(path) / METADATA):
            raise taken(as_path(path))
        raise ExistsError(f"{path} already holds a split array: append to it with a FrameWriter")


def _append_all(
    writer: FrameWriter, frames: Iterable[ArrayLike], total: int | None, progress: events.Progress
) -> None:
    with events.task(progress, "save", total=total, unit="frame") as work:
        for batch in _batches(iter(map(as_array, frames)), writer):
            writer.extend(batch)
            work.advance(len(batch))
    if not len(writer):
        raise UsageError(f"there are no frames to save as {writer.path}")


def _batches(frames: Iterator[NDArray[Any]], writer: FrameWriter) -> Iterator[NDArray[Any]]:
    """Gather frames into whole blocks; where one differs from the first, it comes on its own."""
    first = next(frames, None)
    if first is None:
        return
    rows = writer.rows_of(first)
    batch = np.empty((rows, *first.shape), first.dtype)
    filled = 0
    for frame in chain([first], frames):
        if (frame.shape, frame.dtype) != (first.shape, first.dtype):
            yield batch[:filled]
            yield frame[None]
            filled = 0
            continue
        batch[filled] = frame
        filled += 1
        if filled == rows:
            yield batch
            filled = 0
    if filled:
        yield batch[:filled]
