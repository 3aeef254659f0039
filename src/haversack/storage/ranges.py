"""Byte ranges of a local file, by offset, from any thread."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, PathNotFoundError, StorageError
from haversack.storage.calls import calls
from haversack.storage.looking import check_mode, open_to_read

_MOST_AT_ONCE = 512  # arrays: systems take 1024 in one call


class RangeFile:
    """A file open for reading by offset; it is closed when the last reference to it goes.

    Parameters
    ----------
    path
        An existing file.

    Raises
    ------
    PathNotFoundError
        There is no such file.
    StorageError
        It cannot be opened.
    FormatError
        It is a FIFO or a device.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "letters"
    >>> _ = path.write_bytes(b"abcdef")
    >>> RangeFile(path).read(2, 3)
    b'cde'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = open_to_read(path)
        except FileNotFoundError as error:
            raise PathNotFoundError(f"{path} does not exist") from error
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from error
        self.close = weakref.finalize(self, os.close, self._descriptor)
        self.size = self.inode = 0
        self.measure()
        self._seeking = threading.Lock()

    def measure(self) -> None:
        """Look how large the file is now: another may append to it."""
        try:
            state = os.fstat(self._descriptor)
        except OSError as error:
            raise StorageError(f"cannot look at {self.path}: {error.strerror}") from error
        check_mode(self.path, state.st_mode)
        self.size, self.inode = state.st_size, state.st_ino

    def read(self, offset: int, size: int) -> bytes:
        """Read exactly ``size`` bytes.

        Raises
        ------
        FormatError
            The file ends before that.
        StorageError
            The disk fails.
        """
        self._check_inside(offset, size)
        try:
            data = more = self._read(offset, size)
            while more and len(data) < size:
                more = self._read(offset + len(data), size - len(data))
                data += more
        except OSError as error:
            raise self._refused(offset, size, error) from error
        if len(data) != size:
            raise self._cut_short(offset, size)
        return data

    def read_into(self, target: NDArray[np.uint8], offset: int) -> None:
        """Fill an array of bytes with what lies from an offset on.

        Raises
        ------
        FormatError
            The file ends before that.
        StorageError
            The disk fails.
        """
        size = len(target)
        self._check_inside(offset, size)
        if calls.preadv is None:
            target[:] = np.frombuffer(self.read(offset, size), np.uint8)
            return
        try:
            count = more = calls.preadv(self._descriptor, [target], offset)
            while more and count < size:
                more = calls.preadv(self._descriptor, [target[count:]], offset + count)
                count += more
        except OSError as error:
            raise self._refused(offset, size, error) from error
        if count != size:
            raise self._cut_short(offset, size)

    def read_into_each(self, targets: Sequence[NDArray[np.uint8]], offset: int) -> None:
        """Fill several arrays of bytes, one after the other, with what lies from an offset on.

        Raises
        ------
        FormatError
            The file ends before that.
        StorageError
            The disk fails.
        """
        for first in range(0, len(targets), _MOST_AT_ONCE):
            some = targets[first : first + _MOST_AT_ONCE]
            if self._read_at_once(some, offset):
                offset += sum(map(len, some))
                continue
            for target in some:
                self.read_into(target, offset)
                offset += len(target)

    def _read_at_once(self, targets: Sequence[NDArray[np.uint8]], offset: int) -> bool:
        """Try to fill arrays by one call of the system; it may give less."""
        size = sum(map(len, targets))
        self._check_inside(offset, size)
        if calls.preadv is None:
            return False
        try:
            count: int = calls.preadv(self._descriptor, targets, offset)
        except OSError as error:
            raise self._refused(offset, size, error) from error
        return count == size

    def _check_inside(self, offset: int, size: int) -> None:
        """Refuse what is not there, before any memory is taken for it."""
        if offset < 0 or not 0 <= size <= self.size - offset:
            raise self._cut_short(offset, size)

    def expect(self, offset: int, size: int) -> None:
        """Have the system fetch bytes that will be read soon; nothing happens where it cannot."""
        if calls.posix_fadvise is None or not 0 <= offset < offset + size <= self.size:
            return
        with suppress(OSError):
            calls.posix_fadvise(self._descriptor, offset, size, os.POSIX_FADV_WILLNEED)

    def expect_no_order(self) -> None:
        """Have the system fetch only what is read or expected, and not what follows it."""
        if calls.posix_fadvise is not None:
            with suppress(OSError):
                calls.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def _refused(self, offset: int, size: int, error: OSError) -> StorageError:
        return StorageError(
            f"cannot read {size} bytes at {offset} of {self.path}: {error.strerror}"
        )

    def _cut_short(self, offset: int, size: int) -> FormatError:
        return FormatError(
            f"{self.path} is cut short: it ends before the end of the {size} bytes at {offset}"
        )

    def _read(self, offset: int, size: int) -> bytes:
        if calls.pread is not None:
            data: bytes = calls.pread(self._descriptor, size, offset)
            return data
        with self._seeking:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)
