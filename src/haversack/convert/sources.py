"""Read what other programs wrote through their libraries, whose errors then name the file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from haversack.errors import FormatError, HaversackError, UsageError
from haversack.storage.publish import storage_error
from haversack.storage.ranges import RangeFile

# What a path or a number in a file is to blame for, and not the disk.
_NO_FAULT_OF_A_DISK = {errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EINVAL}


@contextmanager
def reading(place: Path, where: str = "") -> Iterator[None]:
    """Turn whatever a library raises in the block into an error of ours that names a place.

    Raises
    ------
    FormatError
        The library cannot read it.
    StorageError
        The disk refuses.
    """
    try:
        yield
    except (HaversackError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno and error.errno not in _NO_FAULT_OF_A_DISK:
            raise storage_error("read", place, error) from error
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise FormatError(f"{place}{where} is damaged, or not what it should be: {told}") from error


def check_file(place: Path) -> None:
    """Refuse what is no file, before a library waits for who may write to it.

    Raises
    ------
    PathNotFoundError, StorageError
        There is none, or the disk refuses.
    FormatError
        It is a directory, a FIFO, a device, or a link to itself.
    """
    with reading(place):
        if place.is_dir():
            raise FormatError(f"{place} is a directory, not a file")
        if not place.exists() and place.is_symlink():
            raise FormatError(f"{place} is a link that leads to no file")
        RangeFile(place)


def refuse_name(place: Path | str, name: str | None) -> None:
    """Refuse the name of an array where there is one alone, which has none."""
    if name is not None:
        raise UsageError(f"{place} is one array, which has no name: leave the dataset {name!r} out")


def files_in(place: Path) -> Iterator[str]:
    """Go over the files below a directory, which must hold nothing but files and directories.

    Raises
    ------
    FormatError
        It holds something else: a FIFO, a device, a link that leads nowhere.
    StorageError
        The disk refuses.
    """
    seen: set[tuple[int, int]] = set()  # directories, for a link may lead to one above it
    folders = [os.fspath(place)]
    while folders:
        folder = folders.pop()
        with reading(Path(folder)):
            state = os.stat(folder)  # noqa: PTH116 (texts, of what may be many files)
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        folders.append(entry.path)
                    else:
                        yield entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with reading(Path(entry.path)):
        if entry.is_dir():
            return True
        if not entry.is_file():
            raise FormatError(f"{entry.path} is neither a file nor a directory")
        return False


class ForeignArray:
    """An array of another library, whose errors name the place that it is read from."""

    def __init__(self, array: Any, place: Path) -> None:
        self._array, self._place = array, place
        with reading(place):
            self.shape, self.dtype = tuple(array.shape), array.dtype
            self.chunks = getattr(array, "chunks", None)

    def __getitem__(self, region: Any) -> Any:
        with reading(self._place, f", elements {_written(region)}"):
            return self._array[region]


def _written(region: Any) -> str:
    return ", ".join(f"{each.start}:{each.stop}" for each in region)
