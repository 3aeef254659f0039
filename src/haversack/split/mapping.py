"""Apply a function to an array block by block, with what lies around each block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import UsageError
from haversack.split.cutting import Numbers, for_each_axis
from haversack.split.streaming import in_order

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset

Function = Callable[[NDArray[Any]], Any]
Region = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """A block's number, the region it owns, and that with the overlap around."""

    number: int
    owned: Region
    around: Region

    @property
    def inner(self) -> Region:
        """Where in the larger region the owned one lies."""
        return tuple(
            slice(own.start - wide.start, own.stop - wide.start)
            for own, wide in zip(self.owned, self.around, strict=True)
        )


def map_blocks(
    dataset: SplitDataset,
    function: Function,
    overlap: Numbers,
    executor: Executor | None,
    workers: int | None,
    progress: events.Progress,
) -> Iterator[tuple[Region, Any]]:
    """Yield for each block the region that it owns and what the function makes of it."""
    margins = for_each_axis(overlap, dataset.ndim, "overlap")
    blocks = (_block(dataset, number, margins) for number in range(dataset.n_blocks))
    work = partial(_apply, dataset, function)
    count = workers or min(8, os.cpu_count() or 1)
    with (
        events.task(progress, "map", total=dataset.n_blocks, unit="block") as task,
        _given(executor, count) as pool,
    ):
        for block, result in in_order(work, blocks, pool, count + 1):
            task.advance()
            yield block.owned, result


@contextmanager
def _given(executor: Executor | None, workers: int) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    with ThreadPoolExecutor(workers, "haversack-map") as pool:
        yield pool


def _block(dataset: SplitDataset, number: int, margins: tuple[int, ...]) -> _Block:
    owned = dataset.owned(number)
    around = tuple(
        slice(max(0, each.start - margin), min(length, each.stop + margin))
        for each, margin, length in zip(owned, margins, dataset.shape, strict=True)
    )
    return _Block(number, owned, around)


def _apply(dataset: SplitDataset, function: Function, block: _Block) -> Any:
    """Run the function, and cut the overlap off a result that has kept it."""
    data = dataset[block.around]
    shape = data.shape
    result = function(data)
    is_whole = isinstance(result, np.ndarray) and result.shape == shape
    return result[block.inner] if is_whole else result


def save_mapped(
    dataset: SplitDataset,
    results: Iterator[tuple[Region, Any]],
    path: str | os.PathLike[str],
    compression: str | None,
) -> SplitDataset:
    """Save what a function made of the blocks as an array of the same blocks.

    Raises
    ------
    UsageError
        A result has not the shape of its block.
    """
    from haversack.split.writing import LoneWriter

    if not dataset.n_blocks:
        raise UsageError(f"{dataset.root} has no blocks")
    place, size, writer = Path(path), dataset.shape_block, None
    try:
        for number, (region, result) in enumerate(results):
            data = _checked(number, region, result)
            writer = writer or LoneWriter(
                place.parent,
                place.name,
                dataset.shape,
                size,
                compression=compression,
                dtype=data.dtype,
                **asdict(dataset.about),
            )
            writer.save_block_data(number, data)
        assert writer is not None
        return writer.finalize()
    except BaseException:
        if writer is not None:
            writer.give_up()
        raise


def _checked(number: int, region: Region, result: Any) -> NDArray[Any]:
    data = np.asarray(result)
    wanted = tuple(each.stop - each.start for each in region)
    if data.shape != wanted:
        raise UsageError(f"the result for block {number} is {data.shape}, not {wanted}")
    return data
