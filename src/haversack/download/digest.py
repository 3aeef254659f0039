"""Hash while writing: SHA-256 always, and whatever else the catalog or the server gave."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from haversack.storage.multihash import read_multihash

_SENT = {"content-md5": "md5", "x-amz-checksum-sha256": "sha256", "x-amz-checksum-sha1": "sha1"}
_OF_S3 = frozenset({"x-amz-request-id", "x-amz-id-2"})
_TELLING = frozenset({*_SENT, *_OF_S3})
_MD5 = re.compile('"([0-9a-f]{32})"')


@dataclass(frozen=True, slots=True)
class Expected:
    """A digest that bytes must have, and who says so."""

    algorithm: str
    digest: bytes
    source: str


def of_catalog(checksum: str | None) -> tuple[Expected, ...]:
    """Read the multihash that a catalog gives; one of an unknown algorithm expects nothing.

    Examples
    --------
    >>> of_catalog("1220" + "00" * 32)[0].algorithm, of_catalog("no hash")
    ('sha256', ())
    """
    found = read_multihash(checksum) if checksum else None
    return (Expected(found.algorithm, found.digest, "the catalog"),) if found else ()


def of_headers(headers: Mapping[str, str]) -> tuple[Expected, ...]:
    """Read the digests of the whole file that a server sends along.

    A Content-MD5 of a range may be the range's own, so only full answers are asked.
    """
    if _TELLING.isdisjoint(headers) and headers.get("server") != "AmazonS3":
        return ()  # as most do not
    found = []
    for name, algorithm in _SENT.items():
        if name in headers:
            with suppress(binascii.Error):
                digest = base64.b64decode(headers[name], validate=True)
                if len(digest) == hashlib.new(algorithm, usedforsecurity=False).digest_size:
                    found.append(Expected(algorithm, digest, f"the server's {name}"))
    return (*found, *_of_s3(headers))


def _of_s3(headers: Mapping[str, str]) -> tuple[Expected, ...]:
    """Read an ETag of S3, which is the MD5 of what came there in one piece under no key of its own.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html

    Examples
    --------
    >>> s3 = {"server": "AmazonS3", "etag": '"d41d8cd98f00b204e9800998ecf8427e"'}
    >>> _of_s3(s3)[0].source, _of_s3(s3 | {"x-amz-server-side-encryption": "aws:kms"})
    ("S3's etag", ())
    """
    md5 = _MD5.fullmatch(headers.get("etag", ""))
    of_s3 = headers.get("server") == "AmazonS3" or not _OF_S3.isdisjoint(headers)
    is_other = (
        headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
        or "x-amz-server-side-encryption-customer-algorithm" in headers
        or headers.get("x-amz-storage-class") == "EXPRESS_ONEZONE"
    )
    if md5 is None or is_other or not of_s3:
        return ()
    return (Expected("md5", bytes.fromhex(md5.group(1)), "S3's etag"),)


class Digest:
    """The hashes of a file that is being written.

    Examples
    --------
    >>> digest = Digest(of_catalog("1220" + "00" * 32))
    >>> digest.update(b"bytes")
    >>> digest.mismatch().source
    'the catalog'
    """

    __slots__ = ("_expected", "_others", "_sha256")

    def __init__(self, expected: Sequence[Expected]) -> None:
        self._expected = expected
        self._sha256 = hashlib.sha256()
        others = {one.algorithm for one in expected} - {"sha256"} if expected else ()
        self._others: dict[str, Any] | None = (
            {name: hashlib.new(name, usedforsecurity=False) for name in others} if others else None
        )

    def update(self, data: bytes) -> None:
        """Go on with the next bytes."""
        self._sha256.update(data)
        if self._others:
            for one in self._others.values():
                one.update(data)

    def mismatch(self) -> Expected | None:
        """Give the first expectation that does not hold, or None."""
        for one in self._expected:
            found = (self._others or {}).get(one.algorithm, self._sha256)
            if found.digest() != one.digest:
                return one
        return None

    @property
    def checksum(self) -> str:
        """SHA-256 as hex multihash."""
        return "1220" + self._sha256.hexdigest()
