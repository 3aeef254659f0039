"""The size and the SHA-256 of each file that is here, kept on disk, as a million are much."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from pathlib import Path

from haversack.catalog.spool import nameless_file
from haversack.storage.calls import calls
from haversack.storage.publish import storage_error

# One more than the size, so that a row of nothing but zeros is one that was never noted.
_RECORD = struct.Struct("<Q32s")
_NO_DIGEST = bytes(32)


class Measures:
    """Sizes and digests in a nameless file, which is gone with this object.

    Examples
    --------
    >>> measures = Measures()
    >>> measures.note(2, 0, None)
    >>> measures.of(2), measures.of(1), measures.of(5)
    ((0, None), None, None)
    """

    def __init__(self) -> None:
        self._descriptor = nameless_file(self)
        self._lock = threading.Lock()

    def note(self, row: int, size: int, digest: bytes | None) -> None:
        """Note the bytes of a file and its SHA-256, None where that is not known.

        Raises
        ------
        StorageError
            The disk of temporary files is full.
        """
        self._write(row, _RECORD.pack(size + 1, digest or _NO_DIGEST))

    def forget(self, row: int) -> None:
        self._write(row, bytes(_RECORD.size))

    def of(self, row: int) -> tuple[int, bytes | None] | None:
        """Give size and digest of a file, None where they were not noted."""
        content = self._read(row)
        size, digest = _RECORD.unpack(content) if content else (0, _NO_DIGEST)
        return (size - 1, None if digest == _NO_DIGEST else digest) if size else None

    def _write(self, row: int, content: bytes) -> None:
        place = row * _RECORD.size
        try:
            if calls.pwrite is not None:
                calls.pwrite(self._descriptor, content, place)
                return
            with self._lock:
                os.lseek(self._descriptor, place, os.SEEK_SET)
                os.write(self._descriptor, content)
        except OSError as error:
            folder = Path(tempfile.gettempdir())
            raise storage_error("note what is here in", folder, error) from error

    def _read(self, row: int) -> bytes:
        place = row * _RECORD.size
        if calls.pread is not None:
            content: bytes = calls.pread(self._descriptor, _RECORD.size, place)
            return content
        with self._lock:
            os.lseek(self._descriptor, place, os.SEEK_SET)
            return os.read(self._descriptor, _RECORD.size)
