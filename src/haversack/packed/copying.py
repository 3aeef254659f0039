"""Copy records as they are stored, each checked against its checksum on the way.

Nothing is decoded: payloads, kinds, keys and the text of the metadata stay what they are.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.chunk import Chunk
from haversack.packed.drafts import Draft
from haversack.packed.encoding import Stored
from haversack.packed.layout import PAYLOADS
from haversack.packed.snapshot import Snapshot

Rows = NDArray[np.int64]

_AT_ONCE: Final = 4 << 20  # bytes of payloads


def live_rows(snapshot: Snapshot, number: int) -> Rows:
    """List the rows of a chunk that are not deleted."""
    alive = np.ones(snapshot.manifest.chunks[number].rows, bool)
    alive[snapshot.gone_of(number)] = False
    return np.flatnonzero(alive)


def copy_rows(snapshot: Snapshot, number: int, rows: Rows, draft: Draft) -> None:
    """Add some records of a chunk to a draft, in the order in which they are given.

    Raises
    ------
    IntegrityError, FormatError
        One of them is damaged; the draft has those before it.
    """
    chunk = snapshot.chunk(number)
    copy_from(chunk, rows, key_texts(chunk, rows), snapshot.index(number).texts(), draft)


def copy_from(
    chunk: Chunk, rows: Rows, keys: list[bytes | None], texts: list[str], draft: Draft
) -> None:
    """Add rows of a chunk with these keys (of the rows), and the metadata of the whole chunk."""
    block = chunk.uniform and chunk.stride > 0
    step = max(1, _AT_ONCE // chunk.stride) if block else len(rows)
    for start in range(0, len(rows), max(1, step)):
        part = rows[start : start + step]
        chunk.check_many(part)
        chosen = [texts[row] for row in part.tolist()]
        if block:
            stored = Stored(chunk.kinds[0], _block(chunk, part))
            draft.append_block(stored, chunk.crcs[part], keys[start : start + step], chosen)
            continue
        for row, key, text in zip(part.tolist(), keys, chosen, strict=True):
            draft.append_stored(Stored(chunk.kind_of(row), chunk.payload(row)), key, text)


def _block(chunk: Chunk, rows: Rows) -> NDArray[np.uint8]:
    """Give the payloads of rows of a uniform chunk, one behind the other."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and (np.diff(rows) == 1).all():
        return chunk.raw[PAYLOADS + first * chunk.stride : PAYLOADS + (last + 1) * chunk.stride]
    table = chunk.raw[PAYLOADS : PAYLOADS + chunk.rows * chunk.stride]
    return table.reshape(chunk.rows, chunk.stride).take(rows, axis=0).reshape(-1)


def key_texts(chunk: Chunk, rows: NDArray[Any]) -> list[bytes | None]:
    """List the bytes of the keys of some rows."""
    if not chunk.keyed:
        return [None] * len(rows)
    text, stops = chunk.section("key_text"), chunk.section("key_end", chunk.rows)
    held = chunk.section("key_row")
    bounds = np.concatenate([np.zeros(1, np.uint64), stops])
    if int(bounds[-1]) > len(text) or (bounds[1:] < bounds[:-1]).any():
        raise FormatError(f"{chunk.path}: a key lies outside the keys")
    if len(held) and int(held.max()) >= chunk.rows:
        raise FormatError(f"{chunk.path}: a key of row {int(held.max())} of {chunk.rows}")
    keyed = np.zeros(chunk.rows, bool)
    keyed[held] = True
    whole = text.tobytes()
    places = zip(bounds[rows].tolist(), stops[rows].tolist(), keyed[rows].tolist(), strict=True)
    return [whole[start:stop] if has_key else None for start, stop, has_key in places]
