"""The journal of an array that grows: whole frames, in the order in which they were appended.

A journal holds the rows of one slab (the blocks that begin at one row) until its blocks are
published; see docs/spec/split-v1.md. Each record is one row of one block. A row is there when all
its records are; what was cut off at the end of a journal was never promised. What is damaged in
front of rows that were appended later was promised: it counts, and to read it is an error.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError, NewerFormatError, StorageError
from haversack.split.blockfiles.block import ChunkByChunk, Shape, Wanted
from haversack.split.chunks.chunk import StoredChunk
from haversack.storage.checksum import crc32c
from haversack.storage.damage import Damage
from haversack.storage.looking import state
from haversack.storage.ranges import RangeFile

FORMAT = 1
MAGIC = b"\x89HVJRN\r\n"
_HEADER = struct.Struct("<8sIQ16s16sI")  # magic, format, first row, array, generation, crc32c
_GENERATION = slice(36, 52)  # of a header
_MARK = 0x5246_5648
_RECORD = struct.Struct("<IIQQIII")  # mark, block, row, first row of the append, size, crc, crc
_STEP = 1 << 20
_NAME = re.compile(r"frames-([0-9]{6,})\.journal")


def journal_name(slab: int) -> str:
    """Name the journal of a slab."""
    return f"frames-{slab:06d}.journal"


def slab_of(name: str) -> int | None:
    """Give the slab whose journal has this name, None for other names."""
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[1])


def holds_rows(path: Path) -> bool:
    """Tell whether a journal of whichever array has more than its header."""
    found = state(path)
    return found is not None and found.st_size > _HEADER.size


def encode_header(start: int, array: str) -> bytes:
    """Begin a journal whose first row is ``start``."""
    return _encode_header(start, array, os.urandom(16))


def _encode_header(start: int, array: str, generation: bytes) -> bytes:
    body = _HEADER.pack(MAGIC, FORMAT, start, bytes.fromhex(array), generation, 0)[:-4]
    return body + struct.pack("<I", crc32c(body))


def encode_record(block: int, row: int, since: int, payload: bytes) -> bytes:
    """Make a record: one row of one block, compressed; ``since`` is where its append began."""
    body = _RECORD.pack(_MARK, block, row, since, len(payload), crc32c(payload), 0)[:-4]
    return b"".join((body, struct.pack("<I", crc32c(body)), payload))


def read_header(file: RangeFile) -> tuple[int, str]:
    """Read the header of a journal: its first row, its array's id; raises as :class:`Journal`."""
    if file.size < _HEADER.size:
        raise IntegrityError(f"{file.path} is too short for a journal: {_advice(file.path)}")
    data = file.read(0, _HEADER.size)
    magic, version, start, owner, _, crc = _HEADER.unpack(data)
    if magic != MAGIC or crc != crc32c(data[:-4]):
        raise IntegrityError(f"{file.path}: the journal's header is damaged: {_advice(file.path)}")
    if version > FORMAT:
        raise NewerFormatError(
            f"{file.path} was written by format {version}, this haversack reads up to "
            f"{FORMAT}: upgrade haversack"
        )
    return start, owner.hex()


def _advice(path: Path) -> str:
    return f"bring it back, or have `haversack repair {path.parent}` set it aside, to read the rest"


def check_header(file: RangeFile, start: int, array: str) -> bool:
    """See that a journal belongs where it is, and tell whether its header is whole.

    Of what it says, only the generation is not known: where that or the checksum is damaged alone,
    or all but these two, it is still told from any other.

    Raises
    ------
    FormatError, IntegrityError
        It is of another array, or nobody can tell.
    """
    try:
        if read_header(file) != (start, array):
            raise FormatError(f"{file.path} does not belong here: it is of another array")
    except IntegrityError:
        if file.size < _HEADER.size:
            raise
        found = file.read(0, _HEADER.size)
        right = _encode_header(start, array, found[_GENERATION])
        if found[: _GENERATION.start] == right[: _GENERATION.start] or found[-4:] == right[-4:]:
            return False
        raise
    return True


def count_pieces(file: RangeFile) -> tuple[bool, int]:
    """Count the records of the first row of a journal; tell first if another row follows them."""
    at, count = _HEADER.size, 0
    while at + _RECORD.size <= file.size:
        found = _parse(file.read(at, _RECORD.size), at)
        if found is None or found.block != count:
            return found is not None and not found.block, count
        at, count = found.offset + found.size, count + 1
    return False, count


@dataclass(frozen=True, slots=True)
class _Record:
    block: int
    row: int
    since: int
    offset: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class _Lost:
    """A record that was promised and is damaged; behind which byte, in front of which row."""

    row: int
    at: int
    before: int


class Journal:
    """A journal that is read, also while another process appends to it.

    Parameters
    ----------
    path
        The file.
    array
        Id of the array that it has to belong to.
    start
        Its first row.
    pieces
        Number of blocks in a slab: records of a row.

    Raises
    ------
    PathNotFoundError
        There is no such journal (any more).
    NewerFormatError, FormatError
        It was written by a later haversack, or is none of this array.
    IntegrityError
        Its header is damaged beyond doubt, or rows were taken out of its midst.
    """

    def __init__(self, path: Path, array: str, start: int, pieces: int) -> None:
        self.path, self.start, self.pieces = path, start, pieces
        self._file = RangeFile(path)
        self._records: list[_Record | _Lost] = []
        self._end = _HEADER.size
        self._has_whole_header = check_header(self._file, start, array)
        self.refresh()

    @property
    def inode(self) -> int:
        """Tell this file from one that replaced it."""
        return self._file.inode

    @property
    def rows(self) -> int:
        """Number of rows that are there."""
        return len(self._records) // self.pieces

    def refresh(self) -> int:
        """Look for more rows; say how many there are now.

        Raises
        ------
        IntegrityError
            Rows were taken out of its midst.
        """
        self._file.measure()
        while self._take_row() or self._pass_lost_rows():
            pass
        return self.rows

    def _take_row(self) -> bool:
        """Take the next row, if it is whole."""
        row, _ = self._next_row()
        if len(row) < self.pieces:
            return False
        self._records += row
        self._end = row[-1].offset + row[-1].size
        return True

    def _next_row(self) -> tuple[list[_Record], int]:
        """Read what is whole of the next row, and tell where that ends."""
        row: list[_Record] = []
        at, number = self._end, self.start + self.rows
        while len(row) < self.pieces and (record := self._record(at)) is not None:
            if (record.row, record.block) != (number, len(row)):
                break
            row.append(record)
            at = record.offset + record.size
        return row, at

    def _pass_lost_rows(self) -> bool:
        """Go on behind damaged rows, if others were appended after them, so that they count."""
        if self._is_cut_off(self._next_row()[1]):
            return False
        first, found = self.start + self.rows, list[_Record]()
        for at, record in self._heads():
            if first < record.since <= record.row:
                if not self._take_row():  # which was being written when it was looked at
                    self._count_lost_rows(at, record.since, found)
                return True
            found.append(record)
        return False

    def _is_cut_off(self, at: int) -> bool:
        """Tell whether the file ends within a record, as it does while one is written."""
        if at + _RECORD.size > self._file.size:
            return True
        found = self._head(at)
        return found is not None and found.offset + found.size > self._file.size

    def _count_lost_rows(self, end: int, before: int, found: list[_Record]) -> None:
        """Count the rows up to one that begins at a byte, with those records that are found."""
        first = self.start + self.rows
        count = (before - first) * self.pieces
        if count * _RECORD.size > end - self._end:
            raise IntegrityError(
                f"{self.path}: rows {first} to {before - 1} are not there, at byte {self._end} of "
                f"the journal; row {before} was appended after them"
            )
        records: list[_Record | _Lost] = [
            _Lost(first + number // self.pieces, self._end, before) for number in range(count)
        ]
        for record in found:
            number = (record.row - first) * self.pieces + record.block
            if record.block < self.pieces and 0 <= number < count and self._is_whole(record):
                records[number] = record
        self._records += records
        self._end = end

    def _record(self, at: int) -> _Record | None:
        """Read the record at an offset, if it is whole."""
        found = self._head(at)
        return found if found is not None and self._is_whole(found) else None

    def _is_whole(self, record: _Record) -> bool:
        if record.offset + record.size > self._file.size:
            return False
        return crc32c(self._file.read(record.offset, record.size)) == record.crc

    def _head(self, at: int) -> _Record | None:
        if at + _RECORD.size > self._file.size:
            return None
        return _parse(self._file.read(at, _RECORD.size), at)

    def check_whole(self) -> None:
        """Refuse to go on with a journal of which something is lost.

        Raises
        ------
        IntegrityError
            A row that was promised is damaged.
        """
        for record in self._records:
            if isinstance(record, _Lost):
                raise self._damaged(record)

    def _damaged(self, lost: _Lost) -> IntegrityError:
        return IntegrityError(
            f"{self.path}: row {lost.row} is damaged, behind byte {lost.at} of the journal; "
            f"row {lost.before} was appended after it"
        )

    def _heads(self) -> Iterator[tuple[int, _Record]]:
        """Find all that may be the head of a record behind the last row, and where it begins."""
        for at in self._occurrences(struct.pack("<I", _MARK)):
            found = self._head(at)
            if found is not None:
                yield at, found

    def _occurrences(self, mark: bytes) -> Iterator[int]:
        at = self._end
        while at < self._file.size:
            data = self._file.read(at, min(_STEP + len(mark), self._file.size - at))
            found = data.find(mark)
            while 0 <= found < _STEP:
                yield at + found
                found = data.find(mark, found + 1)
            at += _STEP

    def content(self, rows: int) -> bytes:
        """Give the first rows as they are stored, without the journal's header."""
        if not rows:
            return b""
        last = self._records[rows * self.pieces - 1]
        assert isinstance(last, _Record)
        return self._file.read(_HEADER.size, last.offset + last.size - _HEADER.size)

    def payload(self, row: int, block: int) -> bytes:
        """Read what is stored of one row (counted from the first) of one block.

        Raises
        ------
        IntegrityError
            It changed since it was written.
        """
        record = self._records[row * self.pieces + block]
        if isinstance(record, _Lost):
            raise self._damaged(record)
        data = self._file.read(record.offset, record.size)
        if crc32c(data) != record.crc:
            raise IntegrityError(
                f"{self.path}: row {record.row} does not match its checksum, at byte "
                f"{record.offset} of the journal"
            )
        return data

    def verify(self) -> Iterator[Damage]:
        """Compare every byte with the checksums."""
        if not self._has_whole_header:
            what = "it is damaged, but the rows read: the next FrameWriter writes it anew"
            yield Damage(self.path, "header", what)
        for row in range(self.rows):
            for block in range(self.pieces):
                try:
                    self.payload(row, block)
                except (FormatError, StorageError) as error:
                    where, refused = f"row {self.start + row}", isinstance(error, StorageError)
                    yield Damage(self.path, where, str(error), refused)


def _parse(data: bytes, at: int) -> _Record | None:
    mark, block, row, since, size, crc, own = _RECORD.unpack(data)
    if mark != _MARK or own != crc32c(data[:-4]):
        return None
    return _Record(block, row, since, at + _RECORD.size, size, crc)


class JournalBlock:
    """A block whose rows are still in a journal: each row of it is one chunk."""

    rows = None

    def __init__(self, journal: Journal, piece: int, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.path, self.dtype = journal.path, dtype
        self.shape = (journal.rows, *shape[1:])
        self.chunk_shape = (1, *shape[1:])
        self.key = f"stack_{len(shape)}D"
        self._journal, self._piece = journal, piece

    def fetch(self, wanted: Sequence[Wanted]) -> ChunkByChunk:
        # Nothing is expected of the disk: what is in a journal was written a moment ago.
        return ChunkByChunk(wanted, self.chunk)

    def chunk(self, cell: Shape) -> NDArray[Any]:
        """Decode a row; it is good until this thread decodes another chunk."""
        stored = StoredChunk(self._journal.payload(cell[0], self._piece))
        return stored.decode(self.dtype, self.chunk_shape)
