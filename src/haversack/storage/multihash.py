"""Multihashes: digests that name their algorithm, as STAC's ``file:checksum`` has them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
class Multihash:
    """A digest and the algorithm that makes it, by hashlib's name."""

    algorithm: str
    digest: bytes

    def matches(self, path: Path) -> bool:
        """Tell whether a file has this digest."""
        with path.open("rb") as file:
            made = hashlib.file_digest(file, partial(hashlib.new, self.algorithm))
        return made.digest() == self.digest


def read_multihash(text: str) -> Multihash | None:
    """Read a hex multihash; None for an algorithm that is not known here, or no multihash.

    Examples
    --------
    >>> read_multihash("1220" + "00" * 32).algorithm, read_multihash("d50110" + "00" * 16).algorithm
    ('sha256', 'md5')
    >>> read_multihash("no hash") is None
    True
    """
    code, length, digest = _parts(text)
    algorithm = _ALGORITHMS.get(code)
    if algorithm is None or len(digest) != length:
        return None
    if hashlib.new(algorithm, usedforsecurity=False).digest_size != length:
        return None
    return Multihash(algorithm, digest)


def is_multihash(text: str) -> bool:
    """Tell a multihash, of an algorithm that is known here or not, from any other text.

    Examples
    --------
    >>> is_multihash("1e20" + "00" * 32), is_multihash("1220" + "00" * 31), is_multihash("zz")
    (True, False, False)
    """
    code, length, digest = _parts(text)
    known = code in _ALGORITHMS
    return read_multihash(text) is not None if known else code >= 0 and 0 < length == len(digest)


def _parts(text: str) -> tuple[int, int, bytes]:
    """Take a multihash apart: the code of its algorithm, the length that it tells, its digest."""
    try:
        raw = bytes.fromhex(text.strip())
    except ValueError:
        raw = b""
    code, rest = _varint(raw)
    length, digest = _varint(rest)
    return code, length, digest


def _varint(raw: bytes) -> tuple[int, bytes]:
    value = 0
    for place, byte in enumerate(raw[:4]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, raw[place + 1 :]
    return -1, b""
