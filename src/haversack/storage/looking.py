"""Look at what stands at a path; where the disk refuses to tell, that is an error of ours."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haversack.errors import FormatError, UnsupportedError, UsageError
from haversack.storage.publish import storage_error

# Of an address a Path keeps one slash. A letter alone is a drive.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?=://)|(https?|ftp|file|s3|gs|az|abfss?)(?=:/)")


def as_path(given: str | os.PathLike[str]) -> Path:
    """Take a path that a caller gave, if any file can have it; ``~`` is the user's home.

    Raises
    ------
    UnsupportedError
        It is no path, but something else or an address.
    UsageError
        It is empty, holds a NUL character, or text that is no name on this system.
    """
    if not isinstance(given, str | os.PathLike):
        raise UnsupportedError(f"a path is a text or an os.PathLike, not {given!r}")
    try:
        if b"\0" in os.fsencode(given):
            raise UsageError(f"a path cannot hold a NUL character, as {os.fspath(given)!r} does")
    except UnicodeEncodeError as error:
        raise UsageError(f"{given!r} is no valid text for a path: {error.reason}") from error
    if address := _ADDRESS.match(os.fsdecode(given)):
        raise UnsupportedError(
            f"an address ({address[0]}://...) is no path: fetch what is there with "
            "`haversack download`, and give the path of that"
        )
    if not os.fspath(given):
        raise UsageError('a path is empty: give "." for the directory that you are in')
    path = Path(given)
    # No name of a user: a directory may well be called ~b.
    return Path(os.path.expanduser(path)) if path.parts[:1] == ("~",) else path  # noqa: PTH111


def exists(path: Path) -> bool:
    """Tell whether anything stands at a path.

    Raises
    ------
    StorageError
        The disk does not tell, or no file can have that name.
    """
    try:
        return path.exists()
    except OSError as error:
        raise storage_error("look at", path, error) from error


def is_directory(path: Path) -> bool:
    """Tell whether a directory stands at a path; raises as :func:`exists`."""
    try:
        return path.is_dir()
    except OSError as error:
        raise storage_error("look at", path, error) from error


def listed(folder: Path) -> list[Path]:
    """List what a directory holds, by name; raises as :func:`exists`."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise storage_error("list", folder, error) from error


def natural_order(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Give what paths are sorted by so that numbers in their names count as such.

    Examples
    --------
    >>> [path.name for path in sorted(map(Path, ("b1", "a10", "a2")), key=natural_order)]
    ['a2', 'a10', 'b1']
    """
    parts = re.findall(r"([^0-9]*)([0-9]*)", path.name)
    return [(text, int(digits or -1)) for text, digits in parts], path.name


def state(path: Path) -> os.stat_result | None:
    """Tell what the system knows of a file, None where there is none; raises as :func:`exists`."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_error("look at", path, error) from error


def read_file(path: Path) -> bytes:
    """Read a whole file.

    Raises
    ------
    FileNotFoundError
        There is none.
    FormatError
        It is a directory, a FIFO or a device, which may have no end.
    StorageError
        The disk refuses.
    """
    try:
        refuse_endless(path)
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error("read", path, error) from error


def refuse_endless(path: Path) -> None:
    """Refuse what is no file before something opens it; OSErrors are the caller's.

    Raises
    ------
    FormatError
        It is a directory, a device, which may have no end, or a FIFO, which makes who opens it
        wait for a writer.
    """
    check_mode(path, path.stat().st_mode)


def check_mode(path: Path, mode: int) -> None:
    """Refuse what is no file by what the system says of it; raises as :func:`refuse_endless`."""
    if not stat.S_ISREG(mode):
        what = "directory" if stat.S_ISDIR(mode) else "FIFO or a device"
        raise FormatError(f"{path} is no file, but a {what}")


def open_to_read(path: Path) -> int:
    """Give a descriptor; nobody waits for who may write to a FIFO. OSErrors are the caller's."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file for reading until the block ends; OSErrors are the caller's.

    Raises
    ------
    FormatError
        It is a FIFO or a device.
    """
    descriptor = open_to_read(path)
    try:
        check_mode(path, os.fstat(descriptor).st_mode)
        yield descriptor
    finally:
        os.close(descriptor)
