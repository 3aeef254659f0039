"""Zarr version 3 and OME-Zarr 0.5, by the zarr package."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from haversack import events
from haversack.convert.filling import fill
from haversack.convert.multiscales import described, find_image, first_level
from haversack.convert.sources import files_in, reading
from haversack.errors import (
    FormatError,
    MissingExtraError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from haversack.split import SplitView
from haversack.split.blockfiles.foreign import the_only
from haversack.split.directory.about import About

_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_UNITS = {"s": "second", "ms": "millisecond", "um": "micrometer", "µm": "micrometer"}
_UNITS |= {"nm": "nanometer", "mm": "millimeter", "micron": "micrometer", "m": "meter"}
_WIDEST = {"f": 8, "c": 16}  # bytes of an element
_DOCUMENTS = tuple(os.sep + name for name in ("zarr.json", ".zarray", ".zgroup", ".zattrs"))


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError("zarr is not installed: pip install 'haversack[zarr]'") from error
    return zarr


def is_zarr(place: Path) -> bool:
    """Whether a directory holds Zarr of version 2 or 3."""
    return any((place / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def write_zarr(view: SplitView, place: Path, progress: events.Progress) -> None:
    """Write one array."""
    _write_level(view, str(place), None, progress)


def _write_level(view: SplitView, store: str, name: str | None, progress: events.Progress) -> None:
    if view.dtype.itemsize > _WIDEST.get(view.dtype.kind, view.dtype.itemsize):
        raise UnsupportedError(f"Zarr has no type for {view.dtype}: export to npy or HDF5")
    chunks = tuple(
        max(1, min(length, most))
        for length, most in zip(view.shape, _chunks(view.ndim), strict=True)
    )
    made = _zarr().create_array(
        store=store,
        name=name,
        shape=view.shape,
        dtype=view.dtype,
        chunks=chunks,
        dimension_names=view.axes,
        attributes=dict(view.metadata),
    )
    fill(view, made.__setitem__, progress, chunks)


def _chunks(ndim: int) -> tuple[int, ...]:
    """One plane of 256 x 256, a few of them where there is time."""
    return (*((8,) if ndim > 2 else ()), *(1,) * (ndim - 3), *(256,) * min(ndim, 2))


def write_ome(view: SplitView, place: Path, progress: events.Progress) -> None:
    """Write an OME-Zarr image with the levels that the array has.

    Raises
    ------
    UsageError
        Its axes are not some of t, c, z, y, x in this order, with y and x.
    UnsupportedError
        Zarr has no such type.
    """
    axes = _ome_axes(view.about)
    levels = [view]
    if view.shape == view.source.shape:
        levels += [level.view[...] for level in view.source.pyramid[1:]]
    group = _zarr().open_group(str(place), mode="w-", zarr_format=3)
    for number, level in enumerate(levels):
        _write_level(level, str(place), str(number), progress)
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [{"type": "scale", "scale": _scale(level.about)}],
        }
        for number, level in enumerate(levels)
    ]
    image = {"name": view.source.root.name, "axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


def _ome_axes(about: About) -> list[dict[str, str]]:
    names, units = about.axes, _steps_of(about).step_units
    if not {"y", "x"} <= set(names):
        raise UsageError(
            f"the axes are {', '.join(names)}: an OME-Zarr image needs y and x, the last two; Zarr "
            "(--to zarr, .zarr) takes any axes"
        )
    if [name for name in _TYPES if name in names] != list(names):
        raise UsageError(
            f"axes {', '.join(names)} are not t, c, z, y, x in this order: OME-Zarr has no others"
        )
    return [
        {"name": name, "type": _TYPES[name], **({"unit": _UNITS.get(unit, unit)} if unit else {})}
        for name, unit in zip(names, units, strict=True)
    ]


def _scale(about: About) -> list[float]:
    return [1.0 if each is None else each for each in _steps_of(about).steps]


def _steps_of(about: About) -> About:
    """Leave a frequency out that is not one in time, of which OME-Zarr knows nothing."""
    return about if about.axes[:1] == ("t",) else replace(about, frequency=None)


def open_zarr(place: Path, name: str | None) -> tuple[Any, dict[str, Any]]:
    """Open an array of Zarr, with what OME-Zarr says of it.

    Raises
    ------
    EmptySourceError, NotFoundError
        There is no array, or none of that name.
    UsageError
        There are several, of which somebody has to name one.
    FormatError
        It is damaged: its image names an array that is not there.
    """
    zarr = _zarr()
    for path in files_in(place):
        if path.endswith(_DOCUMENTS):
            with reading(Path(path)):
                json.loads(Path(path).read_bytes())
    with reading(place):
        return _open(zarr, place, name)


def _open(zarr: Any, place: Path, name: str | None) -> tuple[Any, dict[str, Any]]:
    found = zarr.open(str(place), mode="r")
    if isinstance(found, zarr.Array):
        if name is not None:
            raise UsageError(f"{place} is one array, which holds no {name!r}: leave it out")
        return found, {}
    image = find_image(found.attrs, place)
    chosen = first_level(image) if name is None and image else name
    array = None if chosen is None else found.get(chosen)
    if not isinstance(array, zarr.Array):
        arrays = [each for each, node in found.members(None) if isinstance(node, zarr.Array)]
        if chosen is not None:
            told = ", ".join(arrays) or "none"
            kind = FormatError if name is None else NotFoundError
            raise kind(f"{place} has no array {chosen!r}; those it has: {told}")
        chosen = the_only(arrays, place)
        array = found[chosen]
    return array, described(image, chosen, array.shape) if image and chosen is not None else {}
