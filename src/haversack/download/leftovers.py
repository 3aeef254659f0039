"""What earlier runs left half done below a dataset's directory, and which of it goes.

A run goes on from the parts of the files that it asks for. Others are kept as long as a run may
still want them: not where the file stands there whole (an overwrite was broken off), nor where the
part itself cannot be gone on with, nor for longer than a week. Who removes anything holds the
directory's lease, and touches no directory that has a lease of its own.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from haversack.catalog.table import UNKNOWN_SIZE
from haversack.download.lease import LEASE_NAME
from haversack.download.parts import PartName, boot, read_name, stem_of
from haversack.storage.publish import ABANDONED, is_temporary, sweep

_WEEK = 7 * 24 * 3600.0
_DEPTH = 2  # of the folders that hold assets: COLLECTION/ITEM
_ASIDE = re.compile(rf"{re.escape(LEASE_NAME)}-[0-9a-f]{{16}}")

log = logging.getLogger("haversack.download")


class Left(NamedTuple):
    """A temporary file: its folder, ``/``-separated below the root, and what it is.

    ``part`` is what its name says, None where it is no part.
    """

    folder: str
    name: str
    size: int
    changed: float
    part: PartName | None

    def is_older(self, seconds: float) -> bool:
        """Tell whether nobody has written to it for so long."""
        return self.changed < time.time() - seconds


class Halves(NamedTuple):
    """Bytes that are here of files to be fetched; ``of_known`` are those of files of known size."""

    bytes: int = 0
    of_known: int = 0


def left_in(root: Path) -> Iterator[Left]:
    """Yield the temporary files of runs below a dataset's directory, none through a link."""
    yield from _left_below(root, "", _DEPTH)


def half_files(root: Path) -> tuple[list[int], list[int]]:
    """Give the sizes of half files below a dataset's directory: those to go on with, and others."""
    this_boot, good, useless = boot(), list[int](), list[int]()
    for left in left_in(root):
        if left.part is not None:
            is_good = left.part.may_be_gone_on_with(left.size, this_boot)
            (good if is_good else useless).append(left.size)
    return good, useless


def clear_away(
    root: Path, asked: Iterable[tuple[str, int]] = (), *, dry_run: bool = False
) -> Halves:
    """Remove what no run goes on with, and say how much is here of what is asked for.

    Parameters
    ----------
    root
        A dataset's directory, whose lease is held.
    asked
        Path and size of each file that this run asks for; looked at only where there are parts.
    dry_run
        Remove nothing.
    """
    this_boot, waiting = boot(), defaultdict[tuple[str, str], list[Left]](list)
    useless = []
    for left in left_in(root):
        if left.part is not None and left.part.may_be_gone_on_with(left.size, this_boot):
            waiting[left.folder, left.part.stem].append(left)
        elif left.part is not None or left.is_older(ABANDONED):
            useless.append(left)
    halves = _take_out(waiting, asked)
    if not dry_run:
        for (folder, stem), lefts in waiting.items():
            here = _is_here(root / folder, stem)
            useless += [left for left in lefts if here or left.is_older(_WEEK)]
        _remove(root, useless)
    return halves


def clear_beside(archive: Path) -> None:
    """Remove the parts of a dataset's archive, which is here whole, and forgotten temporaries.

    Other datasets' archives stand there too, so all else stays.
    """
    stem = stem_of(archive.name)
    found = _left_below(archive.parent, "", 0)
    _remove(archive.parent, [left for left in found if left.part and left.part.stem == stem])
    sweep(archive.parent)


def _left_below(root: Path, folder: str, depth: int) -> Iterator[Left]:
    try:
        entries = os.scandir(f"{root}{os.sep}{folder}")  # a path would cost more than the call
    except OSError:
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth:
                    yield from _left_below(root, f"{folder}{entry.name}/", depth - 1)
            elif entry.name.startswith(".") and (left := _look(root, folder, entry)) is not None:
                yield left


def _look(root: Path, folder: str, entry: os.DirEntry[str]) -> Left | None:
    part = read_name(entry.name)
    ours = part is not None or is_temporary(entry.name) or _ASIDE.fullmatch(entry.name)
    with suppress(OSError):
        if ours and entry.is_file(follow_symlinks=False) and not _is_leased(root, folder):
            status = entry.stat(follow_symlinks=False)
            return Left(folder.rstrip("/"), entry.name, status.st_size, status.st_mtime, part)
    return None


def _is_leased(root: Path, folder: str) -> bool:
    """Tell whether a folder below the root, or one above it, has a lease of its own."""
    names = folder.split("/")[:-1]
    above = (root.joinpath(*names[: count + 1]) for count in range(len(names)))
    return any(os.path.lexists(one / LEASE_NAME) for one in above)


def _take_out(
    waiting: dict[tuple[str, str], list[Left]], asked: Iterable[tuple[str, int]]
) -> Halves:
    """Take the parts of files that are asked for out of what waits, and add them up."""
    all_bytes = of_known = 0
    for path, size in asked if waiting else ():
        folder, _, name = path.rpartition("/")
        lefts = waiting.pop((folder, stem_of(name)), None)
        if lefts is not None:
            here = max(left.size for left in lefts)
            all_bytes += here
            of_known += 0 if size == UNKNOWN_SIZE else min(here, size)
    return Halves(all_bytes, of_known)


def _is_here(folder: Path, stem: str) -> bool:
    """Tell whether the file that a part is of stands there whole."""
    with suppress(OSError), os.scandir(folder) as entries:
        return any(
            stem_of(entry.name) == stem and entry.is_file(follow_symlinks=False)
            for entry in entries
        )
    return False


def _remove(root: Path, lefts: list[Left]) -> None:
    for left in lefts:
        with suppress(OSError):  # gone meanwhile, or not ours to remove
            (root / left.folder / left.name).unlink()
            log.info("removed %s: no run goes on with it", root / left.folder / left.name)
