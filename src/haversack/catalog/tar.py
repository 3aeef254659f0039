"""The regular files of a tar archive, named safely, without extracting anything.

Reads ustar, its older form, and the extensions of GNU tar and POSIX pax (long names and sizes).
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, NoReturn
from zlib import adler32

from haversack.errors import FormatError

_BLOCK = 512
_ADLER = 65521
_FEW = 1 << 12  # numbers that are remembered: sizes and checksums come again and again
# Name, size, checksum, kind, magic and prefix; between them is what a catalog needs not.
_FIELDS = struct.Struct("100s 24x 12s 12x 8s c 100x 6s 82x 155s 12x")
_LONGEST_NAME = 1 << 16
_EMPTY = bytes(_BLOCK)
_FINDER = re.compile(r"(^|/)(\._[^/]*|\.DS_Store|__MACOSX(/.*)?)$")
_PLAIN = {b"0", b"\0", b"7"}
_EXTENSIONS = {b"L", b"x", b"X", b"g", b"K"}
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}


class Member(NamedTuple):
    """A regular file in an archive: its name, and where its bytes lie in the tar stream."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Caps:
    """What an archive may hold, so that a small hostile one cannot fill memory or the disk."""

    members: int = 10_000_000
    document_bytes: int = 64 << 20
    total_bytes: int = 1 << 42
    ratio: int = 1000


def read_members(
    blocks: Iterable[bytes], path: Path, caps: Caps, keep: Callable[[str], bool]
) -> Iterator[tuple[Member, bytes | None]]:
    """Yield the regular files of a tar stream, with the content of those that ``keep`` names.

    What macOS leaves in archives (``._*``, ``.DS_Store``) is passed over.

    Raises
    ------
    FormatError
        The archive is damaged, or holds what no catalog needs: links, devices, absolute names,
        names with ``..``, more than the caps allow.
    """
    stream = _Stream(blocks, path, caps)
    for count, (name, size) in enumerate(stream.headers()):
        if count >= caps.members:
            raise FormatError(f"{path} holds more than {caps.members:,} files")
        place, content = stream.place, None
        if not _is_finders(name):
            if keep(name):
                if size > caps.document_bytes:
                    stream.refuse_size(name, size, caps.document_bytes)
                content = stream.take(size)
            yield Member(name, place, size), content
        stream.skip_to(place + size + -size % _BLOCK)


class _Stream:
    """The place in a tar stream, and what is read there."""

    def __init__(self, blocks: Iterable[bytes], path: Path, caps: Caps) -> None:
        self._blocks, self._path = iter(blocks), path
        self._limit = min(caps.total_bytes, caps.ratio * path.stat().st_size + (1 << 20))
        self._buffer, self._begin, self._at = b"", 0, 0

    @property
    def place(self) -> int:
        return self._begin + self._at

    def headers(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of each regular file, the stream standing at its content."""
        longer: dict[str, str] = {}
        while (header := self.take(_BLOCK)) != _EMPTY:
            name, size, kind = self._parse(header)
            if kind in _PLAIN and not longer and name[-1:] != "/":  # nearly all are
                yield self._safe(name), size
                continue
            if kind in _EXTENSIONS:
                self._extend(longer, kind, name, size)
                continue
            if longer:
                name, size = longer.get("path", name), int(longer.get("size", size))
                longer.clear()
            if kind in _KINDS:
                raise FormatError(
                    f"{self._path}: {name!r} is {_KINDS[kind]}, which no catalog archive needs"
                )
            if kind == b"5" or name.endswith("/"):
                self.skip_to(self.place + size + -size % _BLOCK)
            elif kind in _PLAIN:
                yield self._safe(name), size
            else:
                raise FormatError(f"{self._path}: {name!r} is of the unknown kind {kind!r}")
        for block in self._blocks:  # the rest is padding; reading it checks the gzip's checksum
            self._move_to(block)

    def take(self, size: int) -> bytes:
        """Read the next ``size`` bytes."""
        begin = self._at
        part = self._buffer[begin : begin + size]
        if len(part) == size:
            self._at = begin + size
            return part
        parts, wanted = [self._buffer[self._at :]], size - len(self._buffer) + self._at
        while wanted > 0:
            self._next_block()
            parts.append(self._buffer[:wanted])
            self._at = min(wanted, len(self._buffer))
            wanted -= self._at
        return b"".join(parts)

    def skip_to(self, place: int) -> None:
        """Pass over everything before ``place``."""
        while place > self._begin + len(self._buffer):
            self._next_block()
        self._at = place - self._begin

    def refuse_size(self, name: str, size: int, limit: int) -> NoReturn:
        raise FormatError(
            f"{self._path}: {name!r} of {size:,} bytes is too large for a document "
            f"(at most {limit:,})"
        )

    def _next_block(self) -> None:
        self._move_to(next(self._blocks, b""))
        if not self._buffer:
            raise FormatError(f"{self._path}: the archive ends inside a file, at {self._begin}")

    def _move_to(self, block: bytes) -> None:
        self._begin += len(self._buffer)
        self._buffer, self._at = block, 0
        if self._begin > self._limit:
            raise FormatError(
                f"{self._path} unpacks to more than {self._limit:,} bytes: it is not a catalog"
            )

    def _parse(self, header: bytes) -> tuple[str, int, bytes]:
        field, size, checksum, kind, magic, prefix = _FIELDS.unpack_from(header)
        try:
            # Adler-32 adds bytes up on its way, from 1 on.
            is_whole = (adler32(header) & 0xFFFF) == _sum_told(checksum)
            length = _number(size) if is_whole else 0
        except ValueError as error:
            raise FormatError(f"{self._path}: a tar header holds the number {error}") from None
        if not is_whole:
            where = self.place - _BLOCK
            raise FormatError(f"{self._path}: what stands at byte {where} is no tar header")
        name = _text(field)
        if prefix[0] and magic == b"ustar\0":
            name = f"{_text(prefix)}/{name}"
        return name, length, kind

    def _extend(self, longer: dict[str, str], kind: bytes, name: str, size: int) -> None:
        if size > _LONGEST_NAME * 16:
            self.refuse_size(name, size, _LONGEST_NAME * 16)
        content = self.take(size)
        self.skip_to(self.place + -size % _BLOCK)
        if kind == b"L":
            longer["path"] = _text(content)
        elif kind in b"xX":
            longer |= self._records(content)

    def _records(self, content: bytes) -> dict[str, str]:
        """Read pax's "LENGTH KEY=VALUE" lines."""
        found, at = {}, 0
        while at < len(content):
            length, space, _ = content[at : at + 20].partition(b" ")
            if not space or not length.isdigit() or int(length) <= len(length) + 1:
                raise FormatError(f"{self._path}: an extended tar header is damaged")
            key, _, value = content[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
            if key in {b"path", b"size"}:
                found[key.decode()] = _text(value)
            at += int(length)
        return found

    def _safe(self, name: str) -> str:
        odd = "//" in name or "/." in name or name[:1] in "./"
        if not odd and len(name) <= _LONGEST_NAME:  # it does not end in a slash
            return name
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if name.startswith("/") or ".." in parts or not parts or len(name) > _LONGEST_NAME:
            raise FormatError(
                f"{self._path}: the name {name!r} leads out of the archive; nothing was extracted"
            )
        return "/".join(parts)


def _is_finders(name: str) -> bool:
    """Tell what macOS leaves in archives."""
    hidden = "/." in name or name[:1] == "." or "__MACOSX" in name
    return hidden and _FINDER.search(name) is not None


@lru_cache(_FEW)
def _sum_told(field: bytes) -> int:
    """Read a checksum, as Adler-32 of the whole header should have it.

    The checksum counts its own field as blanks.
    """
    own = (adler32(field) & 0xFFFF) - 8 * 32
    return (_number(field) + own) % _ADLER


@lru_cache(_FEW)
def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's form for what octal digits cannot hold
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise ValueError(repr(field)) from None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")
