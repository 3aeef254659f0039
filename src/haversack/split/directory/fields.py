"""Fields of ``stack_metadata.json`` that say how long things are, whatever others wrote there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haversack.errors import FormatError
from haversack.split.blockfiles.block import Shape

_MOST_SHOWN = 80  # characters of a value that is wrong


class _TooLargeError(ValueError):
    """A number that no axis has as its length."""


def lengths_in(
    document: dict[str, Any], name: str, path: Path, take: Callable[[Any], Shape]
) -> Shape:
    """Take a field of lengths; what is told of another value is what stands in the file."""
    if name not in document:
        raise FormatError(f"{path}: {name} is missing: it is a list of lengths, one for each axis")
    try:
        return take(document[name])
    except _TooLargeError as error:
        raise FormatError(
            f"{path}: {name} is {shown(document[name])}, with a number larger than any length"
        ) from error
    except (TypeError, ValueError, OverflowError) as error:
        needed = "a whole number >= 0 for each axis"
        if name == "shape_block":
            needed = "a whole number for each axis of shape_full, or null for one that is not cut"
        raise FormatError(
            f"{path}: {name} is {shown(document[name])}, where a list is needed: {needed}"
        ) from error


def shown(value: Any) -> str:
    """Write a value as it stands in the file, if it is not too long."""
    text = json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} ..."


def full_shape(given: Any) -> Shape:
    """Take the shape of an array, which has at least one axis."""
    if not given:
        raise ValueError("no axes")
    return _lengths(given)


def block_shape(given: Any, shape: Shape) -> Shape:
    """Take the shape of a block; an axis without a length, or left out at the end, is not cut."""
    if not isinstance(given, list):
        raise TypeError("no list")
    given = [*given, *(None,) * (len(shape) - len(given))]
    return _lengths(
        [max(1, full) if size is None else size for size, full in zip(given, shape, strict=True)]
    )


def _lengths(values: Any) -> Shape:
    if isinstance(values, str | dict) or any(isinstance(value, bool) for value in values):
        raise TypeError("no list of numbers")
    lengths = tuple(int(value) for value in values)
    if any(n >= 1 << 62 for n in lengths):
        raise _TooLargeError
    if any(n < 0 for n in lengths) or list(lengths) != list(values):
        raise ValueError(f"{values} are not lengths")
    return lengths


def padding_in(document: dict[str, Any], ndim: int) -> Shape:
    """Take the padding; the old package itself never reads it, so anything may stand there."""
    given = document.get("padding")
    try:
        found = _lengths(given if isinstance(given, list) else (given,) * ndim)
    except (TypeError, ValueError, OverflowError):
        found = ()
    return found if len(found) == ndim else (0,) * ndim


def resolution_in(document: dict[str, Any], ndim: int) -> list[float]:
    """Take the resolution that is there; others copied theirs from arrays of more or fewer axes."""
    given = document.get("resolution") or document.get("voxel_size")
    found = [*map(_distance, given)] if isinstance(given, list) else []
    if len(found) == ndim - 1 and found:
        return found
    return ([1.0] * ndim + found)[-ndim:]


def _distance(given: Any) -> float:
    """Take a distance, or the 1 of those that are not known: the old package takes anything."""
    try:
        found = float(given) if isinstance(given, int | float) else math.nan
    except OverflowError:
        found = math.nan
    return found if math.isfinite(found) else 1.0
