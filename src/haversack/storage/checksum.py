"""Checksums: crc32c against decay and torn writes, SHA-256 where others must be able to check."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

_TAKEN = (bytes, np.ndarray)  # by the library, which takes no memoryview or bytearray


def crc32c(data: Any) -> int:
    """Compute the crc32c (Castagnoli) of contiguous bytes of any kind.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    whole = data if isinstance(data, _TAKEN) else np.frombuffer(data, np.uint8)
    value: int = google_crc32c.value(whole)
    return value


def crc32cs(several: Iterable[Any]) -> Iterator[int]:
    """Compute the crc32c of each of several bytes objects or arrays."""
    return map(google_crc32c.value, several)


def sha256_multihash(path: Path) -> str:
    """Hash a file as the STAC file extension writes it: a hex multihash (1220, then SHA-256)."""
    with path.open("rb") as file:
        return "1220" + hashlib.file_digest(file, "sha256").hexdigest()
