"""A lock that a forked child does not find locked by a thread that it has not got."""

from __future__ import annotations

import os
import threading
from types import TracebackType


class ForkLock:
    """A lock for threads, used by ``with``; the same thread may take it again.

    Examples
    --------
    >>> lock = ForkLock()
    >>> with lock, lock:
    ...     pass
    """

    def __init__(self) -> None:
        self._lock, self._owner = threading.RLock(), os.getpid()

    def __enter__(self) -> None:
        if self._owner != os.getpid():
            self._lock, self._owner = threading.RLock(), os.getpid()
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
