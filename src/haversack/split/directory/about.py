"""What an array is of, beyond its numbers: axes, units, how often, and free metadata."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from haversack.errors import UnsupportedError, UsageError

_NOT_SPACE = {"t", "time", "c", "channel", *(f"axis{n}" for n in range(64))}
_LARGEST = 16 << 20  # bytes of free metadata as JSON
_DEEPEST = 100  # levels of dicts and lists in new metadata: some readers of JSON take no more


@dataclass(frozen=True, slots=True)
class About:
    """Names and units of the axes, distances along them, frequency, and free metadata.

    ``resolution`` is the distance between elements, in ``units``: on each axis, or on each but the
    first (z, y, x of t, z, y, x), whose distance is then not known. ``frequency`` is in hertz, of
    the first axis.
    """

    resolution: tuple[float, ...]
    axes: tuple[str, ...]
    units: tuple[str, ...] = ()
    frequency: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def distances(self) -> tuple[float | None, ...]:
        """The resolution, with None for an axis of which it says nothing."""
        return (*(None,) * self._unknown, *self.resolution)

    @property
    def steps(self) -> tuple[float | None, ...]:
        """The distances, where the frequency tells that of the first axis in seconds."""
        if self.frequency is None:
            return self.distances
        return (1 / self.frequency, *self.distances[1:])

    @property
    def step_units(self) -> tuple[str, ...]:
        """Units of the steps, empty where nobody named them."""
        units = self.units or ("",) * len(self.axes)
        return units if self.frequency is None else ("s", *units[1:])

    @property
    def _unknown(self) -> int:
        """Number of first axes of which the resolution says nothing."""
        return len(self.axes) - len(self.resolution)

    def without(self, dropped: Sequence[int]) -> About:
        """Describe the array without some axes."""
        return About(
            tuple(
                size
                for axis, size in enumerate(self.resolution, self._unknown)
                if axis not in dropped
            ),
            tuple(name for axis, name in enumerate(self.axes) if axis not in dropped),
            tuple(unit for axis, unit in enumerate(self.units) if axis not in dropped),
            None if 0 in dropped else self.frequency,
            self.metadata,
        )


def default_axes(ndim: int) -> tuple[str, ...]:
    """Name axes as microscopes do: the last ones of t, z, y, x.

    Examples
    --------
    >>> default_axes(3), default_axes(5)
    (('z', 'y', 'x'), ('axis0', 't', 'z', 'y', 'x'))
    """
    return (*(f"axis{n}" for n in range(ndim - 4)), *"tzyx"[max(0, 4 - ndim) :])


def check_names(given: Mapping[str, Any], taker: str) -> None:
    """Refuse what a new array cannot be described by, before anything is begun with it.

    Raises
    ------
    UnsupportedError
        There is a keyword that :func:`describe` does not have.
    UsageError
        An axis has an empty name, or one that is no text, which other formats do not take, or
        metadata is nested too deep to be sure that it can be read again; arrays that have such
        names or metadata open.
    """
    names = [each.name for each in fields(About)]
    if unknown := [name for name in given if name not in names]:
        raise UnsupportedError(
            f"{taker} has no parameter {unknown[0]!r}; what describes an array is: "
            f"{', '.join(names)}"
        )
    if (axes := given.get("axes")) is not None and "" in _words(axes, "axes"):
        raise UsageError(f"axes {tuple(axes)} have an empty name: give each axis one")
    check_text(() if axes is None else _words(axes, "axes"))
    if _is_too_deep(given.get("metadata")):
        raise UsageError(
            f"metadata cannot be kept as JSON: it is nested deeper than {_DEEPEST} levels, or "
            "holds itself"
        )


def check_text(axes: Sequence[Any]) -> None:
    """Refuse names of axes that other programs cannot read as text.

    Raises
    ------
    UsageError
        One has a NUL, or half of a pair of surrogates, as of a name of a file that is not UTF-8.
    """
    for name in axes:
        if isinstance(name, str) and re.search("[\0\ud800-\udfff]", name):
            raise UsageError(
                f"the name {name!r} of an axis is no text that other programs read: give it "
                "another; an array that has it already gets others when it is saved anew with axes="
            )


def describe(
    ndim: int,
    *,
    resolution: Sequence[float] | None = None,
    axes: Sequence[str] | None = None,
    units: Sequence[str] | str | None = None,
    frequency: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> About:
    """Check a description of an array with this many axes.

    Raises
    ------
    UsageError
        It does not fit the axes, or cannot be kept as JSON.
    """
    sizes = _sizes(resolution, ndim)
    names = default_axes(ndim) if axes is None else _words(axes, "axes")
    given = () if units is None else units
    each = _of_space(given, names) if isinstance(given, str) else _words(given, "units")
    if len(names) != ndim or len(set(names)) != ndim or not all(isinstance(n, str) for n in names):
        raise UsageError(f"axes {names} are not {ndim} different names")
    if len(each) not in {0, ndim} or not all(isinstance(unit, str) for unit in each):
        raise UsageError(f"units {each} are not one word for each of {ndim} axes")
    if not isinstance(frequency, int | float | np.integer | np.floating | None):
        raise UnsupportedError(f"frequency {frequency!r} is no number of hertz")
    if frequency is not None and not (math.isfinite(frequency) and frequency > 0):
        raise UsageError(f"frequency {frequency} is not a positive number of hertz")
    rate = None if frequency is None else float(frequency)
    return About(sizes, names, each, rate, _plain({} if metadata is None else metadata))


def check_distances(resolution: Sequence[float] | None, ndim: int) -> None:
    """Refuse a resolution of a new array that is not positive; arrays that have one open.

    Raises
    ------
    UsageError
        It is none of an array with this many axes, or has a distance of 0 or less.
    """
    sizes = _sizes(resolution, ndim)
    if min(sizes, default=1) <= 0:
        raise UsageError(
            f"resolution {sizes} has a distance that is not positive: give 1 where none is known"
        )


def _words(given: Any, what: str) -> tuple[Any, ...]:
    try:
        return tuple(given)
    except TypeError as error:
        raise UnsupportedError(f"{what} {given!r} is no sequence of words") from error


def _of_space(unit: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Give a unit to the axes of space; to all, where there are none."""
    found = tuple("" if str(name).lower() in _NOT_SPACE else unit for name in names)
    return found if any(found) else (unit,) * len(names)


def _sizes(resolution: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    ones = (1.0,) * ndim
    if resolution is None:
        return ones
    try:
        sizes = tuple(map(float, resolution))
    except (TypeError, ValueError) as error:
        raise UsageError(f"resolution {resolution!r} is not a sequence of numbers") from error
    if len(sizes) not in {ndim, ndim - 1} or not all(map(math.isfinite, sizes)):
        raise UsageError(
            f"resolution {sizes} does not fit {ndim} axes: give one finite number for each axis, "
            "or for each but the first"
        )
    return sizes or ones


def _is_too_deep(metadata: Any) -> bool:
    level = [metadata]
    for _ in range(_DEEPEST):
        held = {id(inner): inner for each in level for inner in _nested_in(each)}
        level = [*held.values()]  # each once, for lists may hold one another many times
    return bool(level)


def _nested_in(value: Any) -> list[Any]:
    """Give the dicts and lists that a dict or a list holds."""
    many = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping | list | tuple):
        return []
    return [each for each in many if isinstance(each, Mapping | list | tuple)]


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Take a copy of free metadata as JSON keeps it, or refuse it."""
    try:
        text = json.dumps(dict(metadata), allow_nan=False)
        copy: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"metadata cannot be kept as JSON: {error}") from error
    if len(text) > _LARGEST:
        raise UsageError(
            f"metadata of {len(text)} bytes is too large: keep it in a file of its own"
        )
    if copy != dict(metadata):
        raise UsageError("metadata would not come back from JSON as it is: use text as keys, lists")
    return copy
