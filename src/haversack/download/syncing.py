"""Bring files and names to the disk: many at once, or each by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from haversack.download.ending import Ending
from haversack.download.parts import sync_file
from haversack.download.whole import Whole, abandon
from haversack.storage.calls import calls
from haversack.storage.publish import sync_directory

Sync = Literal["batch", "each", "none"]
_WORTH_A_SYNCFS = 16


def sync_all(
    sync: Sync,
    parts: Sequence[Whole],
    named: Sequence[Whole],
    made: Iterable[str],
    ending: Ending,
) -> None:
    """Sync parts, the names of other files, and the directories that got new ones.

    What was removed meanwhile needs none; parts whose turn does not come in time are abandoned.

    Raises
    ------
    OSError
        The disk refuses: nobody knows what is on it now.
    """
    if sync == "none":
        return
    if sync == "batch" and calls.syncfs is not None and len(parts) + len(named) >= _WORTH_A_SYNCFS:
        _sync_file_systems([*parts, *named], made)
        return
    for whole in parts:
        if ending.is_over():
            abandon(whole)
            continue
        with suppress(FileNotFoundError):
            sync_file(whole.part.path)
    for directory in {*map(Path, made), *(whole.folder for whole in named)}:
        with suppress(FileNotFoundError):
            sync_directory(directory)


def _sync_file_systems(files: Iterable[Whole], made: Iterable[str]) -> None:
    """Sync each file system that one of the files or directories is on, once."""
    synced: set[int] = set()
    for whole in files:
        if whole.status.st_dev not in synced:
            synced |= _sync_file_system_of(whole.folder)
    for directory in made:
        with suppress(FileNotFoundError):
            if os.stat(directory).st_dev not in synced:  # noqa: PTH116 (a plain text)
                synced |= _sync_file_system_of(directory)


def _sync_file_system_of(directory: str | Path) -> set[int]:
    """Sync the file system of a directory, and give its number; nothing where it is gone."""
    with suppress(FileNotFoundError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            calls.syncfs(descriptor)
            return {os.fstat(descriptor).st_dev}
        finally:
            os.close(descriptor)
    return set()
