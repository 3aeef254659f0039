"""Write a chunk: payloads stream to a temporary, the row table follows, then the file is sealed."""

from __future__ import annotations

import os
import secrets
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.packed.encoding import Stored
from haversack.packed.keys import key_sections
from haversack.packed.kinds import Kind, as_bytes, write_dtype
from haversack.packed.layout import (
    ALIGNMENT,
    PAYLOADS,
    TRAILER_SIZE,
    Footer,
    Section,
    header,
    trailer,
)
from haversack.storage.checksum import crc32c
from haversack.storage.maps import rounded
from haversack.storage.publish import TEMPORARY_SUFFIX, storage_error

_BUFFER = 1 << 20
_ZEROS = bytes(ALIGNMENT)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A chunk file that is whole and synced under its final name."""

    chunk_id: str
    rows: int
    size: int
    trailer_crc: int
    keys: int
    dtype: Any  # None unless all records have one dtype and shape and lie without gaps
    shape: list[int] | None


class ChunkWriter:
    """One chunk that is being written; nobody sees it before :meth:`seal` and a manifest."""

    def __init__(self, folder: Path, chunk_id: str | None = None) -> None:
        self.chunk_id = chunk_id or secrets.token_hex(16)
        self._path = folder / f"{self.chunk_id}.chunk"
        self._temporary = folder / f".{self.chunk_id}{TEMPORARY_SUFFIX}"
        self.keys: dict[bytes, int] = {}
        self._kinds: dict[tuple[str, tuple[int, ...], str], int] = {}
        self._last: Kind | None = None
        self._last_kind = 0
        self._crcs, self._lengths, self._kind_of = array("I"), array("I"), array("I")
        self._offsets = array("Q")
        self._end = PAYLOADS
        self._uniform = True
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        try:
            descriptor = os.open(self._temporary, flags, 0o666)
        except OSError as error:
            raise storage_error("create", self._temporary, error) from error
        self._file: Any = os.fdopen(descriptor, "wb", buffering=_BUFFER)
        self._write(header(self.chunk_id))

    @property
    def rows(self) -> int:
        return len(self._crcs)

    @property
    def _is_uniform(self) -> bool:
        return self._uniform and bool(self._kinds)

    @property
    def size(self) -> int:
        """Bytes of payload so far."""
        return self._end - PAYLOADS

    def append(self, stored: Stored, key: bytes | None) -> None:
        """Add a record as the next row."""
        kind, data = stored
        if kind is not self._last and kind != self._last:
            self._change_kind(kind)
        if not self._uniform and kind.codec == "none":
            self._align()
        self._write(data)
        if key is not None:
            self.keys[key] = len(self._crcs)
        self._crcs.append(crc32c(data))
        self._offsets.append(self._end)
        self._lengths.append(len(data))
        self._kind_of.append(self._last_kind)
        self._end += len(data)

    def append_block(
        self, stored: Stored, crcs: NDArray[Any], keys: Sequence[bytes | None]
    ) -> None:
        """Add raw records of one kind as the next rows, with their checksums.

        Their payloads lie one behind the other.
        """
        kind, data = stored
        if kind != self._last:
            self._change_kind(kind)
        if not self._uniform:
            for row, key in enumerate(keys):
                self.append(Stored(kind, data[row * kind.nbytes :][: kind.nbytes]), key)
            return
        self._write(data)
        first, count = self.rows, len(keys)
        self.keys.update((key, first + row) for row, key in enumerate(keys) if key is not None)
        offsets = self._end + kind.nbytes * np.arange(count, dtype=np.uint64)
        self._crcs.frombytes(np.asarray(crcs, np.uint32).tobytes())
        self._offsets.frombytes(offsets.tobytes())
        self._lengths.frombytes(np.full(count, kind.nbytes, np.uint32).tobytes())
        self._kind_of.frombytes(np.full(count, self._last_kind, np.uint32).tobytes())
        self._end += len(data)

    def extend(
        self, kinds: Sequence[Kind], payloads: Sequence[Any], keys: Sequence[bytes | None]
    ) -> None:
        """Add records as the next rows; raw ones of one kind are written at once."""
        if not self._alike(kinds):
            for kind, payload, key in zip(kinds, payloads, keys, strict=True):
                self.append(Stored(kind, payload), key)
            return
        row, count, size = len(self._crcs), len(kinds), kinds[0].nbytes
        self._write(payloads[0] if count == 1 else b"".join(payloads))
        self.keys.update((key, at) for at, key in enumerate(keys, row) if key is not None)
        self._crcs.extend(map(crc32c, payloads))
        stop = self._end + count * size
        self._offsets.extend(range(self._end, stop, size) if size else [self._end] * count)
        self._lengths.extend([size] * count)
        self._kind_of.extend([self._last_kind] * count)
        self._end = stop

    def _alike(self, kinds: Sequence[Kind]) -> bool:
        """Whether these are raw and of the one kind that the chunk has."""
        kind = kinds[0]
        if kind.codec != "none" or kinds.count(kind) != len(kinds):
            return False
        if kind is not self._last and kind != self._last:
            self._change_kind(kind)
        return self._uniform

    def _change_kind(self, kind: Kind) -> None:
        text = msgspec.json.encode(write_dtype(kind.dtype)).decode()
        found = (text, kind.shape, kind.codec)
        self._last_kind = self._kinds.setdefault(found, len(self._kinds))
        # With a codec, payloads differ in length even where the arrays are alike.
        self._uniform = self._uniform and len(self._kinds) == 1 and kind.codec == "none"
        self._last = kind

    def _align(self) -> None:
        gap = -self._end % ALIGNMENT
        self._write(_ZEROS[:gap])
        self._end += gap

    def _write(self, data: Any) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            self.abandon()
            raise storage_error("write", self._path, error) from error

    def seal(self) -> Sealed:
        """Write the row table, sync, and give the file its name (its folder is not yet synced)."""
        try:
            size, checksum = self._finish()
            self._file.close()
            self._temporary.rename(self._path)
        except OSError as error:
            self.abandon()
            raise storage_error("write", self._path, error) from error
        dtype, shape = next(iter(self._kinds))[:2] if self._is_uniform else (None, None)
        return Sealed(
            self.chunk_id,
            self.rows,
            size,
            checksum,
            len(self.keys),
            None if dtype is None else msgspec.json.decode(dtype),
            None if shape is None else list(shape),
        )

    def _finish(self) -> tuple[int, int]:
        sections, position = {}, self._end
        for name, content in self._table().items():
            start = rounded(position, ALIGNMENT)
            data = as_bytes(content)
            self._file.write(bytes(start - position))
            self._file.write(data)
            sections[name] = Section(start, len(data), crc32c(data))
            position = start + len(data)
        footer = msgspec.json.encode(self._footer(sections))
        size = position + len(footer) + TRAILER_SIZE
        tail = trailer(self.chunk_id, size=size, footer_at=position, footer=footer, rows=self.rows)
        self._file.write(footer + tail)
        self._file.flush()
        os.fsync(self._file.fileno())
        return size, int.from_bytes(tail[-4:], "little")

    def _table(self) -> dict[str, NDArray[Any]]:
        table: dict[str, NDArray[Any]] = {"crc": np.asarray(self._crcs, "<u4")}
        if not self._is_uniform:
            table["offset"] = np.asarray(self._offsets, "<u8")
            table["length"] = np.asarray(self._lengths, "<u4")
            table["kind"] = np.asarray(self._kind_of, "<u4")
        if self.keys:
            table |= key_sections(self.keys, self.rows)
        return table

    def _footer(self, sections: dict[str, Section]) -> Footer:
        dtypes = list(dict.fromkeys(dtype for dtype, _, _ in self._kinds))
        codecs = list(dict.fromkeys(codec for _, _, codec in self._kinds))
        return Footer(
            rows=self.rows,
            payload_end=self._end,
            dtypes=[msgspec.json.decode(dtype) for dtype in dtypes],
            codecs=codecs,
            kinds=[
                (dtypes.index(dtype), codecs.index(codec), list(shape))
                for dtype, shape, codec in self._kinds
            ],
            uniform=self._is_uniform,
            sections=sections,
        )

    def abandon(self) -> None:
        """Remove what was written."""
        # On a full disk closing fails too, having let go of the descriptor.
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)
