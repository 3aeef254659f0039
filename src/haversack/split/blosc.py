"""Decompress Blosc 1 buffers whose structure is known to be sound, in a thread's own memory.

The library is the one in the wheel of ``blosc2``, without that package's Python, whose import costs
0.3 s. Where it cannot be found numcodecs does the same; that one starts threads of Blosc's own when
the main thread calls it, for which small reads have no time.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from haversack.errors import FormatError

_THREADS = 1
_MOST_KEPT = 16 << 20  # bytes of memory that stays with a thread
_SUFFIXES = (".so", ".dylib", ".dll")


class Memory:
    """Bytes that are used again and again, and grow."""

    def __init__(self) -> None:
        self.data: NDArray[np.uint8] = np.empty(0, np.uint8)
        self.address = 0

    def of(self, size: int) -> NDArray[np.uint8]:
        """Give that many bytes, with nothing in them that means anything."""
        if len(self.data) < size:
            self.data = np.empty(size, np.uint8)
            self.address = self.data.ctypes.data
        return self.data[:size]


class Workspace:
    """Memory for what is read and what is decoded."""

    def __init__(self) -> None:
        self.stored, self.decoded = Memory(), Memory()
        self._decompress = _decompressor()

    def decompress(self, size: int, nbytes: int, address: int) -> None:
        """Decode the first ``size`` bytes stored into ``nbytes`` at an address.

        Raises
        ------
        FormatError
            They are not what their header says.
        """
        if self._decompress(self.stored, size, address, nbytes) != nbytes:
            raise FormatError("a chunk cannot be decoded: its blocks are not what Blosc writes")


class _Parameters(ctypes.Structure):
    """``blosc2_dparams`` of blosc2.h."""

    _fields_ = (
        ("nthreads", ctypes.c_int),
        ("schunk", ctypes.c_void_p),
        ("postfilter", ctypes.c_void_p),
        ("postparams", ctypes.c_void_p),
        ("spare", ctypes.c_byte * 64),
    )


def _load() -> Any:
    """Find libblosc2, without importing its package."""
    spec = find_spec("blosc2")
    if spec is None or spec.origin is None:
        return None
    for path in sorted(Path(spec.origin).parent.glob("**/*blosc2*")):
        if path.suffix in _SUFFIXES and "ext" not in path.name:
            try:
                library = ctypes.CDLL(str(path))
                _declare(library)
            except (OSError, AttributeError):
                continue
            return library
    return None


def _declare(library: Any) -> None:
    library.blosc2_create_dctx.restype = ctypes.c_void_p
    library.blosc2_create_dctx.argtypes = (_Parameters,)
    library.blosc2_decompress_ctx.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int32,
    )
    library.blosc2_free_ctx.argtypes = (ctypes.c_void_p,)
    library.blosc2_init()


# Before a read: by then the process may have no file left to open.
_library = _load()


_Decompress = Callable[[Memory, int, int, int], int]


def _decompressor() -> _Decompress:
    if _library is None:
        return _by_numcodecs
    context = _library.blosc2_create_dctx(_Parameters(nthreads=_THREADS))
    function = _library.blosc2_decompress_ctx

    def decompress(source: Memory, size: int, address: int, nbytes: int) -> int:
        found: int = function(context, source.address, size, address, nbytes)
        return found

    weakref.finalize(decompress, _library.blosc2_free_ctx, context).atexit = False
    return decompress


def _by_numcodecs(source: Memory, size: int, address: int, nbytes: int) -> int:
    target = np.frombuffer(memoryview((ctypes.c_ubyte * nbytes).from_address(address)), np.uint8)
    try:
        blosc.decompress(source.data[:size], target)
    except RuntimeError:
        return -1
    return nbytes


class _Kept(threading.local):
    def __init__(self) -> None:
        self.idle: list[Workspace] = []


_kept = _Kept()


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Lend memory of this thread; who reads while it is in use (in a signal's handler) gets other.

    What has become large is not kept.
    """
    own = _kept.idle.pop() if _kept.idle else Workspace()
    try:
        yield own
    finally:
        if max(len(own.stored.data), len(own.decoded.data)) <= _MOST_KEPT:
            _kept.idle.append(own)
