"""What a document of OME-Zarr says of an image; where it makes no sense, the field is named."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from haversack.errors import FormatError, UsageError
from haversack.split.directory.about import check_distances, describe
from haversack.split.directory.fields import shown

log = logging.getLogger("haversack.convert")
_KINDS = {dict: "an object", list: "a list", str: "a text", (int, float): "a number"}


@dataclass(frozen=True, slots=True)
class Field:
    """A value in a document, and where it stands: ``a.zarr: multiscales[0].axes``."""

    value: Any
    where: str

    def of(self, kind: Any) -> Any:
        """Give the value, which is of a kind."""
        if not isinstance(self.value, kind) or isinstance(self.value, bool):
            raise FormatError(f"{self.where} is {shown(self.value)}, not {_KINDS[kind]}")
        return self.value

    def __getitem__(self, name: str) -> Field:
        if name not in self.of(dict):
            raise FormatError(f"{self.where} has no {name!r}")
        return Field(self.value[name], f"{self.where}.{name}")

    def get(self, name: str, default: Any) -> Field:
        """Give a member that may be missing."""
        return self[name] if name in self.of(dict) else Field(default, f"{self.where}.{name}")

    def items(self) -> list[Field]:
        """Go over a list."""
        return [Field(each, f"{self.where}[{n}]") for n, each in enumerate(self.of(list))]


def find_image(attributes: Mapping[str, Any], place: Path) -> Field | None:
    """Find the image that a group of Zarr is, if it is one."""
    whole = Field(dict(attributes), f"{place}: attributes")
    images = whole.get("ome", whole.value).get("multiscales", []).items()
    return images[0] if images else None


def first_level(image: Field) -> str:
    """Name the array of the image in full."""
    levels = image["datasets"].items()
    if not levels:
        raise FormatError(f"{image.where}.datasets is empty: it names no array")
    name: str = levels[0]["path"].of(str)
    return name


def described(image: Field, name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Describe a level as :func:`haversack.split.directory.about.describe` takes it.

    Raises
    ------
    FormatError
        The document makes no sense, or does not fit the array.
    """
    level = next((each for each in image["datasets"].items() if each["path"].value == name), None)
    if level is None:
        return {}
    axes = [each["name"].of(str) for each in image["axes"].items()]
    units = [each.get("unit", "").of(str) for each in image["axes"].items()]
    scale = _scale(level, len(axes)) * _scale(image, len(axes))
    found = {"axes": axes, "resolution": scale.tolist(), "units": units if any(units) else None}
    try:
        describe(len(shape), **found)
        check_distances(found["resolution"], len(shape))
    except UsageError as error:
        raise FormatError(f"{image.where} does not fit {name!r}: {error}") from error
    return found


def _scale(holder: Field, ndim: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Multiply the scales of a level, or those of the image, which apply to every level."""
    scale = np.ones(ndim)
    for each in holder.get("coordinateTransformations", []).items():
        kind = each["type"].of(str)
        if kind not in {"scale", "translation"}:
            continue
        numbers = [one.of((int, float)) for one in each[kind].items()]
        if len(numbers) != ndim:
            raise FormatError(f"{each.where}.{kind} is {shown(numbers)}, of {ndim} axes")
        if kind == "scale":
            scale = scale * numbers
        elif any(numbers):
            log.warning(
                "%s is not kept: a split array begins at 0 on each axis", f"{each.where}.{kind}"
            )
    return scale
