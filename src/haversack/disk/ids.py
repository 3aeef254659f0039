"""The two ids of an image as one key: any text, told apart, never a path."""

from __future__ import annotations

import json

from haversack.errors import UnsupportedError


def image_key(location_id: str, source_id: str) -> str:
    r"""Write a pair of ids as the key of its record: a JSON list of two texts, in ASCII.

    Raises
    ------
    UnsupportedError
        An id is not text.

    Examples
    --------
    >>> image_key("a/b", "c"), image_key("a", "b/c")
    ('["a/b","c"]', '["a","b/c"]')
    """
    for name, value in (("location_id", location_id), ("source_id", source_id)):
        if not isinstance(value, str):
            raise UnsupportedError(
                f"{name} is text, not {value!r} ({type(value).__name__}): use str(...) of it"
            )
    return json.dumps([str(location_id), str(source_id)], separators=(",", ":"))


def ids_of(key: str) -> tuple[str, str]:
    """Read the pair back: location, source.

    Examples
    --------
    >>> ids_of('["a/b","c"]')
    ('a/b', 'c')
    """
    location_id, source_id = json.loads(key)
    return location_id, source_id


def named(location_id: str, source_id: str) -> str:
    """Name an image in a message; ids may be long."""
    return f"location {_short(location_id)}, source {_short(source_id)}"


def _short(text: str) -> str:
    shown = ascii(text) if not text.isprintable() else repr(text)
    return shown if len(shown) <= 120 else f"{shown[:100]}... ({len(text)} characters)"
