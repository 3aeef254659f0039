"""How to transfer: the options that downloads and transfers share, and what they may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, TypedDict, cast, get_args

from haversack.download.syncing import Sync
from haversack.errors import UnsupportedError, UsageError

_MOST_AT_ONCE = 1000  # more than any host grants, and fewer than there are descriptors


class Tuning(TypedDict, total=False):
    """How to transfer, as :func:`haversack.download.transfer.transfer` takes it."""

    concurrency: int
    fsync: Sync
    retries: int
    timeout: float
    max_bytes_per_second: float | None
    max_requests_per_second: float | None


def check_tuning(given: Mapping[str, Any], caller: str) -> Tuning:
    """Refuse options that make no sense, before anything begins; give the others as plain values.

    Numbers of numpy are such as Python's are.

    Raises
    ------
    UsageError
        A value is none that can be meant.
    UnsupportedError
        ``caller`` has no such option.

    Examples
    --------
    >>> check_tuning({"timeout": 0}, "download")
    Traceback (most recent call last):
    haversack.errors.UsageError: timeout is a number of seconds above 0, not 0
    """
    plain: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _CHECKS:
            raise UnsupportedError(f"{caller}() has no option {name!r}")
        meant, is_good = _CHECKS[name]
        plain[name] = _plain(value)
        if not is_good(plain[name]):
            raise UsageError(f"{name} is {meant}, not {value!r}")
    return cast("Tuning", plain)


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    # A nan is above nothing.
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_rate(value: object) -> bool:
    return value is None or _is_positive(value)


_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "concurrency": (
        f"a whole number from 1 to {_MOST_AT_ONCE}",
        lambda value: _is_whole(value) and 1 <= value <= _MOST_AT_ONCE,
    ),
    "fsync": (
        f"one of {get_args(Sync)}",
        lambda value: isinstance(value, str) and value in get_args(Sync),
    ),
    "retries": ("a whole number, 0 or more", lambda value: _is_whole(value) and value >= 0),
    "timeout": ("a number of seconds above 0", _is_positive),
    "max_bytes_per_second": ("a number above 0, or None", _is_rate),
    "max_requests_per_second": ("a number above 0, or None", _is_rate),
}
