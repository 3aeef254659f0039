"""Smaller copies of an array for viewing: each level has half the elements along some axes.

The levels are split arrays in ``pyramid/1``, ``pyramid/2``, ... inside of the array's directory.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import FormatError, NotFoundError, UnsupportedError, UsageError
from haversack.split.writing import LoneWriter

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset

FOLDER = "pyramid"
_SMALL = 256  # elements along the longest axis of the last level
_KEY = "haversack_pyramid"


def build_pyramid(
    dataset: SplitDataset,
    levels: int | None,
    axes: Sequence[int],
    progress: events.Progress,
) -> list[SplitDataset]:
    """Make the levels anew, each from the one before."""
    if not dataset.is_ours:
        raise UnsupportedError(f"{dataset.root} was written by another program: save it anew first")
    halved = {axis % dataset.ndim for axis in axes}
    if not halved or any(not -dataset.ndim <= axis < dataset.ndim for axis in axes):
        raise UsageError(f"axes {tuple(axes)} are not axes of an array of {dataset.ndim}")
    remove_pyramid(dataset.root)
    found = [dataset]
    mark = _mark(dataset)
    while _goes_on(found, levels, halved):
        folder = dataset.root / FOLDER
        with events.task(progress, f"level {len(found)}", unit="block") as work:
            found.append(_halve(found[-1], folder, str(len(found)), halved, mark, work))
    return found


def _goes_on(found: list[SplitDataset], levels: int | None, halved: set[int]) -> bool:
    longest = max(found[-1].shape[axis] for axis in halved)
    if levels is not None:
        return len(found) <= levels and longest > 1
    return longest > _SMALL


def _halve(
    source: SplitDataset, folder: Path, name: str, halved: set[int], mark: Any, work: events.Task
) -> SplitDataset:
    def half(lengths: Sequence[int]) -> tuple[int, ...]:
        return tuple(-(-n // 2) if axis in halved else n for axis, n in enumerate(lengths))

    about = source.about
    unknown = source.ndim - len(about.resolution)
    sizes = tuple(
        size * 2 if axis in halved else size for axis, size in enumerate(about.resolution, unknown)
    )
    metadata = {**about.metadata, _KEY: mark}
    writer = LoneWriter(
        folder,
        name,
        half(source.shape),
        half(source.shape_block),
        dtype=source.dtype,
        **asdict(replace(about, resolution=sizes, metadata=metadata)),
    )
    for number, (_, where) in enumerate(writer.slices()):
        region = tuple(
            slice(2 * each.start, 2 * each.stop) if axis in halved else each
            for axis, each in enumerate(where)
        )
        writer.save_block_data(number, _mean_of_pairs(source[region], halved))
        work.advance()
    return writer.finalize()


def _mean_of_pairs(data: NDArray[Any], halved: set[int]) -> NDArray[Any]:
    """Average pairs of elements along axes; a last one without a partner stands alone."""
    kind = data.dtype
    result = data.astype(np.float64 if kind.kind in "biu" else kind)
    for axis in halved:
        if result.shape[axis] % 2:
            last = np.take(result, [-1], axis)
            result = np.concatenate([result, last], axis)
        front = (slice(None),) * axis
        result = (result[(*front, slice(0, None, 2))] + result[(*front, slice(1, None, 2))]) / 2
    return (np.rint(result) if kind.kind in "biu" else result).astype(kind)


def open_pyramid(dataset: SplitDataset) -> list[SplitDataset]:
    """Open the levels that are there and were made of the array as it is now, itself first."""
    found = [dataset]
    while True:
        try:
            level = type(dataset)(dataset.root / FOLDER / str(len(found)))
        except (NotFoundError, FormatError):
            return found
        if level.metadata.get(_KEY) != _mark(dataset):
            return found
        found.append(level)


def remove_pyramid(root: Path) -> None:
    """Remove all levels: the array is about to change."""
    shutil.rmtree(root / FOLDER, ignore_errors=True)


def _mark(dataset: SplitDataset) -> list[Any]:
    return [dataset.array_id, list(dataset.shape)]
