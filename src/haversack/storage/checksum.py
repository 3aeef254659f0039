"""Checksums: crc32c against decay and torn writes, SHA-256 where others must be able to check."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import google_crc32c

_BLOCK = 1 << 20


def crc32c(data: Any) -> int:
    """Compute the crc32c (Castagnoli) of any object with the buffer protocol.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    return google_crc32c.value(data if isinstance(data, bytes) else memoryview(data).cast("B"))


def sha256_multihash(path: Path) -> str:
    """Hash a file as the STAC file extension writes it: a hex multihash (1220, then SHA-256)."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return "1220" + digest.hexdigest()
