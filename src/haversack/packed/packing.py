"""Build a new packed dataset of many items, published as one version."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Sized
from concurrent.futures import Executor
from typing import Any

from haversack.errors import UsageError
from haversack.events import Progress, silent, task
from haversack.packed.build.failures import Skipped
from haversack.packed.build.making import Making
from haversack.packed.build.portions import Errors, Recipe
from haversack.packed.build.source import Source
from haversack.packed.dataset import PackedDataset, open_packed
from haversack.packed.encoding.encoder import CodecChoice, Encoder
from haversack.packed.manifests.kept import is_packed
from haversack.packed.manifests.publishing import already_there
from haversack.packed.writing.place import check_place
from haversack.storage.looking import as_path


def pack(
    items: Iterable[Any],
    path: str | os.PathLike[str],
    *,
    read: Callable[[Any], Any] | None = None,
    key: Callable[[Any], Any] | str | None = None,
    codec: CodecChoice = "none",
    dedupe: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    errors: Errors = "raise",
    report: Callable[[Skipped], object] | None = None,
    resume: bool = True,
    progress: Progress = None,
    chunk_bytes: int = 1 << 30,
) -> PackedDataset:
    """Build a new packed dataset.

    A build that was killed or interrupted is gone on from when the same is called again: what was
    read before is not read again where the items, their order and the other arguments are the same.
    That a file has changed which an item merely names is not noticed.

    Parameters
    ----------
    items
        Anything that can be iterated over; records keep its order, whatever the number of workers.
    path
        Directory to make.
    read
        Called with each item, gives ``(array, metadata)``, an array or a record of a dataset;
        without it, the items themselves are that. In place of an array, the bytes of a JPEG, PNG
        or TIFF file are taken too, and kept as they are.
    key
        Gives a record's key: called with each item, or the name of a metadata value.
    codec
        As in :class:`PackWriter`.
    dedupe
        Keep equal arrays once in each chunk, as :class:`PackWriter` does.
    workers
        How many read and write at the same time: processes if ``read`` can be sent to them, else
        threads (a message of the logger ``haversack`` says why). By default one for less than
        256 MB or an iterator of unknown length, else one for each processor up to eight.
    executor
        Where they work instead: any :class:`concurrent.futures.Executor`, of this machine or of a
        cluster that sees ``path`` under the same name. It is not shut down.
    errors
        ``raise`` ends the build at the first item that cannot be read or packed, ``skip`` leaves
        out such items.
    report
        Called with each item that is left out; without it, they are logged as warnings.
    resume
        False begins anew where a build was killed.
    progress
        True draws a bar; a callable gets events.
    chunk_bytes
        Size of a chunk file at most, but for its last record. Most are smaller, so that many
        workers have each one of their own.

    Raises
    ------
    ExistsError
        A dataset is there already, or another writer has made one meanwhile.
    HaversackError
        An item cannot be read or packed; the message names it, nothing is left behind, and an
        error of ``read`` itself is its cause.
    WorkerDiedError, StorageError
        A process was killed, or the disk refuses; the same call goes on from what was done.

    Examples
    --------
    >>> import numpy as np
    >>> ds = pack(range(3), "squares", read=lambda n: (np.full(2, n * n), {"n": n}), key="n")
    >>> ds.record(2).data.tolist()
    [4, 4]
    >>> skipped = []
    >>> len(pack([[1], "no array"], "some", errors="skip", report=skipped.append)), len(skipped)
    (1, 1)
    """
    _check(workers, errors, chunk_bytes)
    Encoder(codec)
    root = as_path(path).absolute()
    check_place(root)
    if is_packed(root):
        raise already_there(root)
    total = len(items) if isinstance(items, Sized) else None
    recipe = Recipe(read, key, codec, errors)
    making = Making(root, recipe, chunk_bytes, dedupe=dedupe, report=report)
    try:
        making.begin(resume=resume)
        with task(progress, "pack", total=total, unit="record") as work:
            each = bool(progress) and progress is not silent
            building = making.building(Source(items), total, work, each=each)
            making.go_through(building, workers, executor)
        making.publish()
    except BaseException as error:
        making.give_up(error)
        raise
    making.end()
    return open_packed(root)


def _check(workers: int | None, errors: str, chunk_bytes: int) -> None:
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    if errors not in {"raise", "skip"}:
        raise UsageError(f'errors is "raise" or "skip", not {errors!r}')
    if chunk_bytes < 1:
        raise UsageError(f"chunk_bytes must be positive, not {chunk_bytes}")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(
            "a build is begun by a script that a new worker process has to import: put what the "
            'script does under `if __name__ == "__main__":`'
        )
