"""Files that are a running process's own, and those whose owner is dead.

A process loses what it owns as soon as it closes any descriptor of the file, so it must not even
look at a file of its own: it remembers which they are.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from haversack.storage.closing import close_quietly
from haversack.storage.lock import own

_ATTEMPTS: Final = 10
_held: dict[int, tuple[int, int]] = {}  # device and inode by descriptor
_looking = threading.Lock()


def create_owned(path: Path) -> int:
    """Create a file to append to, and own it; errors are OSErrors."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o666)
    with _looking:
        _held[descriptor] = identity(descriptor)
    for _ in range(_ATTEMPTS):
        if own(descriptor):
            break
        time.sleep(0.001)  # somebody looks whether its owner is dead
    return descriptor


def claim(path: Path) -> int | None:
    """Open a file and make it this process's own, unless it is somebody's."""
    with suppress(OSError), _looking:
        status = path.lstat()
        if (status.st_dev, status.st_ino) in _held.values() or not stat.S_ISREG(status.st_mode):
            return None
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        if own(descriptor):
            _held[descriptor] = identity(descriptor)
            return descriptor
        close_quietly(descriptor)
    return None


def disown(descriptor: int) -> None:
    """Close a file that is owned; -1 is none."""
    if descriptor >= 0:
        with _looking:
            del _held[descriptor]
            close_quietly(descriptor)


def identity(descriptor: int) -> tuple[int, int]:
    """Give device and inode of an open file."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
