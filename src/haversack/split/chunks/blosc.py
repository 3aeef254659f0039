"""Decompress Blosc 1 buffers whose structure is known to be sound, in memory used again and again.

The library is the one in the wheel of ``blosc2``, without that package's Python, whose import costs
0.3 s. Where it cannot be found numcodecs does the same; that one starts threads of Blosc's own when
the main thread calls it, for which small reads have no time.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.split.chunks.threads import CORES

_THREADS = 1
_MOST_KEPT = 12 << 20  # bytes of memory that is kept for the next who needs some
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


# Idle memory of this process. Taking and adding are atomic: neither a signal's handler nor a fork
# finds it half changed.
_idle: deque[Workspace] = deque(maxlen=2 * CORES + 2)


def borrow() -> Workspace:
    """Give memory that nobody else uses, until it is given back or forgotten."""
    try:
        return _idle.pop()
    except IndexError:
        return Workspace()


def give_back(space: Workspace) -> None:
    """Let others use memory, unless it has become large."""
    if len(space.stored.data) + len(space.decoded.data) <= _MOST_KEPT:
        _idle.append(space)


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Lend memory."""
    space = borrow()
    try:
        yield space
    finally:
        give_back(space)
