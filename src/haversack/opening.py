"""Open whatever stands at a path as the right kind of object."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from haversack.errors import (
    FormatError,
    HaversackError,
    PathNotFoundError,
    UnsupportedError,
    UsageError,
)
from haversack.storage.looking import as_path, exists
from haversack.storage.publish import storage_error

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # Path makes one slash of two


def open(  # noqa: A001
    path: str | os.PathLike[str], *, version: int | str | None = None
) -> Any:
    """Open a packed dataset, a split array, a DiskDataset or a STAC catalog.

    Parameters
    ----------
    path
        A directory that one of them wrote (or an older package did), or a catalog archive
        (``.tar.gz``). A catalog archive is read where it lies.
    version
        Of a packed dataset: the number of a version that is kept, or a tag; otherwise the current.

    Returns
    -------
    PackedDataset, SplitDataset, DiskDataset or Catalog
        Each with ``info()`` and ``verify()``.

    Raises
    ------
    PathNotFoundError
        Nothing stands there.
    FormatError
        What stands there is none of these.
    VersionGoneError, NotFoundError
        The packed dataset has no such version (any more), or no such tag.

    Examples
    --------
    >>> import haversack, numpy as np
    >>> with haversack.PackWriter("chips") as writer:
    ...     writer.append(np.zeros((3, 8, 8), np.uint16), key="a", cloud_cover=10)
    >>> haversack.open("chips").record("a").metadata["cloud_cover"]
    10
    """
    text = os.fspath(path)
    if _URL.match(text):
        from haversack.download.origin import shown

        raise UnsupportedError(
            f"cannot open {shown(text)} in place: fetch it with `haversack download`"
        )
    place = as_path(text)
    if not exists(place):
        raise PathNotFoundError(f"{place} does not exist")
    try:
        return _open_existing(place, version)
    except HaversackError:
        raise
    except OSError as error:
        raise storage_error("open", place, error) from error


def _open_existing(place: Path, version: int | str | None) -> Any:
    from haversack.catalog import is_catalog, read_catalog
    from haversack.convert.bcolz import is_storage
    from haversack.disk import DiskDataset, is_disk
    from haversack.download.ledger import LEDGER_NAME
    from haversack.packed import is_packed, open_packed
    from haversack.packed.reading.versions import check_finished
    from haversack.split import SplitDataset
    from haversack.split.dataset import holds_array

    if version is not None and (is_disk(place) or not is_packed(place)):
        raise UsageError(f"{place} is no packed dataset: only those have versions")
    # A DiskDataset is a packed dataset with keys of its own, so it is asked for first.
    if is_disk(place):
        return DiskDataset(place)
    if is_packed(place):
        return open_packed(place, version=version)
    if holds_array(place):  # of which it says what is lost
        return SplitDataset(place)
    if is_catalog(place):
        return read_catalog(place)
    if is_storage(place):
        raise FormatError(
            f"{place} is a directory of the old storage API: make a DiskDataset of it with "
            f"`haversack convert {place} NEW`"
        )
    if (place / "index.csv").is_file() and (place / "chunks").is_dir():
        raise FormatError(
            f"{place} is a directory of AcumenIndexer: read it with haversack.load_index, or turn "
            f"it into a packed dataset with `haversack convert {place} NEW --dtype ...`"
        )
    check_finished(place)
    if (place / LEDGER_NAME).is_file():
        raise FormatError(
            f"{place} is a download that was broken off before its catalog was here: download it "
            "again to go on"
        )
    raise FormatError(
        f"{place} is no packed dataset, split array, DiskDataset or STAC catalog: "
        "give the directory that holds it, or a catalog archive (.tar.gz)"
    )
