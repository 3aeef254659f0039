"""Columns of numbers that filters alone look at: they wait on disk, and are in memory on demand."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from haversack.catalog.spool import Spool

_MOST = 1 << 16  # bytes of each column in memory
Number = TypeVar("Number", bound=np.generic)


class MappedColumn(Generic[Number]):
    """Numbers that are added while a source is read, and an array of them afterwards.

    Examples
    --------
    >>> column = MappedColumn(np.int64)
    >>> column.extend(np.array([3, 4]))
    >>> column.array().tolist()
    [3, 4]
    """

    def __init__(self, dtype: type[Number]) -> None:
        self._dtype = dtype
        self._fresh = bytearray()
        self._spool: Spool | None = None

    def extend(self, values: NDArray[Number]) -> None:
        """Add numbers of the column's type.

        Raises
        ------
        StorageError
            The disk of temporary files is full.
        """
        self._fresh += values.tobytes()
        if len(self._fresh) >= _MOST:
            self._spool = self._spool or Spool()
            self._spill(self._spool)

    def array(self) -> NDArray[Number]:
        """Give all numbers, read-only: those of a long column are read where they are looked at."""
        if self._spool is None:
            return np.frombuffer(bytes(self._fresh), self._dtype)
        self._spill(self._spool)
        return np.frombuffer(self._spool.map(), self._dtype)

    def _spill(self, spool: Spool) -> None:
        spool.append(self._fresh)
        self._fresh = bytearray()
