"""Write files so that a name never stands for half a file.

The order is always: write a temporary, sync it, give it its name, sync the directory. A failed sync
is never retried on the same file (the kernel may have dropped the pages): the whole publication
fails and the name keeps what it had.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from haversack.errors import ExistsError, HaversackError, StorageError
from haversack.storage.calls import calls

TEMPORARY_SUFFIX = ".partial"
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(TEMPORARY_SUFFIX)}")
_WORTH_A_SYNCFS = 16
ABANDONED = 24 * 3600.0  # seconds without a write, after which no writer goes on


def temporary_beside(path: Path) -> Path:
    """Name a temporary in the directory of ``path`` that no other writer uses."""
    return path.with_name(temporary_name())


def temporary_name() -> str:
    """Make up the name of a temporary that no other writer uses."""
    return f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"


def is_temporary(name: str) -> bool:
    """Tell a temporary of ours by its name."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path, *, older_than: float = ABANDONED) -> None:
    """Remove temporaries that killed writers left in a directory, as far as that can be done.

    Parameters
    ----------
    folder
        The directory; there need not be one.
    older_than
        Seconds since the last write to a temporary. With 0 all go: nobody else writes there.
    """
    limit = time.time() - older_than
    with suppress(OSError):
        with os.scandir(folder) as entries:  # one by one, for there may be a million
            names = [entry.name for entry in entries if is_temporary(entry.name)]
        for name in names:
            with suppress(OSError):  # published meanwhile, or not ours to remove
                if not older_than or (folder / name).lstat().st_mtime < limit:
                    (folder / name).unlink()


def names_in(folder: Path) -> list[str]:
    """List the names in a directory; none where there is no such directory.

    Raises
    ------
    StorageError
        It cannot be read, which is not to be taken for an empty one.
    """
    try:
        return os.listdir(folder)  # noqa: PTH208 (names alone, of what may be many files)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise storage_error("list", folder, error) from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive power loss."""
    if not calls.directory_sync:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_above(directory: Path, lasting: Container[Path] = ()) -> None:
    """Make the names of a directory and of all above it survive power loss.

    Also where they were there before: a writer, now dead, may have made them just now.

    Parameters
    ----------
    directory
        The directory; what is in it is not synced.
    lasting
        Directories of which this was done before.
    """
    for folder in (directory, *directory.parents):
        if folder in lasting:
            return
        with suppress(PermissionError):  # not ours to read, and so not ours to have made
            sync_directory(folder.parent)


def sync_file(path: str) -> None:
    """Bring all of a file to the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_worth_a_syncfs(count: int) -> bool:
    """Tell whether so many files are on the disk sooner with all else of their file system."""
    return calls.syncfs is not None and count >= _WORTH_A_SYNCFS


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents, each durable in its own parent.

    Raises
    ------
    ExistsError
        A file, or a link that leads nowhere, has the name of one.
    StorageError
        The disk refuses.
    """
    try:
        if path.is_dir():
            return
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)
    except HaversackError:
        raise
    except FileExistsError as error:
        what = "file" if path.exists() else "link that leads nowhere"
        raise ExistsError(f"{path} is a {what}, where a directory is to be made") from error
    except OSError as error:
        raise storage_error("create the directory", path, error) from error


@contextmanager
def in_new_directory(path: Path) -> Iterator[None]:
    """Create a directory as :func:`make_directory` does; if the block fails, it goes if empty.

    So do the parents that were made with it.
    """
    with clearing_away(path):
        make_directory(path)
        yield


@contextmanager
def clearing_away(path: Path) -> Iterator[None]:
    """If the block fails, a directory that it made goes if empty, and parents made with it do."""
    with telling("look at", path):
        missing = [each for each in (path, *path.parents) if not each.exists()]
    try:
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a new, synced-on-exit temporary file; removed again if the block fails.

    The file stands under ``path`` when the block ends, but is not yet durable as a name.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Publish ``content`` under ``path``, replacing what was there.

    Parameters
    ----------
    path
        Final name; its directory must exist.
    content
        The whole file.
    mode
        Permission bits; the default is what the process's umask leaves.

    Raises
    ------
    StorageError
        The disk is full, read-only or failing. ``path`` is as it was.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "state.json"
    >>> replace(path, b"{}")
    >>> path.read_bytes()
    b'{}'
    """
    temporary = temporary_beside(path)
    try:
        with writing(temporary) as file:
            if mode is not None:
                temporary.chmod(mode)
            file.write(content)
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise storage_error("write", path, error) from error


def create(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Publish ``content`` under ``path`` unless something stands there.

    Of several writers exactly one wins, and readers never see a part of the file. ``mode`` is
    the permission bits, which hold before the first byte is written.

    Raises
    ------
    ExistsError
        Another file has the name.
    StorageError
        The disk refuses.
    """
    temporary = temporary_beside(path)
    try:
        with writing(temporary) as file:
            if mode is not None:
                temporary.chmod(mode)
            file.write(content)
        claim(temporary, path)
        sync_directory(path.parent)
    except FileExistsError as error:
        raise ExistsError(f"{path} already exists") from error
    except OSError as error:
        raise storage_error("write", path, error) from error


def claim(temporary: Path, path: Path) -> None:
    """Give a written temporary its final name, or raise FileExistsError; the temporary is gone."""
    try:
        if calls.link is not None:
            calls.link(temporary, path)
        else:
            _claim_without_link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _claim_without_link(temporary: Path, path: Path) -> None:
    # On Windows a rename refuses an existing name; elsewhere O_EXCL reserves it first.
    if os.name != "nt":
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        temporary.replace(path)
    else:
        temporary.rename(path)


@contextmanager
def telling(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError of the disk into a StorageError that says what was being done."""
    try:
        yield
    except HaversackError:
        raise
    except OSError as error:
        raise storage_error(doing, path, error) from error


def is_full(error: BaseException | None) -> bool:
    """Tell whether an error came of a full disk, or a quota that is used up."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        error = error.__cause__ if error.__cause__ is not error else None
    return False


def storage_error(doing: str, path: Path, error: OSError) -> StorageError:
    """Say what failed, where, and what to do next."""
    if isinstance(error, StorageError):
        return error
    advice = {
        errno.ENOSPC: "the disk is full: free some space and run the same again",
        errno.EDQUOT: "your disk quota is used up: free some space and run the same again",
        errno.EROFS: "the file system is read-only",
        errno.EACCES: "permission denied",
        errno.EIO: "the disk reports an I/O error",
    }.get(error.errno or 0, error.strerror or str(error))
    if error.errno == errno.ENOENT and not path.parent.is_dir():
        advice = f"{path.parent} is gone, somebody removed it: run the same again"
    return StorageError(f"cannot {doing} {path}: {advice}")
