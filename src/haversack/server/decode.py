"""Decode the JSON of a catalog, also where Python's own writers left NaN and Infinity in it."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

OBJECT = msgspec.json.Decoder(dict[str, Any])


def decode(content: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a document; NaN and Infinity, which are no JSON, become null.

    Raises
    ------
    msgspec.DecodeError
        It is no JSON, not of the decoder's kind, or nested too deeply.

    Examples
    --------
    >>> decode(b'{"gsd": NaN}', OBJECT)
    {'gsd': None}
    """
    try:
        return decoder.decode(content)
    except msgspec.ValidationError:
        raise
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"it is not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error
    except msgspec.DecodeError as error:
        try:
            plain = json.loads(content, parse_constant=lambda _: None)
            content = msgspec.json.encode(plain)
        except (ValueError, OverflowError, RecursionError):
            raise error from None
        return decoder.decode(content)
