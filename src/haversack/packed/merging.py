"""Put the records of several datasets into one."""

from __future__ import annotations

import os
from collections.abc import Iterable

from haversack.events import Progress
from haversack.packed.dataset import PackedDataset, open_packed
from haversack.packed.extending import OnConflict
from haversack.packed.writer import PackWriter
from haversack.packed.writing.drafts import folders_of
from haversack.storage.looking import as_path


def merge(
    sources: Iterable[PackedDataset | str | os.PathLike[str]],
    path: str | os.PathLike[str],
    *,
    on_conflict: OnConflict = "error",
    append: bool = False,
    chunk_bytes: int = 1 << 30,
    progress: Progress = None,
) -> PackedDataset:
    """Copy the records of some datasets, in their order, into one, as a single version.

    Parameters
    ----------
    sources
        Datasets, selections of them, or their paths.
    path
        Directory to make.
    on_conflict
        What to do where two records have one key: ``error``, ``skip`` the later, or ``replace``
        the earlier.
    append
        Add to the dataset that is there.
    chunk_bytes
        Size at which a chunk file is closed and the next begun.
    progress
        True draws a bar; a callable gets events.

    Raises
    ------
    ExistsError
        A dataset is there already and it is not to ``append``.
    KeyExistsError, UsageError, IntegrityError
        As :meth:`PackWriter.extend`; nothing was added.

    Examples
    --------
    >>> import numpy as np
    >>> from haversack.packed import pack
    >>> north = pack([(np.zeros(2), {"n": 1})], "north", key="n")
    >>> south = pack([(np.ones(2), {"n": 2})], "south", key="n")
    >>> merge([north, "south"], "both").keys()
    [1, 2]
    """
    opened = [s if isinstance(s, PackedDataset) else open_packed(s) for s in sources]
    with (
        folders_of(as_path(path).absolute()),
        PackWriter(path, new=not append, chunk_bytes=chunk_bytes) as writer,
    ):
        for source in opened:
            writer.extend(source, on_conflict=on_conflict, progress=progress)
    return open_packed(path)
