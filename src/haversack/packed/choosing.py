"""Turn what chooses records (integers, a mask, a list) into places among so many, all checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from haversack.errors import PositionError, UsageError
from haversack.packed.reading.locate import Positions

_UNSIGNED = np.dtype(np.uint64)


def places(indices: Any, length: int) -> Positions:
    """Turn indices into places from 0 to ``length``.

    Raises
    ------
    PositionError
        One lies beyond the end.
    UsageError
        They are nothing that chooses records.

    Examples
    --------
    >>> places([-1, 0], 5), places(np.array([False, True]), 2)
    (array([4, 0]), array([1]))
    """
    chosen = indices
    if type(indices) is not np.ndarray or indices.dtype != np.int64 or indices.ndim != 1:
        chosen = _integers(indices, length)
    if chosen.size:
        # As unsigned numbers negative ones are huge: one pass finds both kinds that need care.
        # Batch after batch, out of a cold cache, argmax takes half as long as max.
        unsigned = chosen.view(_UNSIGNED)
        if unsigned[unsigned.argmax()] >= length:
            return _counted_from_end(chosen, length)
    found: Positions = chosen
    return found


def _integers(indices: Any, length: int) -> Positions:
    given = np.asarray(indices)
    if given.ndim != 1 or (given.dtype.kind not in "biu" and given.size):
        raise UsageError(
            "records are chosen by integers, a slice, a boolean mask or a list of integers, "
            f"not by {type(indices).__name__}; by key: ds.record(key)"
        )
    if given.dtype == bool:
        if len(given) != length:
            raise UsageError(f"a mask of {len(given)} for {length} records")
        return np.flatnonzero(given)
    # Such an integer may be beyond those of 64 bits with a sign.
    if given.dtype.kind == "u" and given.size and int(given.max()) >= length:
        raise beyond(int(given.max()), length)
    return given.astype(np.int64, copy=False)


def _counted_from_end(chosen: Positions, length: int) -> Positions:
    low, high = int(chosen.min()), int(chosen.max())
    if low < -length or high >= length:
        raise beyond(high if high >= length else low, length)
    return np.where(chosen < 0, chosen + length, chosen)


def beyond(index: int, length: int) -> PositionError:
    """Say that an index lies beyond the end."""
    return PositionError(f"record {index} of a dataset of {length} records")
