"""Make pixel values visible: a few bands of any range become red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import UsageError

_GAMMA = 1 / 1.5


def choose_bands(image: NDArray[Any], bands: Sequence[int] | None) -> NDArray[np.float64]:
    """Pick what is shown of an image: (3, y, x), or (1, y, x) for grey.

    Parameters
    ----------
    image
        ``(bands, y, x)`` or ``(y, x)``.
    bands
        One or three band numbers from 0. By default the third, second and first (blue, green and
        red are stored in this order); two bands and their difference; or the only one.
    """
    stack = np.asarray(image)
    stack = stack[None] if stack.ndim == 2 else stack
    if stack.ndim != 3:
        raise UsageError(f"an image has the shape (bands, y, x) or (y, x), not {image.shape}")
    if bands is not None:
        return _given(stack, bands)
    if len(stack) == 2:
        return np.stack([stack[0], stack[1], stack[0] - stack[1]]).astype(np.float64)
    return np.asarray(stack[[2, 1, 0]] if len(stack) >= 3 else stack[:1], np.float64)


def _given(stack: NDArray[Any], bands: Sequence[int]) -> NDArray[np.float64]:
    if len(bands) not in {1, 3} or not all(0 <= band < len(stack) for band in bands):
        raise UsageError(f"bands {tuple(bands)!r}: give one or three of 0 to {len(stack) - 1}")
    return np.asarray(stack[list(bands)], np.float64)


def stretch(
    images: Sequence[NDArray[np.float64]], *, true_colour: bool = True
) -> list[NDArray[np.float64]]:
    """Bring images of ``(1 or 3, y, x)`` to ``(y, x, 3)`` from 0 to 1, all in the same way.

    Each channel begins at the first percentile of most images and ends at the 99th of the clearer
    ones, so that clouds do not darken the rest.

    Parameters
    ----------
    images
        What :func:`choose_bands` gave.
    true_colour
        Stretch the channels by the same range, which keeps their colours.

    Examples
    --------
    >>> ramp = np.linspace(0, 5000, 100).reshape(1, 10, 10)
    >>> [seen] = stretch([ramp])
    >>> seen.shape, float(seen.min()), float(seen.max())
    ((10, 10, 3), 0.0, 1.0)
    """
    ranges: dict[int, NDArray[np.float64]] = {}
    for count in {len(image) for image in images}:
        alike = np.stack([_percentiles(image) for image in images if len(image) == count])
        low, high = np.median(alike[:, 0], axis=0), np.quantile(alike[:, 1], 0.35, axis=0)
        if true_colour:
            low, high = np.full_like(low, 0.7 * low.min()), np.full_like(high, high.max())
        ranges[count] = np.stack([low, high])
    return [_scale(image, *ranges[len(image)]) for image in images]


def _percentiles(image: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = np.where(np.isfinite(image), image, np.nan).reshape(len(image), -1)
    known = [channel[~np.isnan(channel)] for channel in flat]
    return np.stack(
        [np.percentile(channel, (1, 99)) if channel.size else (0.0, 1.0) for channel in known], 1
    )


def _scale(
    image: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    span = np.where(high > low, high - low, 1.0)
    scaled = np.clip((image - low[:, None, None]) / span[:, None, None], 0, 1) ** _GAMMA
    seen = np.moveaxis(np.nan_to_num(scaled), 0, -1)
    return np.repeat(seen, 3, axis=-1) if seen.shape[-1] == 1 else seen
