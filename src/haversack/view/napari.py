"""The reader that napari finds: split arrays, lazily, at their scale."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from haversack.split import SplitDataset, is_split
from haversack.view.planes import limits

Layer = tuple[Any, dict[str, Any], str]
_SAMPLES = 5  # planes that say how bright an array is


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[Layer]] | None:
    """Tell napari whether a path is a split array, and how it is read."""
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    return read_layers if paths and all(map(is_split, paths)) else None


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
    }
    if len(levels) > 1:
        return levels, {**about, "multiscale": True}, "image"
    return dataset, about, "image"


def _scale(dataset: SplitDataset) -> tuple[float, ...]:
    return tuple(size if size and size > 0 else 1.0 for size in dataset.about.steps)


def contrast_limits(dataset: SplitDataset) -> tuple[float, float]:
    """Choose black and white from some planes, spread over the array."""
    if dataset.dtype.kind == "b" or not dataset.size:
        return 0.0, 1.0
    leading = dataset.shape[:-2]
    total = int(np.prod(leading)) if leading else 1
    places = np.unique(np.linspace(0, total - 1, min(_SAMPLES, total)).astype(int))
    indices = [tuple(map(int, np.unravel_index(at, leading))) if leading else () for at in places]
    return limits(np.stack(dataset.read_many(indices)))
