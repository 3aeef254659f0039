"""The bytes of one file that are here: in memory at first, then in a part, hashed as they go."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from haversack.download.commit import Whole
from haversack.download.digest import Digest, Expected, of_catalog, of_headers
from haversack.download.outcome import Request
from haversack.download.parts import Part, Parts, validator

_BUFFER = 256 << 10


class Body:
    """What is here of a file, and of which version of it.

    Parameters
    ----------
    request
        The file.
    path
        Where it shall stand.
    parts
        Where its bytes go until they are whole.

    Attributes
    ----------
    headers, total
        What the server said of this version, and how many bytes it has, None where unknown.
    """

    def __init__(self, request: Request, path: str, parts: Parts) -> None:
        self._request, self._path, self._parts = request, path, parts
        self._left = parts.prepare(path)
        self.headers: Mapping[str, str] = {}
        self.total: int | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._part: Part | None = None
        self._digest: Digest  # made with the first bytes of each version
        if self._left:
            self._digest = Digest(of_catalog(request.checksum))
            self._part = parts.adopt(path, self._left, self._digest)

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return (self._part.size if self._part else 0) + self._held_bytes

    @property
    def version(self) -> str:
        """Validator of these bytes."""
        return self._part.validator if self._part else validator(self.headers, self.total)

    def restart(self, headers: Mapping[str, str], total: int | None) -> None:
        """Begin with the first byte of a version."""
        self.discard()
        self.headers, self.total = headers, total
        self._digest = Digest(of_catalog(self._request.checksum) + of_headers(headers))

    def take(self, chunk: bytes) -> None:
        """Add bytes.

        Raises
        ------
        OSError
            The disk refuses them.
        """
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        if self._held_bytes >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        if self._part is None:
            self._part = self._parts.new(self._path, self.version)
        data = self._taken()
        self._part.write(data)
        self._digest.update(data)

    def _taken(self) -> bytes:
        data = b"".join(self._held)
        self._clear()
        return data

    def _clear(self) -> None:
        self._held.clear()
        self._held_bytes = 0

    def wrong(self) -> Expected | None:
        """Say what the bytes of a large file should have hashed to.

        A small one is left to the committer, which hashes and writes it at once.
        """
        if self._part is None:
            return None
        if self._held:
            self._flush()
        return self._digest.mismatch()

    def whole(self, source: Any) -> Whole:
        """Hand over what is whole, as ``source``'s."""
        part, self._part = self._part, None
        if part is None:
            part = self._parts.small(self._path, self._held_bytes, lambda: self.version)
        part.close()
        return Whole(
            self._request,
            self._path,
            part,
            self._taken(),
            self._digest,
            self.headers.get("etag"),
            self.headers.get("last-modified"),
            self._left,
            self._parts.made(),
            source,
        )

    def pause(self) -> None:
        """Let go of the part until more comes; what the disk may not have comes again."""
        if self._part is not None:
            try:
                self._part.close()
            except OSError:
                self.discard()

    def discard(self) -> None:
        """Forget the bytes that are here."""
        part, self._part = self._part, None
        if part is not None:
            part.remove()
        self._clear()

    def leave(self, *, keep: bool) -> None:
        """Leave in a part what another run can go on with, as far as the disk takes it.

        Parameters
        ----------
        keep
            Whether what is in memory goes there too.
        """
        if keep and self._held:
            with suppress(OSError):
                self._flush()
        self._clear()
        if self._part is not None:
            self._part.keep_or_remove()
