"""What is asked of the byte engine, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from haversack.download.failure import Failure
from haversack.errors import DownloadError, NetworkError


@dataclass(frozen=True, slots=True)
class Version:
    """What identifies the version of a file that is here, as its server told it."""

    etag: str | None
    last_modified: str | None
    size: int

    def is_of(self, headers: Mapping[str, str]) -> bool:
        """Tell whether an answer's headers are of this version."""
        if self.etag is not None or "etag" in headers:
            return self.etag == headers.get("etag")
        same_date = self.last_modified == headers.get("last-modified") is not None
        return same_date and headers.get("content-length") == str(self.size)

    def conditions(self) -> dict[str, str]:
        """Give the headers that ask for the file only if it has changed."""
        if self.etag is not None:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}


class Request(NamedTuple):
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
    unless
        Version that is here and need not come again.
    media_type
        What the catalog says it is.
    row
        What the caller knows it by.
    """

    url: str
    path: Path | str
    size: int | None = None
    checksum: str | None = None
    unless: Version | None = None
    media_type: str | None = None
    row: int = -1


class Outcome(NamedTuple):
    """What came of a request: ``error`` is None when the file is whole and published.

    ``checksum`` is the file's SHA-256 as hex multihash (``1220…``); ``etag`` and ``last_modified``
    are what the server sent; ``tries`` is how often it was asked; ``unchanged`` that the version of
    ``unless`` is still the server's; ``failure`` what went wrong on the network; ``resumed`` how
    many of the bytes an earlier run had brought.
    """

    request: Request
    size: int = 0
    checksum: str | None = None
    etag: str | None = None
    error: str | None = None
    tries: int = 1
    last_modified: str | None = None
    unchanged: bool = False
    failure: Failure | None = None
    resumed: int = 0

    def raise_failed(self, what: str = "") -> None:
        """Tell of a file that could not be fetched.

        Parameters
        ----------
        what
            What the message says first.

        Raises
        ------
        DownloadError
            Of the kind that says why.
        """
        if self.error is not None:
            kind: type[DownloadError] = self.failure.error if self.failure else NetworkError
            raise kind(f"{what}{self.error}")
