"""Make a DiskDataset of a directory that the old storage API wrote, without bcolz.

``metadata.json`` lists the images (a table by columns); each is an array of bcolz in the directory
``{location_id}/{source_id}``. The row is written before the image and removed before it, so a
program that was killed leaves rows without images and images without rows.
"""

from __future__ import annotations

import json
import os
import posixpath
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from haversack.convert.carray import is_carray, read_carray
from haversack.disk import DiskDataset
from haversack.disk.ids import image_key, named
from haversack.errors import (
    ExistsError,
    FormatError,
    PathNotFoundError,
    UnsupportedError,
)
from haversack.events import Progress, task
from haversack.storage.damage import Damage
from haversack.storage.publish import storage_error

TABLE: Final = "metadata.json"
_COLUMNS: Final = ("location_id", "source_id", "metadata")
_PARTS: Final = frozenset({"meta", "data", "__attrs__"})  # folders of an array


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an old directory.

    Attributes
    ----------
    dataset
        The new dataset.
    images
        How many images it has.
    missing
        Rows that had no image, and images that had no row.
    damaged
        Images that could not be read, or whose place was not theirs alone.
    """

    dataset: DiskDataset
    images: int
    missing: list[Damage]
    damaged: list[Damage]


class _Row(NamedTuple):
    location_id: str
    source_id: str
    metadata: dict[str, Any]
    place: str  # below the directory


def is_storage(path: str | os.PathLike[str]) -> bool:
    """Tell whether a directory was written by the old storage API.

    Examples
    --------
    >>> is_storage("no/such/place")
    False
    """
    try:
        with (Path(path) / TABLE).open("rb") as file:
            head = file.read(64)
    except OSError:
        return False
    return head.lstrip().startswith(b'{"location_id"')


def import_bcolz(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    codec: str = "none",
    progress: Progress = None,
) -> Imported:
    """Make a DiskDataset of an old directory, which stays as it is.

    Ids that were numbers become text. Images that cannot be read are left out, and told.

    Parameters
    ----------
    source
        The old directory, with ``metadata.json``.
    path
        Directory to make.
    codec
        As in :class:`~haversack.DiskDataset`.
    progress
        True draws a bar; a callable gets events.

    Raises
    ------
    PathNotFoundError, FormatError
        There is no such directory, or its table is damaged; nothing is left at ``path``.
    ExistsError
        Something stands at ``path``.
    """
    old, new = Path(source), Path(path)
    table = _table(old)
    if new.exists():
        raise ExistsError(f"{new} exists: choose another path for the new dataset")
    missing: list[Damage] = []
    damaged: list[Damage] = []
    rows = _rows(old, table, damaged)
    dataset = DiskDataset(new, codec=codec)
    try:
        with task(progress, "convert", total=len(rows), unit="image") as work:
            count = dataset.add_images(_images(old, rows, missing, damaged, work.advance))
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    missing += _orphans(old, {row.place for row in rows}.union(_places(table)))
    return Imported(dataset, count, missing, damaged)


def _table(old: Path) -> dict[str, dict[str, Any]]:
    path = old / TABLE
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise PathNotFoundError(f"{old} has no {TABLE}: it is no directory of bcolz") from error
    except OSError as error:
        raise storage_error("read", path, error) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is damaged, or no table of images: {error}") from error
    if not isinstance(table, dict) or not all(
        isinstance(table.get(name), dict) for name in _COLUMNS
    ):
        raise FormatError(f"{path} is no table of images: it lacks {', '.join(_COLUMNS)}")
    return table


def _ids(table: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, Any, str]]:
    """Give the ids of each row as the old package wrote them into paths; and its number."""
    for number, location in table["location_id"].items():
        source = table["source_id"].get(number)
        yield str(location), str(source), (location, source), number


def _places(table: dict[str, dict[str, Any]]) -> set[str]:
    return {posixpath.normpath(f"{location}/{source}") for location, source, *_ in _ids(table)}


def _rows(old: Path, table: dict[str, dict[str, Any]], damaged: list[Damage]) -> list[_Row]:
    """List the rows whose images may be read, each of a place of its own."""
    found: dict[str, _Row] = {}
    for location, source, given, number in _ids(table):
        try:
            row = _row(location, source, given, table["metadata"].get(number))
        except (FormatError, UnsupportedError) as error:
            damaged.append(Damage(old / TABLE, f"row {number}", str(error)))
            continue
        earlier = found.pop(row.place, None)
        if earlier is not None:
            what = f"{named(location, source)} was written over it"
            where = named(earlier.location_id, earlier.source_id)
            damaged.append(Damage(old / row.place, where, what))
        found[row.place] = row
    return list(found.values())


def _row(location: str, source: str, given: tuple[Any, Any], metadata: Any) -> _Row:
    if not all(isinstance(each, str | int | float) for each in given):
        raise FormatError(f"it has no ids: {given!r:.200}")
    image_key(location, source)  # refuses what cannot be stored
    text = f"{location}/{source}"
    if text.startswith("/") or ".." in text.split("/") or "\0" in text:
        raise FormatError(
            f"the image of {named(location, source)} lies outside of the directory: "
            "read it there, and add it with add_image()"
        )
    fields = {} if metadata is None else metadata
    about = fields if isinstance(fields, dict) else {"metadata": fields}
    return _Row(location, source, about, posixpath.normpath(text))


def _images(
    old: Path, rows: list[_Row], missing: list[Damage], damaged: list[Damage], advance: Any
) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        where, place = named(row.location_id, row.source_id), old / row.place
        try:
            if _is_there(place):
                yield row.location_id, row.source_id, read_carray(place), row.metadata
            else:
                missing.append(Damage(place, where, "a row without an image"))
        except (FormatError, UnsupportedError) as error:
            damaged.append(Damage(place, where, str(error)))
        advance()


def _is_there(place: Path) -> bool:
    try:
        return is_carray(place)
    except OSError:  # a name that is too long for a file
        return False


def _orphans(old: Path, known: set[str]) -> Iterator[Damage]:
    """Find arrays that no row names."""
    for root, folders, _files in os.walk(old):
        folders.sort()
        place = Path(root)
        if is_carray(place):
            folders[:] = [name for name in folders if name not in _PARTS]
            if place.relative_to(old).as_posix() not in known:
                yield Damage(place, "", "an image without a row")
