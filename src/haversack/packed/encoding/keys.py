"""Keys of records: text or integers, as bytes, and the hash by which they are found.

All keys of a dataset are of one type, so that they are one column to a query. A key is compared by
its bytes: UTF-8 text, or an integer's decimal digits.
"""

from __future__ import annotations

import operator
from hashlib import blake2b
from typing import Any, Literal

import numpy as np

from haversack.errors import FormatError, UnsupportedError, UsageError

KeyType = Literal["text", "int"]
Key = str | int


def key_type(key: Any) -> KeyType:
    """Say which type of key this is.

    Raises
    ------
    UnsupportedError
        Neither text nor an integer of 64 bits.
    """
    if isinstance(key, str):
        return "text"
    if not isinstance(key, bool | np.bool_ | float):
        try:
            if -(1 << 63) <= operator.index(key) < 1 << 63:
                return "int"
        except TypeError:
            pass
    raise UnsupportedError(
        f"a key is text or a 64-bit integer, not {key!r} ({type(key).__name__}): use str(...) of it"
    )


def key_bytes(key: Any) -> bytes:
    r"""Write a key as the bytes that are hashed, kept and compared.

    Examples
    --------
    >>> key_bytes("väst"), key_bytes(-7)
    (b'v\xc3\xa4st', b'-7')
    """
    if key_type(key) == "int":
        return b"%d" % operator.index(key)
    try:
        return str(key).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the key {key!r} is not valid Unicode text: {error.reason}") from error


def key_from_bytes(data: bytes, kind: KeyType) -> Key:
    """Read a key back; bytes that no key of the type has are a FormatError."""
    try:
        key = int(data) if kind == "int" else data.decode()
    except ValueError as error:
        raise FormatError(f"a key that is no {kind}: {data[:100]!r}") from error
    if isinstance(key, int) and not -(1 << 63) <= key < 1 << 63:
        raise FormatError(f"a key beyond 64 bits: {key}")
    return key


def hash64(data: bytes) -> int:
    """Hash a key's bytes: BLAKE2b of 8 bytes, little-endian.

    Examples
    --------
    >>> hex(hash64(b"a"))
    '0x2f42665b399ef840'
    """
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
