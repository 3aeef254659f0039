"""Split arrays from other files of arrays, and back: npy, HDF5, Zarr, OME-Zarr, TIFF series."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from haversack import events
from haversack.convert import omezarr
from haversack.convert.hdf5 import write_hdf5
from haversack.convert.npy import write_npy
from haversack.convert.sources import ForeignArray, check_file, reading
from haversack.errors import (
    EmptySourceError,
    ExistsError,
    FormatError,
    PathNotFoundError,
    UnsupportedError,
    UsageError,
)
from haversack.split import SplitDataset, SplitView, save_to_split_dataset
from haversack.split.blockfiles.block import check_dtype
from haversack.split.frames import save_all_frames
from haversack.storage import publish
from haversack.storage.looking import as_path, natural_order

_TRIES, _PAUSE = 20, 0.1  # seconds

FORMATS = ("npy", "hdf5", "zarr", "ome-zarr")
_SUFFIXES = {".npy": "npy", ".h5": "hdf5", ".hdf5": "hdf5", ".zarr": "zarr"}


def export_array(
    array: SplitDataset | SplitView,
    path: str | os.PathLike[str],
    to: str | None = None,
    *,
    progress: events.Progress = None,
) -> Path:
    """Write a split array, or a view of one, in another format, a piece in memory at a time.

    Parameters
    ----------
    array
        What to write.
    path
        The file or directory to make; nothing may be there.
    to
        ``"npy"``, ``"hdf5"`` (dataset ``stack``), ``"zarr"`` (version 3) or ``"ome-zarr"`` (0.5,
        with the levels of the pyramid). By default what the suffix of the path says.
    progress
        True draws a bar; a callable is told of every event.

    Raises
    ------
    ExistsError
        Something is there.
    MissingExtraError
        zarr is not installed.
    UnsupportedError
        It is no split array.
    UsageError
        The format is not known, or cannot hold the array: HDF5 no name of an axis that is no text.

    Examples
    --------
    >>> ds = save_to_split_dataset(np.arange(12).reshape(3, 4), "numbers")
    >>> np.load(export_array(ds.view[:, ::2], "numbers.npy"))[2]
    array([ 8, 10])
    """
    if not isinstance(array, SplitDataset | SplitView):
        raise UnsupportedError(
            f"a {type(array).__name__} is no split array: open one with SplitDataset(path), or "
            "save an array with save_to_split_dataset first"
        )
    place = as_path(path)
    name = _format(place, to)
    if place.exists():
        raise ExistsError(f"{place} already exists")
    view = array if isinstance(array, SplitView) else array.view[...]
    with (
        publish.in_new_directory(place.absolute().parent),
        _made(place) as temporary,
        publish.telling("write", place),
    ):
        if name == "npy":
            write_npy(view, temporary, progress)
        elif name == "hdf5":
            write_hdf5(view, temporary, progress)
        elif name == "zarr":
            omezarr.write_zarr(view, temporary, progress)
        else:
            omezarr.write_ome(view, temporary, progress)
    return place


def _format(place: Path, to: str | None) -> str:
    name = to or _SUFFIXES.get(place.suffix, "")
    if place.name.endswith(".ome.zarr") and to is None:
        name = "ome-zarr"
    if name not in FORMATS:
        raise UsageError(f"give a format for {place}: one of {', '.join(FORMATS)}")
    return name


@contextmanager
def _made(place: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes the place when all is written."""
    temporary = publish.temporary_beside(place.absolute())
    try:
        yield temporary
        if temporary.is_dir():
            temporary.rename(place)  # a directory that is not empty is not replaced
        else:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            publish.claim(temporary, place)
        publish.sync_directory(place.absolute().parent)
    except FileExistsError as error:
        raise ExistsError(f"{place} already exists") from error
    finally:
        _remove(temporary)


def _remove(temporary: Path) -> None:
    """Remove what is left of a file or directory; zarr's threads may write yet where it failed."""
    if temporary.is_file():
        temporary.unlink()
    for _ in range(_TRIES):
        if not temporary.exists():
            return
        shutil.rmtree(temporary, ignore_errors=True)
        time.sleep(_PAUSE)


def import_array(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    path: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    progress: events.Progress = None,
    **options: Any,
) -> SplitDataset:
    """Make a split array of a file of another format, a block in memory at a time.

    Where it fails, or is interrupted, nothing of the new array is left.

    Parameters
    ----------
    source
        A ``.npy`` or HDF5 file, a directory of Zarr or OME-Zarr, a split array, a packed dataset
        (its records are the frames), a TIFF file or a list or directory of TIFF files (their pages
        are the frames). Those of a directory come in the order of the numbers in their names
        (``img2`` before ``img10``), those of a list in its own. What a file is goes by its suffix:
        ``.npy``, ``.tif`` or ``.tiff``, and HDF5 with any other or none.
    path
        The directory to make.
    dataset
        Name of the array inside of an HDF5 or Zarr file, where there are several.
    progress
        True draws a bar; a callable is told of every event.
    options
        As for :func:`haversack.save_to_split_dataset`, ``block_size`` and what follows.

    Raises
    ------
    PathNotFoundError, EmptySourceError, NotFoundError
        There is nothing: no such path, no array or record in it, or no array of that name.
    FormatError
        It is damaged, or something else.
    ExistsError
        The directory already holds a split array.
    UsageError
        A page or record differs from the first in its shape or dtype; there are several arrays, of
        which ``dataset`` has to name one; or it would do nothing.
    MissingExtraError
        zarr or imagecodecs is not installed.

    Examples
    --------
    >>> np.save("numbers.npy", np.arange(12).reshape(3, 4))
    >>> import_array("numbers.npy", "imported", block_size=(2, None))
    SplitDataset('imported': (3, 4) int64, 2 blocks of (2, 4))
    """
    options = {**options, "progress": progress}
    if isinstance(source, Iterable) and not isinstance(source, str | os.PathLike | bytes):
        _refuse_name(dataset)
        return _import_tiffs([*map(as_path, source)], path, options)
    place = as_path(source)
    if not place.exists():
        raise PathNotFoundError(f"{place} does not exist")
    if not _has_names(place):
        _refuse_name(dataset)
    if place.is_dir():
        return _import_directory(place, path, dataset, options)
    if place.suffix == ".npy":
        return _import_npy(place, path, options)
    if place.suffix.lower() in {".tif", ".tiff"}:
        return _import_tiffs([place], path, options)
    return _import_hdf5(place, path, dataset, options)


def _has_names(place: Path) -> bool:
    """Tell whether a source may hold several arrays that have names."""
    if place.is_dir():
        return omezarr.is_zarr(place)
    return place.suffix.lower() not in {".npy", ".tif", ".tiff"}


def _refuse_name(dataset: str | None) -> None:
    if dataset is not None:
        raise UsageError(f"dataset {dataset!r} names an array of HDF5 or Zarr: leave it out here")


def _import_npy(place: Path, path: Any, options: dict[str, Any]) -> SplitDataset:
    check_file(place, "npy")
    with reading(place):
        try:
            data = np.lib.format.open_memmap(place, mode="r")
        except ValueError as error:
            if "Python objects" in str(error):  # of which there can be no map
                check_dtype(np.dtype(object))
            raise
    return save_to_split_dataset(data, path, **options)


def _import_directory(
    place: Path, path: Any, dataset: str | None, options: dict[str, Any]
) -> SplitDataset:
    from haversack.packed import is_packed, open_packed
    from haversack.split import is_split

    if is_split(place):
        return save_to_split_dataset(SplitDataset(place), path, **options)
    if is_packed(place):
        with open_packed(place) as packed:
            if not len(packed):
                raise EmptySourceError(f"{place} has no records")
            return save_all_frames((record.data for record in packed), path, **options)
    if omezarr.is_zarr(place):
        data, about = omezarr.open_zarr(place, dataset)
        return save_to_split_dataset(ForeignArray(data, place), path, **{**about, **options})
    tiffs = [each for each in place.iterdir() if each.suffix.lower() in {".tif", ".tiff"}]
    tiffs = sorted((each for each in tiffs if each.name[0] != "."), key=natural_order)
    if not tiffs:
        if not publish.names_in(place):
            raise EmptySourceError(f"{place} is an empty directory")
        raise FormatError(f"{place} holds neither Zarr, nor a packed dataset, nor TIFF files")
    return _import_tiffs(tiffs, path, options)


def _import_hdf5(
    place: Path, path: Any, dataset: str | None, options: dict[str, Any]
) -> SplitDataset:
    from haversack.split.blockfiles.foreign import checked_dataset, open_hdf5

    check_file(place, "hdf5")
    with open_hdf5(place) as hdf5:
        with reading(place):
            found = checked_dataset(hdf5, place, dataset)
        return save_to_split_dataset(ForeignArray(found, place), path, **options)


def _import_tiffs(places: list[Path], path: Any, options: dict[str, Any]) -> SplitDataset:
    from haversack.packed.encoding.images import page_axes

    pages = _pages(places)
    first = next(pages, None)
    if first is None:
        raise UsageError("the list of TIFF files is empty")
    axes = ("z", *page_axes(_mapped(places[0])))
    return save_all_frames(chain([first], pages), path, **{"axes": axes, **options})


def _pages(places: list[Path]) -> Iterator[Any]:
    from haversack.packed.encoding.images import pages as pages_of

    for place in places:
        data = _mapped(place)
        try:
            yield from pages_of(data)
        except (UnsupportedError, FormatError) as error:
            raise type(error)(f"{place}: {error}") from error


def _mapped(place: Path) -> memoryview:
    """Map a file, so that only what is decoded of it is read."""
    check_file(place, "tiff")
    with reading(place):
        return np.memmap(place, np.uint8, "r").data if place.stat().st_size else memoryview(b"")
