"""The bytes of one file that are here: in memory at first, then in a part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from haversack.download.digest import Digest, of_catalog, of_headers
from haversack.download.outcome import Request
from haversack.download.parts import NO_VALIDATOR, WORTH_KEEPING, Part, Parts, validator
from haversack.download.whole import Whole
from haversack.download.writer import Writer

_BUFFER = 512 << 10


class Body:
    """What is here of a file, and of which version of it.

    Parameters
    ----------
    request
        The file.
    path
        Where it shall stand.
    parts, writer
        Where its bytes go until they are whole, and who brings them there.

    Attributes
    ----------
    headers, total
        What the server said of this version, and how many bytes it has, None where unknown.
    resumed
        How many of its bytes an earlier run brought.
    """

    def __init__(self, request: Request, path: str, parts: Parts, writer: Writer) -> None:
        self._request, self._path = request, path
        self._parts, self._writer = parts, writer
        self._left = parts.prepare(path)
        self.headers: Mapping[str, str] = {}
        self.total: int | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._given = 0  # bytes that are in the part, or will be
        self._part: Part | None = None
        self._digest: Digest  # made with the first bytes of each version, given away with the last
        if self._left:
            self._digest = Digest(of_catalog(request.checksum))
            self._part = parts.adopt(path, self._left, self._digest)
            self._given = self._part.size if self._part else 0
        self.resumed = self._given

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self._given + self._held_bytes

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
        self._writer.write(self._part, self._digest, self._held, self._held_bytes)
        self._given += self._held_bytes
        self._clear()

    def _clear(self) -> None:
        self._held, self._held_bytes = [], 0

    def _stopped(self) -> Part | None:
        """Give the part once nobody writes to it."""
        if self._part is not None:
            self._writer.wait()
        return self._part

    def whole(self, source: Any) -> Whole:
        """Hand over what is whole, as ``source``'s; it is still to be checked."""
        part, self._part = self._part, None
        is_begun = part is not None
        self._given = 0
        if part is None:  # it is written at once, and few are worth keeping half
            version = NO_VALIDATOR if self._held_bytes < WORTH_KEEPING else self.version
            part = self._parts.new(self._path, version)
        content = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        headers, self.headers = self.headers, {}
        digest = self._digest
        del self._digest
        return Whole(
            self._request,
            self._path,
            part,
            content,
            digest,
            headers.get("etag"),
            headers.get("last-modified"),
            self._left,
            source,
            is_begun,
        )

    def pause(self) -> None:
        """Let go of the part until more comes; what the disk may not have comes again."""
        part = self._stopped()
        if part is not None:
            try:
                part.close()
            except OSError:
                self.discard()

    def discard(self) -> None:
        """Forget the bytes that are here."""
        part, self._part = self._stopped(), None
        if part is not None:
            part.remove()
        self._given = self.resumed = 0
        self._clear()

    def leave(self, *, keep: bool) -> None:
        """Leave in a part what another run can go on with, as far as the disk takes it in time.

        Parameters
        ----------
        keep
            Whether what is in memory goes there too.
        """
        ending = self._writer.ending
        if keep and self._held and not ending.is_over():
            with suppress(OSError):
                self._flush()
        self._clear()
        part = self._stopped()
        if part is not None:
            part.keep_or_remove(sync=not ending.is_over())
