"""Copy an array into another that takes pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.split import SplitView
from haversack.split.reductions.streaming import Region, pieces

_PIECE = 32 << 20  # bytes


def fill(
    view: SplitView,
    write: Callable[[Region, NDArray[Any]], None],
    progress: events.Progress,
    chunks: Sequence[int] = (),
) -> None:
    """Read a view piece by piece; where the other array has chunks, whole ones of these."""
    regions = _of_chunks(view, chunks) if chunks and view.size else pieces(view)
    with events.task(progress, "export", total=view.nbytes, unit="B") as work:
        for region in regions:
            data = np.asarray(view[region], view.dtype)  # a scalar has the machine's byte order
            write(region, data)
            work.advance(data.nbytes)


def _of_chunks(view: SplitView, chunks: Sequence[int]) -> Iterator[Region]:
    """Cut a view into as many whole chunks at once as are not too large."""
    sizes = [*chunks]
    nbytes = math.prod(chunks) * view.dtype.itemsize
    for axis in reversed(range(view.ndim)):
        count = -(-view.shape[axis] // chunks[axis])
        fitting = max(1, min(count, _PIECE // nbytes))
        sizes[axis] *= fitting
        nbytes *= fitting
    axes = [
        [slice(start, min(length, start + size)) for start in range(0, length, size)]
        for length, size in zip(view.shape, sizes, strict=True)
    ]
    return product(*axes)
