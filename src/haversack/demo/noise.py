"""Random fields with structure at every scale, and the small tools that shape them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], *, slope: float, longest: float | None = None
) -> Field:
    """Make a periodic random field of zero mean and unit deviation.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    shape
        (rows, columns).
    slope
        Amplitude falls with frequency as ``f ** -slope``: 0 is white, 1 rough, 2 smooth hills.
    longest
        Longest wavelength in pixels that takes part; all by default.

    Examples
    --------
    >>> field = fractal(np.random.default_rng(0), (64, 64), slope=2)
    >>> field.shape, round(float(field.std()), 3)
    ((64, 64), 1.0)
    """
    white = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    rows = np.fft.fftfreq(shape[0])[:, None]
    columns = np.fft.rfftfreq(shape[1])[None, :]
    frequency = np.hypot(rows, columns)
    lowest = 1 / longest if longest else 0.0
    passes = (frequency >= lowest) & (frequency > 0)
    amplitude = np.where(passes, np.maximum(frequency, 1e-9) ** -slope, 0).astype(np.float32)
    field = np.fft.irfft2(white * amplitude, shape).astype(np.float32)
    return field / np.float32(field.std() or 1)


def smoothstep(values: Any, low: float, high: float) -> Any:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blur(image: NDArray[Any]) -> NDArray[Any]:
    """Spread each pixel over its neighbours, along the last two axes, as optics do."""
    for axis in (-2, -1):
        before = np.concatenate([np.take(image, [0], axis), np.delete(image, -1, axis)], axis)
        after = np.concatenate([np.delete(image, 0, axis), np.take(image, [-1], axis)], axis)
        image = (before + 3 * image + after) * np.float32(0.2)
    return image


def enlarge(field: Field, factor: int) -> Field:
    """Interpolate a periodic field linearly to ``factor`` times its size."""
    for axis in (0, 1):
        size = field.shape[axis]
        position = np.arange(size * factor) / factor
        left = position.astype(np.intp)
        shape = (-1, 1) if axis == 0 else (1, -1)
        weight = (position - left).astype(np.float32).reshape(shape)
        right = np.take(field, (left + 1) % size, axis)
        field = np.take(field, left, axis) * (1 - weight) + right * weight
    return field
