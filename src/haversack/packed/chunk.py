"""Read a sealed chunk: every number in it is checked before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed import images
from haversack.packed.codecs import decoder
from haversack.packed.keys import Key, KeyType, hash64, key_from_bytes
from haversack.packed.kinds import Kind, common, make_kind
from haversack.packed.layout import PAYLOADS, SECTIONS, TRAILER_SIZE, Footer, read_footer
from haversack.storage.checksum import crc32c

Array = NDArray[Any]
_QUIET = 16  # calls that found nothing to check before all rows are asked whether they are done


class Chunk:
    """The records of one chunk file, given as the bytes of the whole file.

    ``seen`` has a byte for each row that is 1 once the row's checksum was found right; ``trusted``
    is true when all are.
    """

    def __init__(self, path: Path, chunk_id: str, raw: NDArray[np.uint8]) -> None:
        self.path, self.raw = path, raw
        self._footer, self.trailer_crc = read_footer(raw, chunk_id, path)
        self.rows = self._footer.rows
        self.kinds = _kinds(self._footer, path)
        self._sections: dict[str, Array] = {}
        self.crcs = self.section("crc", self.rows)
        self.seen = np.zeros(self.rows, np.uint8)
        self.trusted = self.rows == 0
        self._quiet = 0
        self.uniform = self._footer.uniform
        if self.uniform:
            self._check_uniform()
        else:
            self._load_table()

    def section(self, name: str, count: int | None = None) -> Array:
        """Map one array of the row table, checked against its checksum the first time."""
        if name not in self._sections:
            self._sections[name] = self._read_section(name)
        found = self._sections[name]
        if count is not None and len(found) != count:
            raise FormatError(f"{self.path}: section {name} has {len(found)} rows, not {count}")
        return found

    def _read_section(self, name: str) -> Array:
        where = self._footer.sections.get(name)
        if where is None:
            raise FormatError(f"{self.path}: the row table lacks its section {name}")
        dtype = SECTIONS[name]
        end = where.offset + where.length
        if where.offset < self._footer.payload_end or end > len(self.raw) - TRAILER_SIZE:
            raise FormatError(f"{self.path}: section {name} lies outside the row table")
        data = self.raw[where.offset : end]
        if where.length % dtype.itemsize or where.offset % dtype.itemsize:
            raise FormatError(f"{self.path}: section {name} is no array of {dtype}")
        if crc32c(data) != where.crc32c:
            raise IntegrityError(f"{self.path}: section {name} of the row table is damaged")
        return data.view(dtype)

    def _check_uniform(self) -> None:
        if len(self.kinds) != 1 or self.kinds[0].codec != "none":
            raise FormatError(f"{self.path}: it is called uniform but has several kinds")
        self.stride = self.kinds[0].nbytes
        if self.rows * self.stride > self._footer.payload_end - PAYLOADS:
            raise FormatError(f"{self.path}: {self.rows} records do not fit in it")

    def _load_table(self) -> None:
        rows, end = self.rows, self._footer.payload_end
        offset, length = self.section("offset", rows), self.section("length", rows)
        kind = self.section("kind", rows)
        if rows and int(kind.max()) >= len(self.kinds):
            raise FormatError(f"{self.path}: a record of a kind that is not listed")
        # Unsigned and subtracting, so that no sum can overflow.
        outside = (offset < PAYLOADS) | (offset > end) | (length > np.uint64(end) - offset)
        sizes = np.array([k.nbytes for k in self.kinds], "<u8")
        raw = np.array([k.codec == "none" for k in self.kinds], bool)
        if rows:
            outside |= np.where(raw[kind], length != sizes[kind], (length == 0) & (sizes[kind] > 0))
        if outside.any():
            row = int(outside.argmax())
            raise FormatError(
                f"{self.path}: the row table places record {row} at {offset[row]} with "
                f"{length[row]} bytes, where it cannot be"
            )
        self._offset, self._length, self._kind = offset, length, kind

    # Payloads and checksums.

    def payload(self, row: int) -> NDArray[np.uint8]:
        """View the stored bytes of a row."""
        if self.uniform:
            start = PAYLOADS + row * self.stride
            return self.raw[start : start + self.stride]
        start = int(self._offset[row])
        return self.raw[start : start + int(self._length[row])]

    def kind_of(self, row: int) -> Kind:
        return self.kinds[0 if self.uniform else self._kind[row]]

    def common_kind(self, rows: NDArray[np.int64]) -> Kind | None:
        """Give the dtype and shape that these rows share, None if they differ."""
        if self.uniform:
            return self.kinds[0]
        return common(self.kinds[number] for number in np.unique(self._kind.take(rows)).tolist())

    def check(self, row: int) -> None:
        """Compare a row with its checksum, unless that was done before.

        Raises
        ------
        IntegrityError
            They differ; the message names the record and its key.
        """
        if self.seen[row]:
            return
        if crc32c(self.payload(row)) != self.crcs[row]:
            raise IntegrityError(
                f"{self.path}: record {row}{self._named(row)} is damaged: its bytes disagree with "
                "their checksum; `verify` lists all that is damaged"
            )
        self.seen[row] = 1

    def check_many(self, rows: NDArray[np.intp]) -> None:
        """Check each of these rows that was not checked before."""
        if self.trusted:
            return
        unseen = rows[self.seen.take(rows) == 0]
        for row in unseen.tolist():
            self.check(row)
        if not len(unseen):
            # Counting all rows is dear beside one batch, so it is done now and then.
            self._quiet += 1
            if self._quiet % _QUIET == 0:
                self.trusted = bool(self.seen.all())

    def _named(self, row: int) -> str:
        try:
            text = self.key_text(row)
        except FormatError:
            return ""
        return "" if text is None else f" (key {text.decode(errors='replace')!r})"

    def read(self, row: int) -> Array:
        """Give a row of a chunk that is not uniform: a view where it is raw, else decoded."""
        if not self.seen[row]:
            self.check(row)
        kind = self.kinds[self._kind[row]]
        if kind.codec == "none":
            return np.ndarray(kind.shape, kind.dtype, self.raw, int(self._offset[row]))
        out = np.empty(kind.shape, kind.dtype)
        self._decode(row, kind, out)
        out.flags.writeable = False
        return out

    def peek(self, row: int) -> Array | None:
        """Give a row of a chunk that is not uniform, None where it is an image file."""
        return self.read(row) if self.file(row) is None else None

    def file(self, row: int) -> NDArray[np.uint8] | None:
        """Give the bytes of a row that is an image file, None where it is none."""
        if self.kind_of(row).codec not in images.NAMES:
            return None
        self.check(row)
        return self.payload(row)

    def read_into(self, row: int, out: Array) -> None:
        """Put a row of a chunk that is not uniform into C-ordered memory of its dtype and shape."""
        if not self.seen[row]:
            self.check(row)
        kind = self.kinds[self._kind[row]]
        if kind.codec == "none":
            out[...] = np.ndarray(kind.shape, kind.dtype, self.raw, int(self._offset[row]))
        else:
            self._decode(row, kind, out)

    def _decode(self, row: int, kind: Kind, out: Array) -> None:
        if kind.nbytes == 0:
            return
        try:
            decoder(kind.codec).decode_into(self.payload(row), out)
        except FormatError as error:
            raise FormatError(f"{self.path}: record {row}{self._named(row)}: {error}") from error

    # Keys.

    @property
    def keyed(self) -> bool:
        return "key_hash" in self._footer.sections

    def key_text(self, row: int) -> bytes | None:
        """Give the bytes of a row's key, None if it has none."""
        if not self.keyed:
            return None
        end, text = self.section("key_end", self.rows), self.section("key_text")
        start, stop = int(end[row - 1]) if row else 0, int(end[row])
        if not 0 <= start <= stop <= len(text):
            raise FormatError(f"{self.path}: the key of record {row} lies outside the keys")
        found = bytes(text[start:stop])
        return found if found or self.find(b"") == row else None

    def keys(self, kind: KeyType) -> list[Key | None]:
        """List the keys in the order of rows."""
        if not self.keyed:
            return [None] * self.rows
        texts = [self.key_text(row) for row in range(self.rows)]
        return [None if text is None else key_from_bytes(text, kind) for text in texts]

    def find(self, key: bytes) -> int | None:
        """Find the row of a key."""
        if not self.keyed:
            return None
        hashes = self.section("key_hash")
        held = self.section("key_row", len(hashes))
        wanted = np.uint64(hash64(key))
        place = int(hashes.searchsorted(wanted))
        while place < len(hashes) and hashes[place] == wanted:
            row = int(held[place])
            if self._key_is(row, key):
                return row
            place += 1
        return None

    def _key_is(self, row: int, key: bytes) -> bool:
        end, text = self.section("key_end", self.rows), self.section("key_text")
        if row >= self.rows:
            raise FormatError(f"{self.path}: a key of row {row} of {self.rows}")
        start = int(end[row - 1]) if row else 0
        return bytes(text[start : int(end[row])]) == key


def _kinds(footer: Footer, path: Path) -> list[Kind]:
    try:
        return [
            make_kind(footer.dtypes[dtype], shape, footer.codecs[codec])
            for dtype, codec, shape in footer.kinds
        ]
    except (FormatError, IndexError) as error:
        raise FormatError(f"{path}: {error}") from error
