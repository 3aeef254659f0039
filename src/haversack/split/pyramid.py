"""Smaller copies of an array for viewing: each level has half the elements along some axes.

The levels are split arrays in ``pyramid/1``, ``pyramid/2``, ... inside of the array's directory.
"""

from __future__ import annotations

import operator
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from haversack import events
from haversack.errors import (
    FormatError,
    NotFoundError,
    PathNotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from haversack.split.averaging import mean_of_pairs
from haversack.split.directory.about import About
from haversack.split.directory.metadata import PYRAMID
from haversack.split.planning.layout import memory_for
from haversack.split.writing import LoneWriter
from haversack.storage import publish
from haversack.storage.damage import Damage
from haversack.storage.looking import is_directory

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset

FOLDER = "pyramid"
Halved = SupportsIndex | str | Iterable[SupportsIndex | str] | None
_SMALL = 256  # elements along the longest axis of the last level


def build_pyramid(
    dataset: SplitDataset, levels: int | None, axes: Halved, progress: events.Progress
) -> list[SplitDataset]:
    """Make the levels anew, each from the one before; those that are there stay until then."""
    if not dataset.is_ours:
        raise UnsupportedError(f"{dataset.root} was written by another program: save it anew first")
    if not is_directory(dataset.root):  # else the levels would make it anew
        raise PathNotFoundError(f"{dataset.root} is gone: somebody removed it")
    halved = _axes(axes, dataset.axes)
    if levels is not None and not (_is_integer(levels) and levels > 0):
        raise UnsupportedError(f"levels {levels!r} is neither a number of levels >= 1 nor None")
    found = [dataset]
    if not _goes_on(found, levels, halved):
        if levels is None:
            return found
        names = ", ".join(dataset.axes[axis] for axis in sorted(halved))
        raise UsageError(f"{dataset.root} has too few elements along {names} to halve them")
    folder, mark = dataset.root / FOLDER, _mark(dataset)
    if folder.is_symlink():
        raise FormatError(f"{folder} is a link, and levels stay inside of their array: remove it")
    new = publish.temporary_beside(folder / "1")
    try:
        while _goes_on(found, levels, halved):
            with events.task(progress, f"level {len(found)}", unit="block") as work:
                found.append(_halve(found[-1], new, str(len(found)), halved, mark, work))
        with publish.telling("replace the levels in", folder):
            _replace_levels(folder, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    made = (folder / str(number) for number in range(1, len(found)))
    return [dataset, *map(type(dataset), made)]


def _replace_levels(folder: Path, new: Path) -> None:
    """Put new levels where the old ones are, and remove these, and what killed builders left."""
    old = publish.temporary_beside(new)
    old.mkdir()
    # The first level goes first and comes last: who opens them in between finds none.
    for level in _levels_in(folder):
        level.rename(old / level.name)
    for level in reversed(_levels_in(new)):
        level.rename(folder / level.name)
    publish.sync_directory(folder)
    for name in filter(publish.is_temporary, publish.names_in(folder)):
        shutil.rmtree(folder / name, ignore_errors=True)


def _levels_in(folder: Path) -> list[Path]:
    names = filter(str.isdecimal, publish.names_in(folder))
    return [folder / name for name in sorted(names, key=int)]


def _axes(given: Halved, names: Sequence[str]) -> set[int]:
    """Find the axes to halve by names or numbers; by default the last two."""
    if given is None:
        return set(range(len(names))[-2:])
    found = [_axis(each, names) for each in _listed(given, names)]
    numbers = {axis for axis in found if axis is not None}
    if None in found or not found:
        raise UnsupportedError(
            f"axes {given!r} names no axes to halve: give some of {', '.join(names)}, or numbers "
            f"from {-len(names)} to {len(names) - 1}, or None for the last two"
        )
    if len(numbers) < len(found):
        raise UsageError(f"axes {given!r} names an axis twice")
    return numbers


def _listed(given: Any, names: Sequence[str]) -> list[Any]:
    """List what is given, a name or a number as one, other text as the letters in it."""
    is_one = _is_integer(given) or not isinstance(given, Iterable) or isinstance(given, bytes)
    if is_one or (isinstance(given, str) and given in names):
        return [given]
    return list(given)


def _axis(given: Any, names: Sequence[str]) -> int | None:
    if isinstance(given, str):
        return names.index(given) if given in names else None
    if not _is_integer(given) or not -len(names) <= given < len(names):
        return None
    return int(given) % len(names)


def _is_integer(given: Any) -> bool:
    try:
        operator.index(given)
    except TypeError:
        return False
    return not isinstance(given, bool | np.bool_)


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
        with memory_for(f"block {number} of a level of the pyramid of {source.root}"):
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


def verify_pyramid(dataset: SplitDataset, progress: events.Progress) -> Iterator[Damage]:
    """Read the levels that :func:`open_pyramid` does not pass over as those of an older array."""
    for folder in _levels_in(dataset.root / FOLDER):
        try:
            level = type(dataset)(folder)
        except PathNotFoundError:  # replaced meanwhile
            continue
        except (FormatError, OSError) as error:
            refused = isinstance(error, StorageError)
            yield Damage(folder, "level of the pyramid", str(error), refused)
            continue
        if not level.is_ours or level.made_of == _mark(dataset):
            yield from level.verify(progress)


def remove_pyramid(root: Path) -> None:
    """Remove all levels: the array is about to change."""
    shutil.rmtree(root / FOLDER, ignore_errors=True)


def _mark(dataset: SplitDataset) -> list[Any]:
    return [dataset.array_id, list(dataset.shape)]
