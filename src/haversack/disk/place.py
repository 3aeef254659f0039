"""The directory of a DiskDataset: a marker, and a packed dataset of its images."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from haversack.errors import ExistsError, FormatError, NewerFormatError
from haversack.storage.looking import as_path, exists
from haversack.storage.publish import create, make_directory, names_in, storage_error

FORMAT: Final = 1
MARKER: Final = "disk.json"
IMAGES: Final = "images"
_OLD: Final = "metadata.json"


def is_disk(path: str | os.PathLike[str]) -> bool:
    """Tell whether a directory is a DiskDataset.

    Examples
    --------
    >>> is_disk("no/such/place")
    False
    """
    return exists(as_path(path) / MARKER)


def check(base: Path) -> bool:
    """Tell whether a DiskDataset is there, and refuse what is something else.

    Raises
    ------
    NewerFormatError, FormatError
        A later haversack made it, its marker is damaged, or the old storage API made it.
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
    if not exists(base):
        return
    names = {*names_in(base)}
    if _OLD in names:
        raise FormatError(
            f"{base} is a dataset of the old storage API, which cannot be opened as it is: make a "
            f"new one of it with `haversack convert {base} NEW`"
        )
    if strangers := names - {MARKER, IMAGES} - {n for n in names if n.startswith(".")}:
        raise ExistsError(
            f"{base} is no DiskDataset and not empty (it holds {min(strangers)!r}): choose another"
        )


def make_place(base: Path) -> Path:
    """Make the directory and its marker where they are missing; give the place of the images."""
    if not check(base):
        make_directory(base)
        with suppress(ExistsError):
            create(base / MARKER, json.dumps({"format": FORMAT}).encode())
    return base / IMAGES
