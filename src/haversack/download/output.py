"""A directory to write into, and nothing outside of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from haversack.errors import ExistsError, StorageError
from haversack.storage.calls import calls
from haversack.storage.looking import is_directory
from haversack.storage.publish import (
    is_worth_a_syncfs,
    make_directory,
    storage_error,
    sweep,
    sync_directory,
    sync_file,
    temporary_name,
)

_MOST = 1000
_MOST_KNOWN = 4_000


def check_directory(path: Path) -> None:
    """Refuse what is no directory and cannot become one, before anything is done for it.

    Raises
    ------
    ExistsError
        It, or what should be a directory above it, is a file, or a link that leads nowhere.
    StorageError
        The disk does not tell.
    """
    for place in (path, *path.parents):
        if is_directory(place):
            return
        if os.path.lexists(place):
            what = "is a file, not a directory" if place.exists() else "is a link to nothing"
            raise ExistsError(f"{place} {what}: give another place to download into, or move it")


class Output:
    """Writes many files under one directory, published in batches.

    A path is ``/``-separated and relative; its parts are names already (see
    :mod:`haversack.download.layout`). No part of it may be a symbolic link, so nothing is written
    through one.

    Parameters
    ----------
    root
        The directory; made when something is first written.
    named
        Whether the user named the directory itself, which then may be a link to one.
    alone
        Whether nobody else writes below it (see :mod:`haversack.download.lease`): what killed
        writers left in the folders that are visited is then removed.
    """

    def __init__(self, root: Path, *, named: bool = False, alone: bool = False) -> None:
        self.root, self._named, self._alone = root, named, alone
        self._prefix = os.path.join(root, "")  # noqa: PTH118
        self._known: set[str] = set()
        # Plain texts, as paths would cost more than the calls of the system.
        self._pending: list[tuple[str, str]] = []
        self._fresh: set[Path] = set()

    def folder(self, path: str) -> Path:
        """Make a directory and give it.

        Raises
        ------
        StorageError
            It, or a directory above it, is a symbolic link or a file, or cannot be made.
        """
        if path not in self._known:
            # What killed writers left is looked for in a folder that has nothing of ours.
            if len(self._known) >= _MOST_KNOWN and not self._pending:
                self._known.clear()
            if path:
                parent = self.folder(path.rpartition("/")[0])
                self._make(self.root / path, parent)
            else:
                self._make_root()
            self._known.add(path)
        return self.root / path

    def _make_root(self) -> None:
        if self._named:
            make_directory(self.root)
            self._fresh.add(self.root.parent)
            return
        make_directory(self.root.parent)
        self._make(self.root, self.root.parent)

    def _make(self, folder: Path, parent: Path) -> None:
        self._fresh.add(parent)  # also where it is there: a run that was killed may have made it
        try:
            folder.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise StorageError(
                    f"{folder} is a link or a file where a directory must be: move it away"
                ) from None
            if self._alone:
                sweep(folder, older_than=0)
        except OSError as error:
            raise storage_error("create the directory", folder, error) from error

    def file(self, path: str) -> Path:
        """Give the place of a file whose directory is made and is no link."""
        return Path(self.place(path))

    def place(self, path: str) -> str:
        """Give the same as a text, which costs the least: there may be millions."""
        folder = path.rpartition("/")[0]
        if folder not in self._known:
            self.folder(folder)
        return self._prefix + path.replace("/", os.sep)

    def status(self, path: str) -> os.stat_result | None:
        """Give the status of a regular file, None where there is none."""
        try:
            found = os.lstat(f"{self._prefix}{path}")
        except OSError:
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a file; it gets its name with the next commit, replacing what was there."""
        final = self.place(path)
        temporary = os.path.join(os.path.dirname(final), temporary_name())  # noqa: PTH118, PTH120
        try:
            with open(temporary, "xb") as file:  # noqa: PTH123
                file.writelines(chunks)
        except BaseException as error:
            _remove(temporary)
            if isinstance(error, OSError):
                raise storage_error("write", Path(final), error) from error
            raise
        self._pending.append((temporary, final))
        if len(self._pending) >= _MOST:
            self.commit()

    def write_if_changed(self, path: str, chunks: Callable[[], Iterable[bytes]]) -> None:
        """Write what a call gives, unless it stands there already."""
        if not self.holds(path, chunks()):
            self.write(path, chunks())

    def holds(self, path: str, chunks: Iterable[bytes]) -> bool:
        """Tell whether a file has just these bytes."""
        if self.status(path) is None:
            return False
        with open(self._prefix + path, "rb") as file:  # noqa: PTH123
            return all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)

    def commit(self) -> None:
        """Sync what was written, name it, and sync the names."""
        pending, self._pending = self._pending, []
        finals = [Path(final) for _, final in pending]
        folders = {final.parent for final in finals} | self._fresh
        try:
            _sync([temporary for temporary, _ in pending])
            while pending:
                temporary, final = pending[-1]
                os.replace(temporary, final)  # noqa: PTH105
                pending.pop()
            for folder in folders:
                sync_directory(folder)
            self._fresh.clear()
        except OSError as error:
            homeless = (final for final in finals if not final.parent.is_dir())
            raise storage_error("write to", next(homeless, self.root), error) from error
        finally:
            self._drop(pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self._drop(self._pending)

    def _drop(self, pending: list[tuple[str, str]]) -> None:
        for temporary, _ in pending:
            _remove(temporary)
        pending.clear()


def _sync(files: list[str]) -> None:
    if not files:
        return
    if not is_worth_a_syncfs(len(files)):
        for file in files:
            sync_file(file)
        return
    descriptor = os.open(files[0], os.O_RDWR)
    try:
        calls.syncfs(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108
