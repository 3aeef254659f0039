"""A gzip file as bytes that can be read at any place.

The first pass, front to back, checks the whole file and leaves a copy of the decompressor's state
every few megabytes. Later reads begin at the nearest copy.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from haversack.errors import FormatError

try:
    from zlib_ng import zlib_ng as zlib  # it inflates three times as fast
except ImportError:  # some platform has no wheel of it
    import zlib  # type: ignore[no-redef]

_READ = 1 << 15
_BLOCK = 1 << 18
_APART = 8 << 20
_GZIP = 31  # zlib's wbits for a gzip header and trailer


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a read may begin: places in both streams, and the decompressor as it was there."""

    packed: int
    plain: int
    state: Any


class GzipFile:
    """A gzip file of one or several members, read as a stream first and at any place afterwards.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FormatError
        The file is no gzip, is cut short, or disagrees with its checksum.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marks = [_Mark(0, 0, zlib.decompressobj(_GZIP))]
        self._recent = b"", self._marks[0]

    def blocks(self) -> Iterator[bytes]:
        """Yield the whole content from the front."""
        with self.path.open("rb") as file:
            cursor = _Cursor(file, self._marks[0])
            while block := cursor.block():
                yield block
                if cursor.plain - self._marks[-1].plain >= _APART:
                    self._marks.append(cursor.mark())

    def read(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes of the content at ``offset``; going on forwards is cheapest."""
        block, mark = self._start(offset)
        begin = offset - mark.plain + len(block)
        if begin + size <= len(block):
            return block[begin : begin + size]
        parts, wanted, place = [], size, mark.plain - len(block)
        with self.path.open("rb") as file:
            cursor = _Cursor(file, mark)
            while wanted:
                part = block[max(0, offset - place) :][:wanted]
                parts.append(part)
                wanted -= len(part)
                place += len(block)
                if wanted and not (block := cursor.block()):
                    raise FormatError(f"{self.path} has no byte {offset + size} of content")
            self._recent = block, cursor.mark()
        return b"".join(parts)

    def _start(self, offset: int) -> tuple[bytes, _Mark]:
        """Choose where to begin: the block read last, or the nearest mark."""
        mark = self._marks[bisect.bisect_right(self._marks, offset, key=lambda m: m.plain) - 1]
        block, behind = self._recent
        if max(mark.plain, behind.plain - len(block)) <= offset and behind.plain >= mark.plain:
            return block, behind
        return b"", mark


class _Cursor:
    """One walk through the file."""

    def __init__(self, file: BinaryIO, mark: _Mark) -> None:
        file.seek(mark.packed)
        self._file, self._state, self._rest = file, mark.state.copy(), b""
        self.plain = mark.plain

    def mark(self) -> _Mark:
        return _Mark(self._file.tell() - len(self._rest), self.plain, self._state.copy())

    def block(self) -> bytes:
        """Give the next bytes of the content, none at its end."""
        while not self._state.eof or self._next_member():
            read = self._rest or self._file.read(_READ)
            block = self._inflate(read)
            self._rest = self._state.unconsumed_tail
            if block:
                self.plain += len(block)
                return block
            if not read and not self._state.eof:
                raise FormatError(
                    f"{self._file.name} is cut short after byte {self.plain} of its content: "
                    "fetch it again"
                )
        return b""

    def _inflate(self, read: bytes) -> bytes:
        try:
            block: bytes = self._state.decompress(read, _BLOCK)
        except zlib.error as error:  # type: ignore[misc]  # stubs of zlib-ng call it an instance
            raise FormatError(
                f"{self._file.name} is no whole gzip file: {error}, after byte {self.plain} "
                "of its content"
            ) from None
        return block

    def _next_member(self) -> bool:
        rest = self._state.unused_data.lstrip(b"\0")
        while not rest and (read := self._file.read(_READ)):
            rest = read.lstrip(b"\0")
        # Anything else behind the last member is what some tools leave there.
        if rest[:2] != b"\x1f\x8b":
            return False
        self._state, self._rest = zlib.decompressobj(_GZIP), rest
        return True
