"""The frame of a map in degrees: its extent, graticule and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from haversack.view.canvas import FAINT, LINE

_KM_PER_DEGREE = 111.32
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60)
_WIDEST, _TALLEST = 3.2, 1.6


@dataclass(frozen=True, slots=True)
class Frame:
    """What a map shows, in degrees."""

    west: float
    south: float
    east: float
    north: float

    @property
    def narrowing(self) -> float:
        """How much shorter a degree of longitude is than one of latitude in the middle."""
        return float(max(np.cos(np.radians((self.south + self.north) / 2)), 0.15))

    @property
    def aspect(self) -> float:
        """Width by height, as lengths on the ground."""
        return (self.east - self.west) * self.narrowing / (self.north - self.south)


def frame_of(shapes: Sequence[Any]) -> Frame:
    """Give the frame around shapes, with a margin, neither too wide nor too tall.

    Examples
    --------
    >>> frame = frame_of([shapely.box(10, 0, 12, 1)])
    >>> frame.west < 10 < 12 < frame.east, round(frame.aspect, 1)
    (True, 1.8)
    """
    west, south, east, north = shapely.total_bounds(np.asarray(shapes, object)).tolist()
    margin = max(0.05 * max(east - west, north - south), 0.004)
    west, south, east, north = west - margin, south - margin, east + margin, north + margin
    frame = Frame(west, south, east, north)
    grow_up = max(frame.aspect / _WIDEST, 1) * (north - south) - (north - south)
    grow_across = max(1 / (_TALLEST * frame.aspect), 1) * (east - west) - (east - west)
    return Frame(
        west - grow_across / 2, south - grow_up / 2, east + grow_across / 2, north + grow_up / 2
    )


def draw_grid(axes: Any, frame: Frame) -> None:
    """Draw meridians and parallels at round numbers."""
    axes.set_xlim(frame.west, frame.east)
    axes.set_ylim(frame.south, frame.north)
    axes.set_aspect(1 / frame.narrowing, adjustable="box")
    axes.set_facecolor("#f4f7f9")
    axes.set_axisbelow(True)
    axes.grid(color="#ffffff", lw=1.1)
    ticks_x, ticks_y = (
        _round_numbers(frame.west, frame.east),
        _round_numbers(frame.south, frame.north),
    )
    axes.set_xticks(ticks_x, [_degrees(x, "EW") for x in ticks_x])
    axes.set_yticks(ticks_y, [_degrees(y, "NS") for y in ticks_y])
    axes.tick_params(labelsize=7.5, labelcolor=FAINT, color=LINE, length=2.5)
    for side in axes.spines.values():
        side.set_color(LINE)


def _round_numbers(low: float, high: float) -> list[float]:
    step = next((step for step in _STEPS if (high - low) / step <= 5), _STEPS[-1])
    return [float(n * step) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _degrees(value: float, sides: str) -> str:
    side = sides[0] if value > 0 else sides[1] if value < 0 else ""
    return f"{abs(value):.10g}°{side}" if abs(value) > 1e-9 else "0°"


def scale_of(frame: Frame) -> tuple[float, float]:
    """Choose a round number of kilometres for a scale bar, and give its share of the width.

    Examples
    --------
    >>> scale_of(Frame(0, -1, 4, 1))[0]
    50.0
    """
    width = (frame.east - frame.west) * _KM_PER_DEGREE * frame.narrowing
    power = 10 ** math.floor(math.log10(width / 5))
    length = float(next(n for n in (5, 2, 1) if n * power <= width / 5) * power)
    return length, length / width
