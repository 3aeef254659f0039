"""Find what can still be told of a deletion list that is damaged or lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from haversack.errors import FormatError
from haversack.packed.chunks.rowtable import Rows
from haversack.packed.manifests.deletions import list_of, read_deletions
from haversack.packed.manifests.kept import kept_manifests
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.storage.looking import read_file
from haversack.storage.mend import mended


def is_damaged_list(root: Path, entry: ChunkEntry) -> bool:
    """Tell whether the list that a version names for a chunk cannot be read."""
    try:
        read_deletions(root, entry)
    except FormatError:
        return True
    return False


def mended_list(path: Path, entry: ChunkEntry) -> Rows | None:
    """Undo the change of one byte of a list, if that is all that is wrong with it."""
    assert entry.deleted is not None
    with suppress(FileNotFoundError, FormatError):
        data = mended(read_file(path), entry.deleted.crc32c)
        if data is not None:
            return list_of(data, path, entry).astype(np.int64)
    return None


def older_list(root: Path, entry: ChunkEntry) -> Rows:
    """Find the longest list of an older version that can be read; lists only grow."""
    best = np.empty(0, np.int64)
    with suppress(FormatError):
        for manifest in kept_manifests(root):
            for older in manifest.chunks:
                if older.id == entry.id:
                    with suppress(FormatError):
                        rows = read_deletions(root, older)
                        best = rows.astype(np.int64) if len(rows) > len(best) else best
    return best
