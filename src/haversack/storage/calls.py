"""The system calls that not every platform has, in one table.

Everything above asks this table and falls back where an entry is None; the test suite also runs
with all of them removed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

_SYNC_FILE_RANGE_WRITE = 2


def _optional(name: str) -> Any:
    return getattr(os, name, None)


def _syncfs() -> Callable[[int], None] | None:
    """Find Linux's call that syncs a whole file system, given a descriptor of anything on it."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None

    def syncfs(descriptor: int) -> None:
        if function(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return syncfs


def _write_back() -> Callable[[int, int, int], None] | None:
    """Find Linux's call that begins to write a range of a file to the disk, and does not wait.

    It promises nothing, so it tells of no error: the sync that follows does.
    """
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def write_back(descriptor: int, offset: int, size: int) -> None:
        function(descriptor, offset, size, _SYNC_FILE_RANGE_WRITE)

    return write_back


calls = SimpleNamespace(
    pread=_optional("pread"),
    preadv=_optional("preadv"),
    pwrite=_optional("pwrite"),
    fdatasync=_optional("fdatasync"),
    link=_optional("link"),
    posix_fadvise=_optional("posix_fadvise"),
    syncfs=_syncfs(),
    write_back=_write_back(),
    # Windows cannot open a directory, so it has nothing to sync.
    directory_sync=hasattr(os, "O_DIRECTORY"),
)
