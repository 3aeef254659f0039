"""Zarr version 3 and OME-Zarr 0.5, by the zarr package."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from haversack import events
from haversack.convert.filling import fill
from haversack.convert.sources import files_in, reading, refuse_name
from haversack.errors import FormatError, MissingExtraError, UsageError
from haversack.split import SplitView
from haversack.split.about import About

_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_UNITS = {"s": "second", "ms": "millisecond", "um": "micrometer", "µm": "micrometer"}
_UNITS |= {"nm": "nanometer", "mm": "millimeter", "micron": "micrometer", "m": "meter"}
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
    fill(view, made.__setitem__, progress)


def _chunks(ndim: int) -> tuple[int, ...]:
    """One plane of 256 x 256, a few of them where there is time."""
    return (*((8,) if ndim > 2 else ()), *(1,) * (ndim - 3), *(256,) * min(ndim, 2))


def write_ome(view: SplitView, place: Path, progress: events.Progress) -> None:
    """Write an OME-Zarr image with the levels that the array has.

    Raises
    ------
    UsageError
        Its axes are not some of t, c, z, y, x in this order.
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
    if [name for name in _TYPES if name in names] != list(names) or list(names[-2:]) != ["y", "x"]:
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
    FormatError
        There is no such array, or several.
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
        refuse_name(place, name)
        return found, {}
    image = _image(found)
    if name is None and image:
        name = image["datasets"][0]["path"]
    arrays = [each for each, _ in found.arrays()]
    name = name or (arrays[0] if len(arrays) == 1 else None)
    if name is None or not isinstance(found.get(name), zarr.Array):
        raise FormatError(
            f"{place} has the arrays {', '.join(arrays) or '(none)'}: name one as the dataset"
        )
    return found[name], _described(image, name)


def _image(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    multiscales = attributes.get("ome", attributes).get("multiscales", [])
    return multiscales[0] if multiscales else {}


def _described(image: dict[str, Any], name: str) -> dict[str, Any]:
    level = next((each for each in image.get("datasets", []) if each["path"] == name), None)
    if level is None:
        return {}
    scales = [
        each["scale"]
        for each in level.get("coordinateTransformations", [])
        if each.get("type") == "scale"
    ]
    axes = [axis["name"] for axis in image["axes"]]
    units = [axis.get("unit", "") for axis in image["axes"]]
    return {
        "axes": axes,
        **({"resolution": scales[0]} if scales else {}),
        **({"units": units} if any(units) else {}),
    }
