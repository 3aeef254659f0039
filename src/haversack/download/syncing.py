"""Bring files and names to the disk: many at once, or each by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from haversack.download.ending import Ending
from haversack.download.whole import Whole, abandon
from haversack.storage.calls import calls
from haversack.storage.publish import is_worth_a_syncfs, sync_above, sync_directory, sync_file

Sync = Literal["batch", "each", "none"]
_DIRECTORIES = 4096


class Disk:
    """What waits for the disk, in one thread.

    Parameters
    ----------
    sync
        ``"batch"`` syncs many files at once, ``"each"`` every file by itself, ``"none"`` leaves it
        to the system.
    ending
        When it is over, no file is begun with.
    """

    def __init__(self, sync: Sync, ending: Ending) -> None:
        self._sync, self._ending = sync, ending
        self._lasting: set[Path] = set()  # directories whose own names are there for good

    def bring(self, parts: Sequence[Whole], named: Sequence[Whole]) -> None:
        """Sync parts, and the names of other files.

        What was removed meanwhile needs none; parts whose turn does not come in time are abandoned.

        Raises
        ------
        OSError
            The disk refuses: nobody knows what is on it now.
        """
        if self._sync == "none":
            return
        if self._sync == "batch" and is_worth_a_syncfs(len(parts) + len(named)):
            _sync_file_systems([*parts, *named])
            return
        for whole in parts:
            if self._ending.is_over():
                abandon(whole)
                continue
            with suppress(FileNotFoundError):
                sync_file(whole.part.path)
        for directory in {whole.folder for whole in named}:
            with suppress(FileNotFoundError):
                sync_directory(directory)
                sync_above(directory, self._lasting)
                if len(self._lasting) >= _DIRECTORIES:
                    self._lasting.clear()
                self._lasting.update((directory, *directory.parents))


def _sync_file_systems(files: Iterable[Whole]) -> None:
    """Sync each file system that one of the files is on, once."""
    synced: set[int] = set()
    for whole in files:
        if whole.part.device not in synced:
            synced |= _sync_file_system_of(whole.folder)


def _sync_file_system_of(directory: Path) -> set[int]:
    """Sync the file system of a directory, and give its number; nothing where it is gone."""
    with suppress(FileNotFoundError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            calls.syncfs(descriptor)
            return {os.fstat(descriptor).st_dev}
        finally:
            os.close(descriptor)
    return set()
