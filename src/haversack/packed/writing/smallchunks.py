"""Keep small chunks few: a commit that would leave many of them merges neighbours into one.

Without it, a dataset of many small commits would have a chunk for each, and every commit would
write a manifest that names them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from haversack.errors import HaversackError
from haversack.packed.manifests.manifest import ChunkEntry, Manifest, add_columns
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.writing.copying import copy_rows, live_rows
from haversack.packed.writing.drafts import Draft, Finished

SMALL: Final = 16 << 20
MOST: Final = 64  # small chunks that a version may have


def merge_small(
    root: Path, manifest: Manifest, *, small: int = SMALL
) -> tuple[Manifest, Finished | None]:
    """Merge neighbouring chunks of less than ``small`` bytes where a version has too many.

    The order of records stays; deleted rows are left out. Where a chunk is damaged or the disk
    refuses, the version stays as it is: merging only saves work.
    """
    run = _run([_size(entry) for entry in manifest.chunks], small)
    if run is None:
        return manifest, None
    merged = _merged(root, manifest, run)
    if merged is None:
        return manifest, None
    chunks = list(manifest.chunks)
    chunks[run.start : run.stop] = [merged.entry]
    columns = add_columns(manifest.columns, merged.columns)
    return msgspec.structs.replace(manifest, chunks=chunks, columns=columns), merged


def _size(entry: ChunkEntry) -> int:
    return entry.bytes + entry.index_bytes


def _run(sizes: Sequence[int], small: int = SMALL) -> range | None:
    """Choose neighbours to merge: the latest, as far back as they are of like size.

    Taking a chunk in only while it is no larger than twice all behind it makes merged sizes grow
    geometrically, so that a record is copied a few times, not once per commit.

    Examples
    --------
    >>> _run([5] * 64) is None
    True
    >>> _run([100_000_000] + [5] * 65)
    range(1, 66)
    >>> _run([1000] + [5] * 64)
    range(1, 65)
    """
    if sum(size < small for size in sizes) <= MOST:
        return None
    stop = next(at for at in range(len(sizes), 0, -1) if sizes[at - 1] < small)
    start, total = stop - 1, sizes[stop - 1]
    while start > 0 and total < small and sizes[start - 1] <= min(2 * total, small - 1):
        start -= 1
        total += sizes[start]
    return range(start, stop) if stop - start > 1 else _cheapest_pair(sizes, small)


def _cheapest_pair(sizes: Sequence[int], small: int) -> range | None:
    pairs = [
        (first + second, at)
        for at, (first, second) in enumerate(pairwise(sizes))
        if max(first, second) < small
    ]
    return range(min(pairs)[1], min(pairs)[1] + 2) if pairs else None


def _merged(root: Path, manifest: Manifest, run: range) -> Finished | None:
    part = msgspec.structs.replace(manifest, chunks=manifest.chunks[run.start : run.stop])
    snapshot = Snapshot(root, part)
    try:
        draft = Draft(root)
        try:
            for number in range(len(run)):
                copy_rows(snapshot, number, live_rows(snapshot, number), draft)
            return draft.finish(manifest.key_type)
        except BaseException:
            draft.abandon()
            raise
    except HaversackError:
        return None
