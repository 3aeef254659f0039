"""A nameless file for what would fill the memory: written at its end, read at any place."""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from pathlib import Path

from haversack.storage.calls import calls
from haversack.storage.publish import storage_error

_WINDOW = 8 << 10


def nameless_file(owner: object) -> int:
    """Open a file without a name, which is gone when ``owner`` is; give its descriptor.

    Raises
    ------
    StorageError
        There is no directory for temporary files, or its disk refuses.
    """
    try:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    except OSError as error:
        raise storage_error("open a temporary file in", Path("$TMPDIR"), error) from error
    weakref.finalize(owner, os.close, descriptor)
    return descriptor


class Spool:
    """Bytes on disk that are gone with the last who holds them.

    Examples
    --------
    >>> spool = Spool()
    >>> spool.append(b"bytes")
    >>> spool.read(1, 3)
    b'yt'
    """

    def __init__(self) -> None:
        self._descriptor = nameless_file(self)
        self.size = 0
        self._lock = threading.Lock()
        self._window = 0, b""

    def append(self, content: bytes | bytearray) -> None:
        """Add bytes at the end.

        Raises
        ------
        StorageError
            The disk of temporary files is full.
        """
        with self._lock:
            try:
                os.lseek(self._descriptor, self.size, os.SEEK_SET)
                with memoryview(content) as rest:
                    written = 0
                    while written < len(content):
                        written += os.write(self._descriptor, rest[written:])
            except OSError as error:
                place = Path(tempfile.gettempdir())
                raise storage_error("keep a catalog in", place, error) from error
            self.size += len(content)

    def read(self, begin: int, end: int) -> bytes:
        """Give some bytes; neighbours of the last ones are at hand."""
        start, window = self._window
        if not start <= begin <= end <= start + len(window):
            start, window = begin, self._fetch(begin, max(end - begin, _WINDOW))
            self._window = start, window
        return window[begin - start : end - start]

    def map(self) -> mmap.mmap:
        """Map what is there, at least a byte, into memory to be read."""
        return mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ)

    def _fetch(self, begin: int, size: int) -> bytes:
        if calls.pread is not None:
            content: bytes = calls.pread(self._descriptor, size, begin)
            return content
        with self._lock:
            os.lseek(self._descriptor, begin, os.SEEK_SET)
            return os.read(self._descriptor, size)
