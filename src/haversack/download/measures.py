"""The size and the SHA-256 of each file that is here, kept on disk, as a million are much."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from pathlib import Path

from haversack.catalog.spool import nameless_file
from haversack.storage.publish import storage_error

# One more than the size, so that a row of nothing but zeros is one that was never noted.
_RECORD = struct.Struct("<Q32s")
_NO_DIGEST, _NOTHING = bytes(32), bytes(_RECORD.size)
_AT_ONCE = 1000


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
        # Those that are not there yet: a call of the system for each would cost more than all else.
        self._fresh: dict[int, bytes] = {}

    def note(self, row: int, size: int, digest: bytes | None) -> None:
        """Note the bytes of a file and its SHA-256, None where that is not known.

        Raises
        ------
        StorageError
            The disk of temporary files is full.
        """
        self._note(row, _RECORD.pack(size + 1, digest or _NO_DIGEST))

    def forget(self, row: int) -> None:
        self._note(row, _NOTHING)

    def _note(self, row: int, record: bytes) -> None:
        with self._lock:
            self._fresh[row] = record
            if len(self._fresh) >= _AT_ONCE:
                self._write_fresh()

    def of(self, row: int) -> tuple[int, bytes | None] | None:
        """Give size and digest of a file, None where they were not noted."""
        with self._lock:
            content = self._fresh.get(row) or self._read(row)
        size, digest = _RECORD.unpack(content) if content else (0, _NO_DIGEST)
        return (size - 1, None if digest == _NO_DIGEST else digest) if size else None

    def _write_fresh(self) -> None:
        fresh, self._fresh = self._fresh, {}
        rows = sorted(fresh)
        begins = [n for n, row in enumerate(rows) if not n or row != rows[n - 1] + 1]
        try:
            for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
                self._write(rows[begin], b"".join(fresh[row] for row in rows[begin:end]))
        except OSError as error:
            folder = Path(tempfile.gettempdir())
            raise storage_error("note what is here in", folder, error) from error

    def _write(self, row: int, records: bytes) -> None:
        os.lseek(self._descriptor, row * _RECORD.size, os.SEEK_SET)
        while records:
            records = records[os.write(self._descriptor, records) :]

    def _read(self, row: int) -> bytes:
        os.lseek(self._descriptor, row * _RECORD.size, os.SEEK_SET)
        return os.read(self._descriptor, _RECORD.size)
