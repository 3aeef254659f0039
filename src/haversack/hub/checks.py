"""What the arguments of the hub's functions may be, checked before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from haversack.errors import UnsupportedError, UsageError


def text(what: str, value: object) -> None:
    """Refuse what is no text, or one that cannot be sent.

    Examples
    --------
    >>> text("an id", 5)
    Traceback (most recent call last):
    haversack.errors.UnsupportedError: an id is a text, not 5
    """
    if not isinstance(value, str):
        raise UnsupportedError(f"{what} is a text, not {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is no valid text: {value!r} ({error.reason})") from None


def texts(name: str, value: object) -> None:
    """Refuse what is no text, and no list of texts, and given."""
    if value is None:
        return
    several = value if isinstance(value, list | tuple | set | frozenset) else [value]
    if not all(isinstance(one, str) for one in several):
        raise UnsupportedError(f"{name} is a text or a list of texts, not {value!r}")
    for one in several:
        text(name, one)


def count(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number from ``least`` on, and given."""
    if value is None:
        return
    # numpy's whole numbers too
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise UsageError(f"{name} is a whole number, {least} or more, or None; not {value!r}")


def one_of(name: str, value: object, known: Sequence[str]) -> None:
    """Refuse what is none of some words."""
    if value not in known:
        raise UsageError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}")
