"""Read a sealed chunk: every number in it is checked before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed.chunks.keytable import KeyTable
from haversack.packed.chunks.layout import Footer, read_footer
from haversack.packed.chunks.rowtable import Listed, Rows, RowTable, Slotted, Strided
from haversack.packed.chunks.sections import Sections
from haversack.packed.encoding import images
from haversack.packed.encoding.codecs import decoder
from haversack.packed.encoding.keys import Key, KeyType, key_from_bytes
from haversack.packed.encoding.kinds import Kind, make_kind
from haversack.storage.checksum import crc32c

Array = NDArray[Any]
_FEW = 8  # rows that are checked faster one by one


class Chunk:
    """The records of one chunk file, given as the bytes of the whole file.

    ``trusted`` is true once all payloads and all that tells where they lie were found right.
    """

    def __init__(self, path: Path, chunk_id: str, raw: NDArray[np.uint8]) -> None:
        self.path, self.raw = path, raw
        footer, self.trailer_crc = read_footer(raw, chunk_id, path)
        self.rows, self.slots, self.uniform = footer.rows, footer.slots, footer.uniform
        self.kinds = _kinds(footer, path)
        self._sections = Sections(path, raw, footer)
        self.blocks = self._sections.blocks
        self.table = _table(path, self._sections, footer, self.kinds)
        count = self.slots if self.uniform else self.rows
        self._crcs = self._sections.view("crc", count)
        if isinstance(self.table, Listed):
            # Of rows that were checked, for a chunk that is not uniform.
            self.starts, self.kind_numbers = self.table.start_of, self.table.kind_of
        self.trusted = False
        self._keys: KeyTable | None = None

    def section(self, name: str) -> Array:
        """Map one array of the row table, checked whole."""
        return self._sections.whole(name)

    # Payloads and checksums.

    def payload(self, row: int) -> NDArray[np.uint8]:
        """View the stored bytes of a row."""
        start, stop = self.table.span(row)
        return self.raw[start:stop]

    @property
    def shares(self) -> bool:
        """Whether some records share their payloads."""
        return self.slots < self.rows

    def sharing(self, row: int) -> Any:
        """Name what a row has in common with those that share its payload, None if none can."""
        return (self.path.name, self.table.span(row)[0]) if self.shares else None

    def kind_of(self, row: int) -> Kind:
        return self.kinds[self.table.kind(row)]

    def check(self, row: int) -> None:
        """Compare a row's bytes with their checksums, unless that was done before.

        Raises
        ------
        IntegrityError
            They differ; the message names the record and its key.
        """
        start, stop = self.table.span(row)
        # In a bad block, what another record has lost is no reason to refuse this one.
        if not self.blocks.good(start, stop) and crc32c(self.raw[start:stop]) != self._crc(row):
            raise IntegrityError(
                f"{self.path}: {self.name_of(row)} is damaged: its bytes disagree with "
                "their checksum; `verify` lists all that is damaged"
            )
        self.trusted = self.blocks.whole and self.table.whole

    def check_many(self, rows: Rows) -> None:
        """Check each of these rows that was not checked before."""
        if not self.trusted:
            if len(rows) < _FEW or not self.blocks.all_good(*self.table.spans(rows)):
                for row in rows.tolist():
                    self.check(row)
            self.trusted = self.blocks.whole and self.table.whole

    def _crc(self, row: int) -> int:
        table = self.table
        found: int = self._crcs.item(table.slots.item(row) if isinstance(table, Slotted) else row)
        return found

    def name_of(self, row: int) -> str:
        """Name a row for people, with its key if it has one."""
        try:
            text = self.key_text(row)
        except FormatError:
            text = None
        named = "" if text is None else f" (key {text.decode(errors='replace')!r})"
        return f"record {row}{named}"

    def read(self, row: int) -> Array:
        """Give a row of a chunk that is not uniform: a view where it is raw, else decoded."""
        if not self.trusted:
            self.check(row)
        kind = self.kinds[self.kind_numbers[row]]
        if kind.codec == "none":
            return np.ndarray(kind.shape, kind.dtype, self.raw, self.starts[row])
        out = np.empty(kind.shape, kind.dtype)
        self.decode(row, kind, out)
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

    def decode(self, row: int, kind: Kind, out: Array) -> None:
        """Put an encoded row into C-ordered memory of its dtype and shape."""
        if kind.nbytes == 0:
            return
        try:
            decoder(kind.codec).decode_into(self.payload(row), out)
        except FormatError as error:
            raise FormatError(f"{self.path}: {self.name_of(row)}: {error}") from error

    # Keys.

    @property
    def keyed(self) -> bool:
        return "key_hash" in self._sections

    @property
    def key_table(self) -> KeyTable:
        """The table of the keys of a chunk that has some."""
        if self._keys is None:
            self._keys = KeyTable(self.path, self._sections, self.rows)
        return self._keys

    def key_text(self, row: int) -> bytes | None:
        """Give the bytes of a row's key, None if it has none."""
        return self.key_table.text(row) if self.keyed else None

    def keys(self, kind: KeyType) -> list[Key | None]:
        """List the keys in the order of rows."""
        if not self.keyed:
            return [None] * self.rows
        texts = self.key_table.texts()
        return [None if text is None else key_from_bytes(text, kind) for text in texts]

    def find(self, key: bytes) -> int | None:
        """Find the row of a key."""
        return self.key_table.find(key) if self.keyed else None


def _kinds(footer: Footer, path: Path) -> list[Kind]:
    try:
        return [
            make_kind(footer.dtypes[dtype], shape, footer.codecs[codec])
            for dtype, codec, shape in footer.kinds
        ]
    except (FormatError, IndexError) as error:
        raise FormatError(f"{path}: {error}") from error


def _table(path: Path, sections: Sections, footer: Footer, kinds: list[Kind]) -> RowTable:
    if not footer.uniform:
        return Listed(path, sections, footer, kinds)
    if len(kinds) != 1 or kinds[0].codec != "none":
        raise FormatError(f"{path}: it is called uniform but has several kinds")
    if "slot" in sections:
        return Slotted(path, sections, footer, kinds[0].nbytes)
    if footer.slots != footer.rows:
        raise FormatError(f"{path}: {footer.rows} records in {footer.slots} slots, but no table")
    return Strided(path, footer, kinds[0].nbytes)
