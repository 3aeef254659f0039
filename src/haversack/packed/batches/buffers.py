"""Memory for batches that is used again as soon as nobody uses it any more.

Fresh memory is dear: the system clears every page of it at first touch, which for large batches
takes longer than reading them. An array given out here holds a lease, which its views and tensors
hold too; when the last of them is gone, the memory comes back.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNED = 64


class Buffers:
    """Blocks of memory that are lent as arrays; it keeps ``most`` of them while none needs them.

    Examples
    --------
    >>> buffers = Buffers(2)
    >>> first = buffers.array((2, 3), np.dtype("u1"))
    >>> address = first.ctypes.data
    >>> del first
    >>> buffers.array((2, 3), np.dtype("i1")).ctypes.data == address
    True
    """

    def __init__(self, most: int) -> None:
        self._free: deque[NDArray[np.uint8]] = deque(maxlen=most)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Lend an array of any content."""
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            return np.empty(shape, dtype)
        lease = _Lease(self._block(size), size, self._free)
        return np.ndarray(shape, dtype, np.asarray(lease))

    def _block(self, size: int) -> NDArray[np.uint8]:
        try:
            block = self._free.pop()
        except IndexError:
            return np.empty(size + _ALIGNED, np.uint8)
        # The last batch of an epoch may be smaller; a block that is too small is let go.
        return block if block.size >= size + _ALIGNED else np.empty(size + _ALIGNED, np.uint8)


class _Lease:
    """What keeps a block from being lent again."""

    __slots__ = ("__array_interface__", "_block", "_home")

    def __init__(self, block: NDArray[np.uint8], size: int, home: deque[NDArray[np.uint8]]) -> None:
        self._block, self._home = block, home
        address = block.ctypes.data
        self.__array_interface__ = {
            "version": 3,
            "shape": (size,),
            "typestr": "|u1",
            "data": (address + -address % _ALIGNED, False),
        }

    def __del__(self) -> None:
        self._home.append(self._block)
