"""Open a damaged chunk as far as what is left of it can be trusted.

Its structures are put right in a copy in memory, where a checksum tells that they are. Rows are
trusted by their own checksums alone, so that a wrong offset or length gives a row that is lost, and
never one that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.chunks.layout import (
    ALIGNMENT,
    BLOCK,
    PAYLOADS,
    SECTIONS,
    TRAILER_SIZE,
    Footer,
    Section,
    read_footer,
    trailer,
)
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.keys import hash64
from haversack.packed.encoding.kinds import make_kind
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.storage.checksum import crc32c
from haversack.storage.looking import refuse_endless
from haversack.storage.maps import rounded
from haversack.storage.mend import mended

Raw = NDArray[np.uint8]

_NEAR_END: Final = 16 << 20  # where a footer is looked for
_BY_ROW: Final = frozenset({"crc", "offset", "length"})  # whose rows are checked each by itself
_OF_KEYS: Final = frozenset({"key_hash", "key_row", "key_end", "key_text"})


@dataclass(frozen=True, slots=True)
class RoughChunk:
    """What can be read of a damaged chunk; ``chunk`` has no keys where ``keys`` has them."""

    chunk: Chunk
    lost: frozenset[int]  # rows whose place is not known
    keys: list[bytes | None] | None


def open_roughly(path: Path, entry: ChunkEntry) -> RoughChunk | None:
    """Open a chunk in spite of its damage; None where nothing of it can be trusted.

    Raises
    ------
    OSError
        The file is missing, or cannot be read.
    FormatError
        It is a FIFO or a device.
    """
    raw = _read(path, entry.bytes)
    found = _find_footer(raw, entry)
    if found is None:
        return None
    footer, at = found
    mended_footer = _mend_sections(raw, footer)
    if mended_footer is None:
        return None
    footer, loose = mended_footer
    keys = _trusted_keys(raw, footer) if loose & _OF_KEYS else None
    if keys is not None:
        kept = {name: part for name, part in footer.sections.items() if name not in _OF_KEYS}
        footer = msgspec.structs.replace(footer, sections=kept)
    lost = frozenset[int]() if footer.uniform else _place_lost_rows(raw, footer)
    if lost is None:
        return None
    try:
        return RoughChunk(Chunk(path, entry.id, _closed(raw, footer, at, entry.id)), lost, keys)
    except FormatError:
        return None


def _read(path: Path, size: int) -> Raw:
    """Give a copy of the file, of the size that it should have."""
    refuse_endless(path)
    if path.stat().st_size == size:
        return np.memmap(path, np.uint8, "c")  # what is not changed is not copied
    data = np.fromfile(path, np.uint8)[:size]
    return np.concatenate([data, np.zeros(size - len(data), np.uint8)])


# The footer.


def _find_footer(raw: Raw, entry: ChunkEntry) -> tuple[Footer, int] | None:
    """Find the footer and where it begins, by the trailer that the manifest knows."""
    if len(raw) < PAYLOADS + TRAILER_SIZE:
        return None
    text, at = _by_trailer(raw, entry) or _by_its_text(raw, entry) or (None, 0)
    if text is not None:
        try:
            return msgspec.json.decode(text, type=Footer), at
        except (msgspec.DecodeError, RecursionError):
            return None
    return _laid_out(raw, entry) if entry.shape is not None else None


def _by_trailer(raw: Raw, entry: ChunkEntry) -> tuple[bytes, int] | None:
    tail = mended(raw[-TRAILER_SIZE:-4].tobytes(), entry.trailer)
    if tail is None:
        return None
    at, length, checksum = (int.from_bytes(tail[a:b], "little") for a, b in _FOOTER_IN_TRAILER)
    text = mended(raw[at : at + length].tobytes(), checksum) if at + length <= len(raw) else None
    return None if text is None else (text, at)


_FOOTER_IN_TRAILER: Final = ((32, 40), (40, 44), (44, 48))


def _by_its_text(raw: Raw, entry: ChunkEntry) -> tuple[bytes, int] | None:
    """Look for a footer with which the trailer would be the one that the manifest knows."""
    start = max(PAYLOADS, len(raw) - TRAILER_SIZE - _NEAR_END)
    data = raw[start : len(raw) - TRAILER_SIZE].tobytes()
    place = len(data)
    while (place := data.rfind(b'{"rows":', 0, place)) >= 0:
        text, at = data[place:], start + place
        tail = trailer(entry.id, size=len(raw), footer_at=at, footer=text, rows=entry.rows)
        if int.from_bytes(tail[-4:], "little") == entry.trailer:
            return text, at
    return None


def _laid_out(raw: Raw, entry: ChunkEntry) -> tuple[Footer, int] | None:
    """Say where all lies in a chunk of records of one kind, which the manifest tells."""
    try:
        kind = make_kind(entry.dtype, entry.shape)
    except FormatError:
        return None
    end = PAYLOADS + entry.rows * kind.nbytes
    counts = {"crc": entry.rows}
    if entry.keys:
        counts |= {"key_hash": entry.keys, "key_row": entry.keys, "key_end": entry.rows}
    sections, at = dict[str, Section](), end
    for name, count in counts.items():
        at, length = rounded(at, ALIGNMENT), count * SECTIONS[name].itemsize
        sections[name] = Section(at, length, 0)
        at += length
    if at > len(raw):
        return None
    if entry.keys:
        last = int.from_bytes(raw[at - 8 : at].tobytes(), "little")
        at = rounded(at, ALIGNMENT)
        length = min(last, len(raw) - at)
        sections["key_text"] = Section(at, length, 0)
        at += length
    at = rounded(at, ALIGNMENT)
    sections["block"] = Section(at, -(-at // BLOCK) * SECTIONS["block"].itemsize, 0)
    at += sections["block"].length
    if at > len(raw):
        return None
    footer = Footer(
        rows=entry.rows,
        slots=entry.rows,
        payload_end=end,
        dtypes=[entry.dtype],
        codecs=["none"],
        kinds=[(0, 0, entry.shape or [])],
        uniform=True,
        sections=sections,
    )
    return footer, at


def _closed(raw: Raw, footer: Footer, at: int, chunk_id: str) -> Raw:
    """Put the footer, and a trailer that fits, behind the rest."""
    text = msgspec.json.encode(footer)
    size = at + len(text) + TRAILER_SIZE
    tail = trailer(chunk_id, size=size, footer_at=at, footer=text, rows=footer.rows)
    data = np.frombuffer(text + tail, np.uint8)
    if size > len(raw):
        return np.concatenate([raw[:at], data])
    raw[at:size] = data
    return raw[:size]


# The sections.


def _mend_sections(raw: Raw, footer: Footer) -> tuple[Footer, set[str]] | None:
    """Put sections right; those that cannot be, and need not be, are taken as they are.

    Gives the names of these too, or None where the chunk cannot be trusted.
    """
    loose: set[str] = set()
    sections = dict(footer.sections)
    for name, where in footer.sections.items():
        end = where.offset + where.length
        if where.offset < PAYLOADS or end > len(raw) or where.offset % 8:
            return None
        data = raw[where.offset : end].tobytes()
        if name == "block":
            # No block is trusted here, so that each row and section is checked by itself.
            raw[where.offset : end] = 0
            sections[name] = Section(where.offset, where.length, crc32c(bytes(where.length)))
            continue
        whole = mended(data, where.crc32c)
        if whole is None and name == "kind" and len(footer.kinds) == 1:
            whole = bytes(len(data))
        if whole is None:
            loose.add(name)
            whole = data
        elif whole is not data:
            raw[where.offset : end] = np.frombuffer(whole, np.uint8)
        sections[name] = Section(where.offset, where.length, crc32c(whole))
    if loose - _BY_ROW - _OF_KEYS:
        return None
    return msgspec.structs.replace(footer, sections=sections), loose


def _view(raw: Raw, footer: Footer, name: str) -> NDArray[Any]:
    where = footer.sections[name]
    return raw[where.offset : where.offset + where.length].view(SECTIONS[name])


def _place_lost_rows(raw: Raw, footer: Footer) -> frozenset[int] | None:
    """Let rows that are placed where they cannot be look like one that can: they are lost."""
    try:
        offset, length, kind = (_view(raw, footer, name) for name in ("offset", "length", "kind"))
        kinds = [make_kind(footer.dtypes[d], s, footer.codecs[c]) for d, c, s in footer.kinds]
    except (FormatError, IndexError, KeyError, ValueError):
        return None
    if not len(offset) == len(length) == len(kind) == footer.rows:
        return None
    if not footer.rows or int(kind.max()) >= len(kinds):
        return None if footer.rows else frozenset()
    end = np.uint64(footer.payload_end)
    sizes = np.array([each.nbytes for each in kinds], "<u8")[kind]
    raws = np.array([each.codec == "none" for each in kinds], bool)[kind]
    outside = (offset < PAYLOADS) | (offset > end) | (length > end - offset)
    outside |= np.where(raws, length != sizes, (length == 0) & (sizes > 0))
    lost = np.flatnonzero(outside)
    if len(lost) == footer.rows:
        return None
    if len(lost):
        model = int(np.flatnonzero(~outside)[0])
        for name, part in (("offset", offset), ("length", length), ("kind", kind)):
            part[lost] = part[model]
            where = footer.sections[name]
            footer.sections[name] = Section(where.offset, where.length, crc32c(part))
    return frozenset(lost.tolist())


def _trusted_keys(raw: Raw, footer: Footer) -> list[bytes | None]:
    """Give the keys of rows that agree with their hash."""
    keys: list[bytes | None] = [None] * footer.rows
    try:
        hashes, rows, ends, text = (
            _view(raw, footer, name) for name in ("key_hash", "key_row", "key_end", "key_text")
        )
    except (KeyError, ValueError):
        return keys
    if len(ends) != footer.rows:
        return keys
    for hashed, row in zip(hashes.tolist(), rows.tolist(), strict=False):
        if row < footer.rows:
            start, stop = int(ends[row - 1]) if row else 0, int(ends[row])
            if start <= stop <= len(text) and hash64(text[start:stop].tobytes()) == hashed:
                keys[row] = text[start:stop].tobytes()
    return keys


def entry_of(path: Path, chunk_id: str, raw: Raw) -> ChunkEntry:
    """Say what a manifest would of a chunk whose file is whole; the index is left open.

    Raises
    ------
    FormatError
        The file is no chunk, or damaged.
    """
    footer, checksum = read_footer(raw, chunk_id, path)
    chunk = Chunk(path, chunk_id, raw)
    dtype, shape = None, None
    if footer.uniform:
        number, _, shape = footer.kinds[0]
        dtype = footer.dtypes[number]
    keys = len(chunk.section("key_hash")) if chunk.keyed else 0
    return ChunkEntry(chunk_id, chunk.rows, len(raw), checksum, 0, 0, keys, dtype, shape)
