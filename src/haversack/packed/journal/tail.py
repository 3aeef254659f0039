"""The records of a journal, as a snapshot reads them: held in memory, which they hardly fill."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, IntegrityError
from haversack.packed.chunks.reader import Array
from haversack.packed.encoding import images
from haversack.packed.encoding.codecs import decoder
from haversack.packed.encoding.keys import Key, KeyType, key_from_bytes
from haversack.packed.encoding.kinds import Kind, as_bytes, common
from haversack.packed.encoding.metadata import loads
from haversack.packed.journal.log import Log
from haversack.packed.journal.replay import Replay, Row
from haversack.packed.manifests.kept import missing
from haversack.packed.manifests.manifest import ChunkEntry, Manifest
from haversack.packed.manifests.places import journal_path
from haversack.storage.publish import storage_error

Positions = NDArray[np.int64]


class _Reader:
    """A journal and its records, read on from time to time by snapshots that follow each other."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.id = manifest.journal or ""
        self.log = Log(journal_path(root, self.id), self.id)
        self.replay = Replay(manifest)
        self.lock = threading.Lock()

    def read_on(self, stop: int | None) -> None:
        for frame in self.log.read_on(stop):
            self.replay.apply(frame)
        self.log.check()


class Tail:
    """The records that a journal adds to the chunks of a version; see :class:`parts.Part`.

    Parameters
    ----------
    root, manifest
        The dataset, and the version that names the journal.
    stop
        Where to stop in it; by default it is read to its end.
    before
        An earlier one of the same journal, which is read on.

    Attributes
    ----------
    end
        How many bytes of the journal were read.
    ended
        Whether the journal ends there, so that a version may follow it.
    dead
        Which of the rows are deleted.
    doomed
        Which rows of the chunks are, counted over all of them.
    """

    entries: Sequence[ChunkEntry] = ()

    def __init__(
        self, root: Path, manifest: Manifest, stop: int | None = None, before: Tail | None = None
    ) -> None:
        self.path = journal_path(root, manifest.journal or "")
        reader: _Reader | None = before.reader if before is not None and stop is None else None
        if reader is None or reader.id != manifest.journal:
            reader = _Reader(root, manifest)
        self.reader: _Reader = reader
        with reader.lock:
            try:
                reader.read_on(stop)
            except FileNotFoundError:
                raise missing(root, self.path) from None
            self._capture(reader)
        if stop is not None and self.end != stop:
            raise IntegrityError(f"{self.path} was longer when this dataset was opened")

    def _capture(self, reader: _Reader) -> None:
        """Keep what there is now; others may read on."""
        replay = reader.replay
        self._rows, self.rows = replay.rows, len(replay.rows)
        self.starts = [0, self.rows]
        self.dead, self.doomed = frozenset(replay.dead), frozenset(replay.doomed)
        self.key_type: KeyType | None = replay.key_type
        self.ended = replay.ended
        self.end, self.torn = reader.log.end, reader.log.torn
        self._found: dict[bytes, int] | None = None

    def has_grown(self) -> bool:
        """Whether the journal has more bytes than were read."""
        try:
            return self.path.stat().st_size != self.end + self.torn
        except FileNotFoundError:
            return True
        except OSError as error:
            raise storage_error("look at", self.path, error) from error

    def deleted_rows(self, first: int) -> Positions:
        """List all deleted rows, ascending; those of the journal count from ``first``."""
        rows = [*self.doomed, *(first + row for row in self.dead)]
        return np.sort(np.array(rows, np.int64))

    def live(self) -> list[int]:
        """List the rows that are not deleted."""
        return [row for row in range(self.rows) if row not in self.dead]

    def read(self, position: int) -> Array:
        stored = self._rows[position].stored
        out = np.empty(stored.kind.shape, stored.kind.dtype)
        self._decode(position, out)
        out.flags.writeable = False
        return out

    def peek(self, position: int) -> Array | None:
        """Give a record, None where it is an image that is not decoded yet."""
        return self.read(position) if self.file(position) is None else None

    def file(self, position: int) -> Array | None:
        """Give the bytes of an image file that was packed as such, None of other records."""
        kind, payload = self._rows[position].stored
        return payload if kind.codec in images.NAMES else None

    def locate(self, positions: Positions) -> Positions:
        return positions

    def kind(self, positions: Positions) -> Kind | None:
        return common(self._rows[row].stored.kind for row in positions.tolist())

    def take_into(self, positions: Positions, out: Array) -> None:
        for slot, row in enumerate(positions.tolist()):
            self._decode(row, out[slot, ...])

    def copies(self, positions: Positions) -> list[Array]:
        return [self.read(row).copy() for row in positions.tolist()]

    def _decode(self, row: int, out: Array) -> None:
        kind, payload = self._rows[row].stored
        if kind.nbytes == 0:
            return
        if kind.codec == "none":
            as_bytes(out)[...] = payload
            return
        try:
            decoder(kind.codec).decode_into(payload, out)
        except FormatError as error:
            raise FormatError(f"{self.path}: record {row} of the journal: {error}") from error

    # Keys and metadata.

    def row(self, row: int) -> Row:
        """Give a record as it is stored."""
        return self._rows[row]

    def find(self, key: bytes) -> int | None:
        """Find the live row of a key."""
        reader = self.reader
        with reader.lock:
            if reader.log.end == self.end:  # nobody has read on since
                row = reader.replay.holder(key, None)
                return row if row is not None and row >= 0 else None
        if self._found is None:
            keys = ((self._rows[row].key, row) for row in self.live())
            self._found = {key: row for key, row in keys if key is not None}
        return self._found.get(key)

    def key(self, row: int) -> Key | None:
        """Give the key of a row, None if it has none."""
        data = self._rows[row].key
        kind = self.key_type
        return None if data is None or kind is None else key_from_bytes(data, kind)

    def texts(self) -> list[str]:
        """Give the metadata of all rows as JSON."""
        return [row.text for row in self._rows[: self.rows]]

    def metadata(self, row: int) -> dict[Any, Any]:
        """Give the metadata of one row."""
        return loads(self._rows[row].text)
