"""What is asked of the byte engine, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Request:
    """One file to fetch.

    Parameters
    ----------
    url
        Where it is; http or https.
    path
        Where it shall stand. Missing directories are made.
    size
        Bytes it must have, where that is known.
    checksum
        Hex multihash it must have (STAC's ``file:checksum``), where that is known.
    """

    url: str
    path: Path
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: ``error`` is None when the file is whole and published.

    ``checksum`` is the file's SHA-256 as hex multihash (``1220…``); ``etag`` is what the server
    sent; ``tries`` is how often it was asked.
    """

    request: Request
    size: int = 0
    checksum: str | None = None
    etag: str | None = None
    error: str | None = None
    tries: int = 1
