"""Write ``.npy`` files, a piece in memory at a time."""

from __future__ import annotations

import math
from itertools import zip_longest
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.convert.filling import fill
from haversack.split import SplitView
from haversack.split.reductions.streaming import Region


def write_npy(view: SplitView, path: Path, progress: events.Progress) -> None:
    """Write a view, not through a map of the file: on a full disk that kills the process.

    Raises
    ------
    OSError
        The disk refuses.
    """
    shape = view.shape
    strides = [math.prod(shape[axis + 1 :]) * view.dtype.itemsize for axis in range(view.ndim)]
    with path.open("wb") as file:
        header = {"descr": view.dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        begin = file.tell()

        def write(region: Region, data: NDArray[Any]) -> None:
            for place in np.ndindex(data.shape[: _cut_axis(region, shape)]):
                starts = [each.start for each in region]
                index = [*map(sum, zip_longest(starts, place, fillvalue=0))]
                file.seek(begin + sum(map(mul, index, strides)))
                file.write(np.ascontiguousarray(data[(*place, ...)]).data)

        fill(view, write, progress)


def _cut_axis(region: Region, shape: tuple[int, ...]) -> int:
    """Find the last axis of which a region has a part: from it on, it lies in one piece."""
    for axis in reversed(range(len(shape))):
        if region[axis].stop - region[axis].start < shape[axis]:
            return axis
    return 0
