"""The two ids of an image as one key: any text, told apart, never a path."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as _quoted

import msgspec

from haversack.errors import FormatError, UnsupportedError

_decode = msgspec.json.Decoder(tuple[str, str]).decode


def image_key(location_id: str, source_id: str) -> str:
    r"""Write a pair of ids as the key of its record: a JSON list of two texts, in ASCII.

    Raises
    ------
    UnsupportedError
        An id is not text, or not valid Unicode (half of a surrogate pair).

    Examples
    --------
    >>> image_key("a/b", "c"), image_key("a", "b/c")
    ('["a/b","c"]', '["a","b/c"]')
    """
    check_id("location_id", location_id)
    check_id("source_id", source_id)
    return f"[{_quoted(location_id)},{_quoted(source_id)}]"


def check_id(name: str, value: str) -> None:
    """Refuse what is no id; ``name`` says which of the two it would be."""
    if not isinstance(value, str):
        raise UnsupportedError(
            f"{name} is text, not {value!r} ({type(value).__name__}): use str(...) of it"
        )
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnsupportedError(
            f"{name} {_short(value)} is not valid Unicode text ({error.reason}): "
            "write the id in characters that can be stored"
        ) from error


def ids_of(key: str) -> tuple[str, str]:
    """Read the pair back: location, source.

    Examples
    --------
    >>> ids_of('["a/b","c"]')
    ('a/b', 'c')
    """
    try:
        return _decode(key)
    except msgspec.DecodeError as error:
        raise FormatError(f"{key[:100]!r} is not the key of an image: {error}") from error


def named(location_id: str, source_id: str) -> str:
    """Name an image in a message; ids may be long."""
    return f"location {_short(location_id)}, source {_short(source_id)}"


def _short(text: str) -> str:
    shown = ascii(text) if not text.isprintable() else repr(text)
    return shown if len(shown) <= 120 else f"{shown[:100]}... ({len(text)} characters)"
