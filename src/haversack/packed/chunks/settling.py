"""Hold raw records back for a moment, until it is known by which codec they are stored."""

from __future__ import annotations

from typing import Any, Final

from haversack.packed.chunks.writer import ChunkWriter, Sealed
from haversack.packed.encoding.auto import Auto, Sort, encode_as, is_raw, sort_of
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.kinds import Kind

HELD: Final = 4 << 20  # bytes of records that may wait
OVERHEAD: Final = 512  # bytes that one takes beside its own


class Settler:
    """What stands before a chunk and gives it raw records as they are found to be best.

    Their order stays, and so do the rows of their keys.
    """

    def __init__(self, writer: ChunkWriter, auto: Auto) -> None:
        self._writer, self._auto = writer, auto
        self._held: list[tuple[Stored, Any]] = []
        self._held_bytes = 0
        self._waiting: set[Sort] = set()  # sorts of held records that are not settled
        # The last kind whose sort is settled, and the one as which it is stored.
        self._known: Kind | None = None
        self._becomes: Kind | None = None

    @property
    def size(self) -> int:
        """Bytes of payload so far."""
        return self._writer.size + self._held_bytes

    def append(self, stored: Stored, key: bytes | None, same: Any = None) -> None:
        """Add a record as the next row, now or when its codec is known."""
        if self._held or stored.kind is not self._known:
            if not self._ready(stored):
                self._hold(stored, key, same)
                return
            self._release()
        self._writer.append(self._settled(stored), key, same)

    def _ready(self, stored: Stored) -> bool:
        """Tell whether this record and all that are held can be written now."""
        if is_raw(stored.kind):
            change = self._waiting.discard if self._auto.knows(stored) else self._waiting.add
            change(sort_of(stored.kind))
        return not self._waiting or self._held_bytes + _cost(stored) > HELD

    def _hold(self, stored: Stored, key: bytes | None, same: Any) -> None:
        if key is not None:
            self._writer.keys[key] = self._writer.rows + len(self._held)
        # The caller may change the array as soon as this returns.
        self._held.append((Stored(stored.kind, stored.payload.copy()), same))
        self._held_bytes += _cost(stored)

    def _release(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        self._waiting.clear()
        for stored, same in held:
            self._writer.append(self._settled(stored), None, same)

    def _settled(self, stored: Stored) -> Stored:
        kind = stored.kind
        if not is_raw(kind):
            return stored
        becomes = self._becomes
        if becomes is None or kind is not self._known:
            becomes, settled = self._auto.becomes(kind)
            self._becomes, self._known = becomes, kind if settled else None
        return encode_as(stored, becomes)

    def seal(self) -> Sealed:
        """Write what is held, and seal the chunk."""
        try:
            self._release()
        except BaseException:
            self._writer.abandon()
            raise
        return self._writer.seal()


def _cost(stored: Stored) -> int:
    return len(stored.payload) + OVERHEAD
