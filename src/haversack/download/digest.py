"""Hash while writing: SHA-256 always, and whatever else the catalog or the server gave."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# https://github.com/multiformats/multicodec: code -> hashlib's name, for digests of full length.
_ALGORITHMS = {
    0x11: "sha1",
    0x12: "sha256",
    0x13: "sha512",
    0x14: "sha3_512",
    0x16: "sha3_256",
    0xD5: "md5",
    0xB240: "blake2b",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """A digest that bytes must have, and who says so."""

    algorithm: str
    digest: bytes
    source: str


def multihash(text: str) -> Expected | None:
    """Read a hex multihash; None for an algorithm that is not known here, or no multihash.

    Examples
    --------
    >>> multihash("1220" + "00" * 32).algorithm, multihash("d50110" + "00" * 16).algorithm
    ('sha256', 'md5')
    >>> multihash("no hash") is None
    True
    """
    try:
        raw = bytes.fromhex(text.strip())
    except ValueError:
        return None
    code, rest = _varint(raw)
    length, digest = _varint(rest)
    algorithm = _ALGORITHMS.get(code)
    if algorithm is None or len(digest) != length:
        return None
    if hashlib.new(algorithm, usedforsecurity=False).digest_size != length:
        return None
    return Expected(algorithm, digest, "the catalog")


def _varint(raw: bytes) -> tuple[int, bytes]:
    value = 0
    for place, byte in enumerate(raw[:4]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, raw[place + 1 :]
    return -1, b""


def of_headers(headers: Mapping[str, str]) -> list[Expected]:
    """Read the digests of the whole file that a server sends along.

    A Content-MD5 of a range may be the range's own, so only full answers are asked.
    """
    named = {"content-md5": "md5", "x-amz-checksum-sha256": "sha256", "x-amz-checksum-sha1": "sha1"}
    found = []
    for name in named.keys() & headers.keys():
        algorithm = named[name]
        try:
            digest = base64.b64decode(headers[name], validate=True)
        except binascii.Error:
            continue
        if len(digest) == hashlib.new(algorithm, usedforsecurity=False).digest_size:
            found.append(Expected(algorithm, digest, f"the server's {name}"))
    return found


class Digest:
    """The hashes of a file that is being written.

    Examples
    --------
    >>> digest = Digest([multihash("1220" + "00" * 32)])
    >>> digest.update(b"bytes")
    >>> digest.mismatch().source
    'the catalog'
    """

    def __init__(self, expected: list[Expected]) -> None:
        self._expected = expected
        self._sha256 = hashlib.sha256()
        self._hashes: dict[str, Any] = {"sha256": self._sha256}
        for one in expected:
            if one.algorithm not in self._hashes:
                self._hashes[one.algorithm] = hashlib.new(one.algorithm, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Go on with the next bytes."""
        for one in self._hashes.values():
            one.update(data)

    def mismatch(self) -> Expected | None:
        """Give the first expectation that does not hold, or None."""
        for one in self._expected:
            if self._hashes[one.algorithm].digest() != one.digest:
                return one
        return None

    @property
    def checksum(self) -> str:
        """SHA-256 as hex multihash."""
        return "1220" + self._sha256.hexdigest()
