"""The reader that napari finds: split arrays, lazily, at their scale."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from haversack.errors import HaversackError
from haversack.split import SplitDataset, is_split
from haversack.view.planes import limits

Layer = tuple[Any, dict[str, Any], str]
_SAMPLES = 5  # planes that say how bright an array is


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[Layer]] | None:
    """Tell napari whether a path is a split array of two axes or more, and how it is read."""
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    return read_layers if paths and all(map(_is_image, paths)) else None


def _is_image(path: str) -> bool:
    try:
        if not is_split(path):
            return False
    except HaversackError:  # an address, which may be for another reader
        return False
    try:
        return SplitDataset(path).ndim > 1
    except HaversackError:  # who reads it is told what is wrong
        return True


def read_layers(path: str | Sequence[str]) -> list[Layer]:
    """Open split arrays as image layers, of which nothing is read but a few planes."""
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    return [_layer(SplitDataset(each)) for each in paths]


def _layer(dataset: SplitDataset) -> Layer:
    levels = dataset.pyramid
    about = {
        "name": dataset.root.resolve().name,
        "scale": _scale(dataset),
        "contrast_limits": contrast_limits(dataset),
        "metadata": {"haversack": dataset.info()},
        **_units(dataset),
    }
    if len(levels) > 1:
        return levels, {**about, "multiscale": True}, "image"
    return dataset, about, "image"


def _scale(dataset: SplitDataset) -> tuple[float, ...]:
    return tuple(size if size and size > 0 else 1.0 for size in dataset.about.steps)


def _units(dataset: SplitDataset) -> dict[str, Any]:
    """Give the units that napari knows, pixels for others, if this napari takes any."""
    try:
        from napari.layers import Image
        from pint import get_application_registry
    except ImportError:
        return {}
    if "units" not in inspect.signature(Image).parameters:
        return {}
    registry = get_application_registry()

    def known(word: str) -> Any:
        try:  # a word alone: an expression might take for ever to work out
            return registry.parse_expression(word).units if word.isidentifier() else None
        except (AttributeError, ValueError):
            return None

    found = [known(word) for word in dataset.about.step_units]
    return {"units": [each or registry.pixel for each in found]} if any(found) else {}


def contrast_limits(dataset: SplitDataset) -> tuple[float, float]:
    """Choose black and white from some planes, spread over the array."""
    if dataset.dtype.kind == "b" or not dataset.size:
        return 0.0, 1.0
    leading = dataset.shape[:-2]
    total = int(np.prod(leading)) if leading else 1
    places = np.unique(np.linspace(0, total - 1, min(_SAMPLES, total)).astype(int))
    indices = [tuple(map(int, np.unravel_index(at, leading))) if leading else () for at in places]
    return limits(np.stack(dataset.read_many(indices)))
