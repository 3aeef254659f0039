"""Map files into memory at chosen places of one reserved range of addresses.

Files that lie behind each other in such a range read like one array. Unlike :mod:`mmap`, a mapping
here keeps no file descriptor, so a thousand mapped files are a thousand mappings and nothing more.
Where the platform has no ``mmap`` call, a range holds one file.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAGE = mmap.ALLOCATIONGRANULARITY
# Files placed at multiples of this may be mapped by huge pages where the page cache has some.
HUGE_PAGE = 1 << 21
_FAILED = ctypes.c_void_p(-1).value
_WILLNEED = getattr(mmap, "MADV_WILLNEED", None)
_MAP_FIXED, _NORESERVE = 0x10, 0x4000 if sys.platform == "linux" else 0x40


def _libc() -> Any:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    except (AttributeError, OSError, TypeError):
        return None
    return libc


_LIBC = _libc()
# Whether several files can share one range.
ADJACENT = _LIBC is not None


def memory() -> int:
    """Say how many bytes of memory the machine has; what cannot be told is a great many."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return sys.maxsize


def rounded(size: int, step: int = PAGE) -> int:
    """Round up to whole steps."""
    return -(-size // step) * step


class Reservation:
    """A range of ``size`` bytes of addresses, empty until files are placed in it.

    Reading a part of ``bytes`` where nothing was placed ends the process: ask only for what was.
    """

    def __init__(self, size: int) -> None:
        self.size = rounded(max(size, 1))
        if not ADJACENT:
            self._whole: NDArray[np.uint8] | None = None
            return
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
        reserved = self.size + HUGE_PAGE
        start = _map(None, reserved, 0, flags, -1)
        self._address = rounded(start, HUGE_PAGE)
        self.__array_interface__ = {
            "version": 3,
            "shape": (self.size,),
            "typestr": "|u1",
            "data": (self._address, True),
        }
        finalizer = weakref.finalize(self, _LIBC.munmap, start, reserved)
        # At exit the process lets go of everything; threads that still read must not be cut off.
        finalizer.atexit = False

    def place(self, descriptor: int, offset: int, length: int) -> None:
        """Map the first ``length`` bytes of an open file at ``offset`` (a multiple of a page)."""
        if offset % PAGE or offset + length > self.size:
            raise ValueError(f"cannot place {length} bytes at {offset} of {self.size}")
        if length == 0:
            return
        if not ADJACENT:
            mapped = mmap.mmap(descriptor, length, access=mmap.ACCESS_READ)
            self._whole = np.frombuffer(mapped, np.uint8)
            return
        flags = mmap.MAP_SHARED | _MAP_FIXED
        _map(self._address + offset, length, mmap.PROT_READ, flags, descriptor)

    @property
    def bytes(self) -> NDArray[np.uint8]:
        """The whole range as read-only bytes, which keep it mapped as long as they are used."""
        if not ADJACENT:
            return np.empty(0, np.uint8) if self._whole is None else self._whole
        return np.asarray(self)


def _map(address: int | None, size: int, protection: int, flags: int, descriptor: int) -> int:
    result: int | None = _LIBC.mmap(address, size, protection, flags, descriptor, 0)
    if result is None or result == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot map {size} bytes: {os.strerror(code)}")
    return result


def will_need(array: NDArray[np.uint8], starts: NDArray[Any], stops: NDArray[Any]) -> None:
    """Have scattered ranges of a mapped array read from the disk together, and nothing around them.

    It returns at once. Ranges that make up one are left to the kernel, which reads ahead.
    """
    if not ADJACENT or _WILLNEED is None or len(starts) < 2:
        return
    order = starts.argsort()
    base = array.__array_interface__["data"][0]
    first = (base + starts[order]) // mmap.PAGESIZE
    last = np.maximum.accumulate(-(-(base + stops[order]) // mmap.PAGESIZE))
    # A range goes on in the next where they meet.
    gaps = np.flatnonzero(first[1:] > last[:-1])
    if not len(gaps):
        return
    begin = first[np.append(0, gaps + 1)] * mmap.PAGESIZE
    size = last[np.append(gaps, len(last) - 1)] * mmap.PAGESIZE - begin
    for address, length in zip(begin.tolist(), size.tolist(), strict=True):
        _LIBC.madvise(address, length, _WILLNEED)


def read_ahead(array: NDArray[np.uint8], start: int, stop: int) -> None:
    """Have a range of a mapped array read from the disk at once, where it is not in memory.

    It returns at once. Touching the range alone would read it piece by piece, each waited for.
    """
    if ADJACENT and _WILLNEED is not None:
        base = array.__array_interface__["data"][0]
        begin = (base + start) // mmap.PAGESIZE * mmap.PAGESIZE
        _LIBC.madvise(begin, base + stop - begin, _WILLNEED)
