"""Write a chunk: payloads stream to a temporary, the row table follows, then the file is sealed."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.packed.chunks.blockfile import BlockFile
from haversack.packed.chunks.keytable import key_sections
from haversack.packed.chunks.layout import (
    ALIGNMENT,
    PAYLOADS,
    TRAILER_SIZE,
    Footer,
    Section,
    header,
    trailer,
)
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.kinds import Kind, as_bytes, write_dtype
from haversack.storage.checksum import crc32c, crc32cs
from haversack.storage.publish import TEMPORARY_SUFFIX, storage_error

_ZEROS = bytes(ALIGNMENT)
# Payloads that are remembered for sharing, at about 200 bytes each; then forgotten, all at once.
_MOST_KNOWN = 1 << 20


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
    """One chunk that is being written; nobody sees it before :meth:`seal` and a manifest.

    Records whose payloads are told to be the same share a *slot*: the payload is kept once.
    """

    def __init__(self, path: Path, chunk_id: str) -> None:
        self.chunk_id = chunk_id
        self._path = path
        self._temporary = path.with_name(f".{chunk_id}{TEMPORARY_SUFFIX}")
        self.keys: dict[bytes, int] = {}
        self._kinds: dict[tuple[str, tuple[int, ...], str], int] = {}
        self._last: Kind | None = None
        self._last_kind = 0
        self._crcs, self._lengths, self._kind_of = array("I"), array("I"), array("I")
        self._offsets = array("Q")
        self._slots = array("I")  # one for each row, from the first that shares its payload
        self._known: dict[Any, int] = {}
        self._uniform = True
        try:
            self._file = BlockFile(self._temporary)
        except OSError as error:
            raise storage_error("create", self._temporary, error) from error
        self._write(header(self.chunk_id))

    @property
    def rows(self) -> int:
        return len(self._slots) or len(self._crcs)

    @property
    def _is_uniform(self) -> bool:
        return self._uniform and bool(self._kinds)

    @property
    def size(self) -> int:
        """Bytes of payload so far."""
        return self._file.position - PAYLOADS

    def append(self, stored: Stored, key: bytes | None, same: Any = None) -> None:
        """Add a record as the next row.

        ``same`` is what this payload has in common with all of its kind and bytes, and with no
        other: a digest, or the place that it is copied from.
        """
        kind, data = stored
        if kind is not self._last and kind != self._last:
            self._change_kind(kind)
        if key is not None:
            self.keys[key] = self.rows
        if same is None or not len(data):
            self._add_slot(kind, data)
        else:
            self._share_slot(kind, data, (self._last_kind, same))

    def _share_slot(self, kind: Kind, data: Any, name: tuple[int, Any]) -> None:
        slot = self._known.get(name)
        if slot is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[name] = len(self._crcs)
            self._add_slot(kind, data)
            return
        if not self._slots:
            self._slots.extend(range(len(self._crcs)))
        self._slots.append(slot)

    def _add_slot(self, kind: Kind, data: Any) -> None:
        if not self._uniform and kind.codec == "none":
            self._write(_ZEROS[: -self._file.position % ALIGNMENT])
        if self._slots:
            self._slots.append(len(self._crcs))
        self._crcs.append(crc32c(data))
        self._offsets.append(self._file.position)
        self._lengths.append(len(data))
        self._kind_of.append(self._last_kind)
        self._write(data)

    def append_block(
        self, stored: Stored, crcs: NDArray[Any], keys: Sequence[bytes | None]
    ) -> None:
        """Add raw records of one kind as the next rows, with their checksums.

        Their payloads lie one behind the other.
        """
        kind, data = stored
        if kind != self._last:
            self._change_kind(kind)
        if self._uniform:
            self._add_block(kind, data, crcs.tolist(), keys)
            return
        for row, key in enumerate(keys):
            self.append(Stored(kind, data[row * kind.nbytes :][: kind.nbytes]), key)

    def extend(
        self, kinds: Sequence[Kind], payloads: Sequence[Any], keys: Sequence[bytes | None]
    ) -> None:
        """Add records as the next rows; raw ones of one kind are written at once."""
        if self._alike(kinds):
            data = payloads[0] if len(payloads) == 1 else b"".join(payloads)
            self._add_block(kinds[0], data, crc32cs(payloads), keys)
            return
        for kind, payload, key in zip(kinds, payloads, keys, strict=True):
            self.append(Stored(kind, payload), key)

    def _add_block(
        self, kind: Kind, data: Any, crcs: Iterable[int], keys: Sequence[bytes | None]
    ) -> None:
        count, size, start, slot = len(keys), kind.nbytes, self._file.position, len(self._crcs)
        self.keys.update((key, at) for at, key in enumerate(keys, self.rows) if key is not None)
        self._crcs.extend(crcs)
        self._offsets.frombytes((start + size * np.arange(count, dtype="u8")).tobytes())
        self._lengths.extend(array("I", [size]) * count)
        self._kind_of.extend(array("I", [self._last_kind]) * count)
        if self._slots:
            self._slots.extend(range(slot, slot + count))
        self._write(data)

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
        file, sections, payload_end = self._file, {}, self._file.position
        for name, content in self._table().items():
            file.align(ALIGNMENT)
            data = as_bytes(content)
            sections[name] = Section(file.position, len(data), crc32c(data))
            file.write(data)
        file.align(ALIGNMENT)
        sums, start = as_bytes(file.sums()), file.position
        sections["block"] = Section(start, len(sums), crc32c(sums))
        footer = msgspec.json.encode(self._footer(sections, payload_end))
        at = start + len(sums)
        size = at + len(footer) + TRAILER_SIZE
        tail = trailer(self.chunk_id, size=size, footer_at=at, footer=footer, rows=self.rows)
        file.end(sums.tobytes() + footer + tail)
        return size, int.from_bytes(tail[-4:], "little")

    def _table(self) -> dict[str, NDArray[Any]]:
        crcs = np.asarray(self._crcs, "<u4")
        slots: Any = np.asarray(self._slots, "<u4") if self._slots else slice(None)
        if self._is_uniform:
            table = {"slot": slots} if self._slots else {}
            table["crc"] = crcs
        else:
            table = {
                "offset": np.asarray(self._offsets, "<u8")[slots],
                "length": np.asarray(self._lengths, "<u4")[slots],
                "kind": np.asarray(self._kind_of, "<u4")[slots],
                "crc": crcs[slots],
            }
        return table | (key_sections(self.keys, self.rows) if self.keys else {})

    def _footer(self, sections: dict[str, Section], payload_end: int) -> Footer:
        dtypes = list(dict.fromkeys(dtype for dtype, _, _ in self._kinds))
        codecs = list(dict.fromkeys(codec for _, _, codec in self._kinds))
        return Footer(
            rows=self.rows,
            slots=len(self._crcs),
            payload_end=payload_end,
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
        self._file.abandon()
        self._temporary.unlink(missing_ok=True)
