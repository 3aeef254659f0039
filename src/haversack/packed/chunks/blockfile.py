"""Write a file of blocks, and compute the checksum of each on the way."""

from __future__ import annotations

import os
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.packed.chunks.layout import BLOCK
from haversack.storage.calls import calls
from haversack.storage.checksum import crc32c

# Written whole and at a multiple of its size, this becomes one huge page of the page cache, which
# makes random reads of a mapped file a quarter faster.
_BUFFER: Final = 128 * BLOCK


class BlockFile:
    """A new file that is written from its beginning to its end; OSErrors are the caller's."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self._file: Any = os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._fill = 0
        self._sums = array("I")
        self._written = self.position = 0

    def write(self, data: Any) -> None:
        """Add bytes (an object of one dimension with a buffer of them)."""
        size = len(data)
        fill = self._fill + size
        if fill < _BUFFER:
            self._buffer[self._fill : fill] = data
            self._fill = fill
        else:
            self._write_on(memoryview(data))
        self.position += size

    def align(self, step: int) -> None:
        """Add zeros up to a multiple of ``step``."""
        self.write(bytes(-self.position % step))

    def _write_on(self, data: memoryview) -> None:
        while data:
            if self._fill == 0 and len(data) >= _BUFFER:
                whole = len(data) - len(data) % _BUFFER
                self._put(data[:whole])
                data = data[whole:]
                continue
            part = data[: _BUFFER - self._fill]
            self._buffer[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            data = data[len(part) :]
            if self._fill == _BUFFER:
                self._flush()

    def _flush(self) -> None:
        fill, self._fill = self._fill, 0
        self._put(self._buffer[:fill])

    def _put(self, data: memoryview) -> None:
        whole = np.frombuffer(data, np.uint8)
        self._sums.extend(crc32c(whole[at : at + BLOCK]) for at in range(0, len(whole), BLOCK))
        self._write_out(data)
        if calls.write_back is not None and len(data) >= _BUFFER:
            # The disk works while the next blocks are made; the sync at the end waits for less.
            calls.write_back(self._file.fileno(), self._written - len(data), len(data))

    def _write_out(self, data: Any) -> None:
        left = memoryview(data)
        self._written += len(left)
        while left:
            left = left[self._file.write(left) :]

    def sums(self) -> NDArray[Any]:
        """End the blocks and give their checksums; only :meth:`end` may follow."""
        self._flush()
        return np.array(self._sums, "<u4")

    def end(self, data: bytes) -> None:
        """Add the last bytes, which no block covers, sync and close."""
        self._write_out(data)
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        # On a full disk closing fails too, having let go of the descriptor.
        with suppress(OSError):
            self._file.close()
