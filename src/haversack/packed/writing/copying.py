"""Copy records as they are stored, each checked against its checksum on the way.

Nothing is decoded: payloads, kinds, keys and the text of the metadata stay what they are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.chunks.layout import PAYLOADS
from haversack.packed.chunks.reader import Chunk
from haversack.packed.chunks.rowtable import Rows
from haversack.packed.encoding.encoder import Stored
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.writing.drafts import Draft

_AT_ONCE: Final = 4 << 20  # bytes of payloads
_MANY: Final = 4096  # rows


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
    chunk, index = snapshot.chunk(number), snapshot.index(number)
    stride = chunk.kinds[0].nbytes if chunk.uniform else 0
    block = stride > 0 and not chunk.shares
    step = max(1, _AT_ONCE // stride) if block else _MANY
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        chunk.check_many(part)
        keys, texts = key_texts(chunk, part), index.texts_of(part)
        if block:
            stored = Stored(chunk.kinds[0], _block(chunk, part))
            draft.append_block(stored, chunk.section("crc")[part], keys, texts)
            continue
        for row, key, text in zip(part.tolist(), keys, texts, strict=True):
            stored = Stored(chunk.kind_of(row), chunk.payload(row))
            draft.append_stored(stored, key, text, chunk.sharing(row))


def _block(chunk: Chunk, rows: Rows) -> NDArray[np.uint8]:
    """Give the payloads of rows of a uniform chunk, one behind the other."""
    first, last, stride = int(rows[0]), int(rows[-1]), chunk.kinds[0].nbytes
    if last - first + 1 == len(rows) and (np.diff(rows) == 1).all():
        return chunk.raw[PAYLOADS + first * stride : PAYLOADS + (last + 1) * stride]
    table = chunk.raw[PAYLOADS : PAYLOADS + chunk.rows * stride]
    return table.reshape(chunk.rows, stride).take(rows, axis=0).reshape(-1)


def key_texts(chunk: Chunk, rows: Rows) -> list[bytes | None]:
    """List the bytes of the keys of some rows, None for those without one."""
    if not chunk.keyed or not len(rows):
        return [None] * len(rows)
    text, stops = chunk.section("key_text"), chunk.section("key_end")
    starts, ends = np.where(rows > 0, stops[rows - 1], 0), stops[rows]
    first, last = int(starts.min()), int(ends.max())
    if last > len(text) or (starts > ends).any():
        raise FormatError(f"{chunk.path}: a key lies outside the keys")
    near, empty = text[first:last].tobytes(), chunk.find(b"")
    return [
        near[start - first : stop - first] if stop > start or row == empty else None
        for row, start, stop in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)
    ]
