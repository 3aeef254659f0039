"""A part of a split array that is read only when it is asked for, and parts of such parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.split.directory.about import About
from haversack.split.planning.indexers import window
from haversack.split.planning.indexing import Axis, Selection
from haversack.split.reading import DiskArray, Shape
from haversack.split.reductions.streaming import cuts

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset

_ROWS_BYTES = 8 << 20


class SplitView(DiskArray):
    """A window on a split array, made by ``ds.view[...]``; it holds no data.

    Everything that reads a split array reads a view; a view of a view is a view of the array.

    Parameters
    ----------
    source
        The array that is looked at.
    axes
        For each of its axes what is seen: a range, or one place, which drops the axis.

    Examples
    --------
    >>> from haversack.split import save_to_split_dataset
    >>> ds = save_to_split_dataset(np.arange(24).reshape(4, 6), "seen")
    >>> view = ds.view[::-1].view[1:, 2]
    >>> view
    <view of SplitDataset('seen': (4, 6) int64, 1 blocks of (4, 6)): (3,)>
    >>> view[:]
    array([14,  8,  2])
    """

    def __init__(self, source: SplitDataset, axes: tuple[range | int, ...]) -> None:
        self._source, self._axes = source, axes

    @property
    def source(self) -> SplitDataset:
        """The split array that this is a view of."""
        return self._source

    @property
    def seen(self) -> tuple[range | int, ...]:
        """For each axis of the source what is seen of it."""
        return self._axes

    @property
    def shape(self) -> Shape:
        return tuple(len(axis) for axis in self._axes if isinstance(axis, range))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._source.dtype

    @property
    def about(self) -> About:
        """What the source says of itself, with dropped axes and steps taken into account."""
        whole = self._source.about
        dropped = [n for n, axis in enumerate(self._axes) if isinstance(axis, int)]
        steps = [
            abs(axis.step) if isinstance(axis, range) and len(axis) > 1 else 1
            for axis in self._axes
        ]
        kept = whole.without(dropped)
        ranged = [step for number, step in enumerate(steps) if number not in dropped]
        known = ranged[len(ranged) - len(kept.resolution) :]
        return replace(
            kept,
            resolution=tuple(n * step for n, step in zip(kept.resolution, known, strict=True)),
            frequency=kept.frequency and kept.frequency / steps[0],
        )

    def _window(self, index: Any) -> SplitView:
        seen = iter(window(index, tuple(axis for axis in self._axes if isinstance(axis, range))))
        axes = tuple(next(seen) if isinstance(axis, range) else axis for axis in self._axes)
        return SplitView(self._source, axes)

    def _rows_at(self, row: int) -> int:  # noqa: ARG002 (each row is as good)
        row_bytes = self.nbytes // max(1, len(self))
        return _ROWS_BYTES // max(1, row_bytes)

    def _read(self, selection: Selection, out: NDArray[Any] | None = None) -> Any:
        return self._source._read(self._through(selection), out)  # noqa: SLF001 (one family)

    def _read_all(self, selections: list[Selection]) -> list[Any]:
        return self._source._read_all([*map(self._through, selections)])  # noqa: SLF001

    def _through(self, selection: Selection) -> Selection:
        """Make of a selection of the view one of the source."""
        mine = iter(enumerate(selection.axes))
        axes: list[Axis] = []
        flipped, points_at, ranges = [], selection.points_at, 0
        for number, seen in enumerate(self._axes):
            if isinstance(seen, int):
                axes.append(range(seen, seen + 1))
                # What is dropped here is a range of the source, before the points or behind.
                if points_at is not None and ranges < points_at:
                    points_at += 1
                    ranges += 1
                continue
            at, wanted = next(mine)
            found, turned = _of(seen, wanted)
            ranges += isinstance(found, range)
            axes.append(found)
            if turned != (at in selection.flipped):
                flipped.append(number)
        return Selection(
            tuple(axes), tuple(flipped), points_at, selection.shape, selection.is_scalar
        )

    def info(self) -> dict[str, Any]:
        return {
            "kind": "view of a split array",
            "path": str(self._source.root),
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "axes": [str(axis) for axis in self._axes],
            "resolution": list(self.resolution),
            "bytes": self.nbytes,
        }

    def __repr__(self) -> str:
        return f"<view of {self._source!r}: {self.shape}>"


def _of(seen: range, wanted: Axis) -> tuple[Axis, bool]:
    """Take elements of a range: which they are, ascending, and whether they came descending."""
    if not isinstance(wanted, range):
        step = seen.step if len(seen) > 1 else 1  # that of one element may be any, and too large
        return seen.start + step * wanted, False
    found = seen[wanted.start : wanted.stop : wanted.step]
    return (found[::-1], True) if found.step < 0 else (found, False)


class BlockViews:
    """What a view sees of each block, as views by their place in the grid: ``ds.blocks[0, 2]``.

    Integers and slices without a step take blocks; axes are never dropped. Iteration goes over all
    blocks in the order of their files.
    """

    def __init__(self, view: SplitView) -> None:
        self._view, self._cuts = view, cuts(view)

    @property
    def shape(self) -> Shape:
        """Number of blocks along each axis."""
        return tuple(map(len, self._cuts))

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __iter__(self) -> Iterator[SplitView]:
        return (self._view.view[region] for region in product(*self._cuts))

    def __getitem__(self, index: Any) -> SplitView:
        items = window(index, tuple(map(range, self.shape)))
        return self._view._window(tuple(map(_span, items, self._cuts)))  # noqa: SLF001 (one family)


def _span(blocks: range | int, cuts: list[slice]) -> slice:
    if isinstance(blocks, int):
        return cuts[blocks]
    if len(blocks) > 1 and blocks.step != 1:
        raise IndexError("blocks are taken one by one or as slices without a step")
    return slice(cuts[blocks[0]].start, cuts[blocks[-1]].stop) if blocks else slice(0)
