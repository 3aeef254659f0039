"""A lock between processes that the kernel frees when its holder dies.

``exclusive`` guards moments (compare, then rename), ``own`` tells the living from the dead, and no
correctness above rests on either alone: some network file systems grant every lock to everybody.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haversack.errors import LockTimeoutException, StorageError
from haversack.storage.closing import close_quietly

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
_FAR = 1 << 30


@contextmanager
def exclusive(path: Path, *, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock file ``path`` for the length of the block.

    Parameters
    ----------
    path
        The lock file; created when missing, never removed, and harmless when left behind.
    timeout
        Seconds to wait for another holder; None waits for ever.

    Raises
    ------
    LockTimeoutException
        Another process or thread held it for the whole time.
    StorageError
        A directory or a link stands there.
    """
    descriptor = _open(path)
    try:
        _wait(descriptor, path, timeout)
        yield
    finally:
        close_quietly(descriptor)


def _open(path: Path) -> int:
    """Open a lock file, and make it where there is none, but never where a link leads."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        stands = {errno.ELOOP: "a link", errno.EISDIR: "a directory"}.get(error.errno or 0)
        if stands is None:
            raise
        raise StorageError(
            f"{path} cannot be locked: {stands} stands there where a file has to be: remove it"
        ) from error


def _wait(descriptor: int, path: Path, timeout: float | None) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while not _try_lock(descriptor):
        if deadline is not None and time.monotonic() >= deadline:
            raise LockTimeoutException(
                f"{path} is held by another writer for more than {timeout:g} s: "
                "wait for it to finish, or give a longer timeout"
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def own(descriptor: int) -> bool:
        """Mark an open file as this process's own, unless another process has; tell which."""
        os.lseek(descriptor, _FAR, os.SEEK_SET)  # what lies under such a lock cannot be read
        return _try_lock(descriptor)

else:
    import fcntl

    def own(descriptor: int) -> bool:
        """Mark an open file as this process's own, unless another process has; tell which.

        The mark goes with the process, or as soon as it closes any descriptor of the file; children
        do not inherit it. Where there are no locks, no file is anybody's own.
        """
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
