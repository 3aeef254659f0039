"""The directory of a DiskDataset: a marker, a packed dataset of its images, and a lock file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from haversack.errors import ExistsError, FormatError, NewerFormatError
from haversack.storage.lock import exclusive
from haversack.storage.publish import create, make_directory, storage_error

FORMAT: Final = 1
MARKER: Final = "disk.json"
IMAGES: Final = "images"
_LOCK: Final = "lock"
_OLD: Final = "metadata.json"


def is_disk(path: str | os.PathLike[str]) -> bool:
    """Tell whether a directory is a DiskDataset.

    Examples
    --------
    >>> is_disk("no/such/place")
    False
    """
    return (Path(path) / MARKER).is_file()


def check(base: Path) -> bool:
    """Tell whether a DiskDataset is there, and refuse what is something else.

    Raises
    ------
    NewerFormatError, FormatError
        A later haversack made it, or its marker is damaged.
    ExistsError
        The directory holds something else.
    """
    try:
        marker = (base / MARKER).read_bytes()
    except FileNotFoundError:
        _check_empty(base)
        return False
    except NotADirectoryError as error:
        raise ExistsError(f"{base} is not a directory: choose another path") from error
    except OSError as error:
        raise storage_error("read", base / MARKER, error) from error
    try:
        version = int(json.loads(marker)["format"])
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{base / MARKER} is damaged") from error
    if version > FORMAT:
        raise NewerFormatError(
            f"{base} is of disk format {version}; this haversack reads up to {FORMAT}: upgrade it"
        )
    return True


def _check_empty(base: Path) -> None:
    if not base.exists():
        return
    names = {entry.name for entry in base.iterdir()}
    if _OLD in names:
        raise FormatError(
            f"{base} is a dataset of the old storage API, which cannot be opened as it is: load "
            "its images there and add them here"
        )
    if strangers := names - {MARKER, IMAGES, _LOCK} - {n for n in names if n.startswith(".")}:
        raise ExistsError(
            f"{base} is no DiskDataset and not empty (it holds {min(strangers)!r}): choose another"
        )


@contextmanager
def writing_turn(base: Path, timeout: float | None) -> Iterator[Path]:
    """Make the directory where it is missing and wait for the turn to write into it.

    The turn spares writers from repeating their commits; that they do not overwrite one another
    rests on the packed dataset alone.
    """
    make_directory(base)
    with exclusive(base / _LOCK, timeout=timeout):
        if not check(base):
            with suppress(ExistsError):
                create(base / MARKER, json.dumps({"format": FORMAT}).encode())
        yield base / IMAGES
