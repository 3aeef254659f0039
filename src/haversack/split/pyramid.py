"""Smaller copies of an array for viewing: each level has half the elements along some axes.

The levels are split arrays in ``pyramid/1``, ``pyramid/2``, ... inside of the array's directory.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haversack import events
from haversack.errors import FormatError, NotFoundError, UnsupportedError, UsageError
from haversack.split.about import About
from haversack.split.averaging import mean_of_pairs
from haversack.split.metadata import PYRAMID
from haversack.split.writing import LoneWriter

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset

FOLDER = "pyramid"
_SMALL = 256  # elements along the longest axis of the last level


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
    source: SplitDataset, folder: Path, name: str, axes: set[int], mark: Any, work: events.Task
) -> SplitDataset:
    halved = {axis for axis in axes if source.shape[axis] > 1}

    def half(lengths: Sequence[int]) -> tuple[int, ...]:
        return tuple(-(-n // 2) if axis in halved else n for axis, n in enumerate(lengths))

    about = source.about
    writer = LoneWriter(
        folder,
        name,
        half(source.shape),
        half(source.shape_block),
        dtype=source.dtype,
        **asdict(replace(_coarser(about, halved), metadata={**about.metadata, PYRAMID: mark})),
    )
    for number, (_, where) in enumerate(writer.slices()):
        region = tuple(
            slice(2 * each.start, 2 * each.stop) if axis in halved else each
            for axis, each in enumerate(where)
        )
        writer.save_block_data(number, mean_of_pairs(source[region], halved))
        work.advance()
    return writer.finalize()


def _coarser(about: About, halved: set[int]) -> About:
    unknown = len(about.axes) - len(about.resolution)
    sizes = tuple(
        size * 2 if axis in halved else size for axis, size in enumerate(about.resolution, unknown)
    )
    frequency = about.frequency / 2 if about.frequency and 0 in halved else about.frequency
    return replace(about, resolution=sizes, frequency=frequency)


def open_pyramid(dataset: SplitDataset) -> list[SplitDataset]:
    """Open the levels that are there and were made of the array as it is now, itself first."""
    found = [dataset]
    while True:
        try:
            level = type(dataset)(dataset.root / FOLDER / str(len(found)))
        except (NotFoundError, FormatError):
            return found
        if level.made_of != _mark(dataset):
            return found
        found.append(level)


def remove_pyramid(root: Path) -> None:
    """Remove all levels: the array is about to change."""
    shutil.rmtree(root / FOLDER, ignore_errors=True)


def _mark(dataset: SplitDataset) -> list[Any]:
    return [dataset.array_id, list(dataset.shape)]
