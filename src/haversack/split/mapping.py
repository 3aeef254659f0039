"""Apply a function to an array block by block, with what lies around each block."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import UnsupportedError, UsageError
from haversack.split.blockfiles.block import as_array
from haversack.split.planning.cutting import Numbers, for_each_axis
from haversack.split.reductions.streaming import cuts, in_order
from haversack.storage.looking import as_path

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset
    from haversack.split.view import SplitView

Function = Callable[[NDArray[Any]], Any]
Region = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """The region that a block owns, and that with the overlap around."""

    owned: Region
    around: Region

    @property
    def inner(self) -> Region:
        """Where in the larger region the owned one lies."""
        return tuple(
            slice(own.start - wide.start, own.stop - wide.start)
            for own, wide in zip(self.owned, self.around, strict=True)
        )


class Mapping:
    """A function, and the blocks of a view that it is applied to.

    Parameters
    ----------
    view
        What is cut where its source is.
    function, overlap
        As for ``map_blocks``.
    is_even
        Whether all blocks are to have the same lengths, but for the last ones.
    """

    def __init__(
        self, view: SplitView, function: Function, overlap: Numbers, *, is_even: bool
    ) -> None:
        if not callable(function):
            raise UnsupportedError(f"{function!r} is no function that is applied to blocks")
        self.view, self._function = view, function
        self._margins = for_each_axis(overlap, view.ndim, "overlap")
        self._cuts = cuts(view)
        if is_even:
            self._cuts = [*map(_evenly, self._cuts)]

    def __len__(self) -> int:
        return math.prod(map(len, self._cuts))

    @property
    def shape_block(self) -> tuple[int, ...]:
        """Shape of the first block."""
        return tuple(parts[0].stop for parts in self._cuts)

    def run(
        self, executor: Executor | None, workers: int | None, progress: events.Progress
    ) -> Iterator[tuple[Region, Any]]:
        """Yield for each block the region that it owns and what the function makes of it.

        Raises
        ------
        UsageError
            There is nothing that runs the function.
        """
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise UnsupportedError(f"executor {executor!r} runs nothing: it has no submit()")
        if workers is not None and not (_is_integer(workers) and workers > 0):
            raise UnsupportedError(f"workers {workers!r} is neither a number >= 1 nor None")
        return self._results(executor, workers, progress)

    def _results(
        self, executor: Executor | None, workers: int | None, progress: events.Progress
    ) -> Iterator[tuple[Region, Any]]:
        work = partial(_apply, self.view, self._function)
        blocks = map(self._block, product(*self._cuts))
        count = workers or min(8, os.cpu_count() or 1)
        with (
            events.task(progress, "map", total=len(self), unit="block") as task,
            _given(executor, count) as pool,
        ):
            for block, result in in_order(work, blocks, pool, count + 1):
                task.advance()
                yield block.owned, result

    def _block(self, owned: Region) -> _Block:
        around = tuple(
            slice(max(0, each.start - margin), min(length, each.stop + margin))
            for each, margin, length in zip(owned, self._margins, self.view.shape, strict=True)
        )
        return _Block(owned, around)


def _is_integer(given: Any) -> bool:
    return isinstance(given, int | np.integer)


def _evenly(parts: list[slice]) -> list[slice]:
    """Cut an axis into parts of the longest one's length, where they are not that already."""
    if not parts:
        return parts
    end, size = parts[-1].stop, max(part.stop - part.start for part in parts)
    return [slice(start, min(start + size, end)) for start in range(0, end, size)]


@contextmanager
def _given(executor: Executor | None, workers: int) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    with ThreadPoolExecutor(workers, "haversack-map") as pool:
        yield pool


def _apply(view: SplitView, function: Function, block: _Block) -> Any:
    """Run the function, and cut the overlap off a result that has kept it."""
    data = view[block.around]
    shape = data.shape
    result = function(data)
    is_whole = isinstance(result, np.ndarray) and result.shape == shape
    return result[block.inner] if is_whole else result


def save_mapped(
    mapping: Mapping,
    results: Iterator[tuple[Region, Any]],
    path: str | os.PathLike[str],
    compression: str | None,
) -> SplitDataset:
    """Save what a function made of the blocks as an array of the same blocks.

    Raises
    ------
    UsageError
        A result has not the shape of its block, or is masked.
    """
    from haversack.split.writing import LoneWriter, all_or_nothing

    view = mapping.view
    if not len(mapping):
        raise UsageError(f"{view!r} has no blocks")
    place, writer = as_path(path), None
    with all_or_nothing(place) as array:
        for number, (region, result) in enumerate(results):
            data = _checked(number, region, result)
            writer = writer or LoneWriter(
                place,
                "",
                view.shape,
                mapping.shape_block,
                array=array,
                compression=compression,
                dtype=data.dtype,
                **asdict(view.about),
            )
            writer.save_block_data(number, data)
        assert writer is not None
        return writer.finalize()


def _checked(number: int, region: Region, result: Any) -> NDArray[Any]:
    data = as_array(result)
    wanted = tuple(each.stop - each.start for each in region)
    if data.shape != wanted:
        raise UsageError(f"the result for block {number} is {data.shape}, not {wanted}")
    return data
