"""Journals whose commits no version has: the manifest that named them is lost.

A journal has no commits before a manifest names it, and has ended, durably, before a version
without it is published. So one that has commits and no end, and that no manifest names, was named
by one that is gone.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from haversack.errors import FormatError
from haversack.packed.journal import frames
from haversack.packed.journal.frames import Frame
from haversack.packed.journal.log import Log
from haversack.packed.manifests.kept import numbers, tag_paths
from haversack.packed.manifests.manifest import Manifest, Tagged, decode
from haversack.packed.manifests.places import JOURNALS, journal_path, manifest_path
from haversack.storage.looking import read_file, refuse_endless
from haversack.storage.publish import names_in, storage_error

_NAME = re.compile(r"([0-9a-f]{32})\.journal")
MARK: Final = 16  # digits of its id with which the ids of chunks begin that were made of it
_END: Final = 4096  # bytes in which a journal that has ended most often says so


class Stray(NamedTuple):
    """A journal that no version names, and its commits; ``last`` if nothing was written later."""

    id: str
    log: Log
    commits: list[Frame]
    last: bool

    @property
    def path(self) -> Path:
        return self.log.path


def stray_journals(root: Path) -> list[Stray]:
    """Find the journals whose commits no version has, in the order in which they were written."""
    ids = [match[1] for name in names_in(root / JOURNALS) if (match := _NAME.fullmatch(name))]
    found: list[Stray] = []
    for _ in range(2):  # a writer may have named one meanwhile, or ended it
        named = _named(root)
        unnamed = [each for each in ids if not named.intersection((each, each[:MARK]))]
        found = [stray for each in unnamed if (stray := _stray(root, each)) is not None]
        ids = [stray.id for stray in found]
        if not ids:
            break
    return sorted(found, key=lambda stray: (_written(stray.path), stray.id))


def _named(root: Path) -> set[str]:
    """List the journals that versions name, and how chunks begin that were made of journals."""
    kinds: list[tuple[Path, type[Manifest]]] = [
        *((manifest_path(root, number), Manifest) for number in numbers(root)),
        *((path, Tagged) for path in tag_paths(root)),
    ]
    found: set[str] = set()
    for path, kind in kinds:
        with suppress(FormatError, FileNotFoundError):
            manifest = decode(read_file(path), path, kind)
            found.update(entry.id[:MARK] for entry in manifest.chunks)
            found.add(manifest.journal or "")
    return found


def _stray(root: Path, journal_id: str) -> Stray | None:
    log = Log(journal_path(root, journal_id), journal_id)
    with suppress(FormatError, FileNotFoundError):  # nobody's; removed meanwhile
        if not _says_so_at_its_end(log.path, journal_id):
            commits = log.salvage()
            if commits and not log.ended:
                return Stray(journal_id, log, commits, _is_last(root, log.path))
    return None


def _is_last(root: Path, path: Path) -> bool:
    manifests = (manifest_path(root, number) for number in numbers(root))
    folder = root / JOURNALS
    journals = (folder / name for name in names_in(folder) if _NAME.fullmatch(name))
    return _written(path) == max(map(_written, (*manifests, *journals)))


def _says_so_at_its_end(path: Path, journal_id: str) -> bool:
    """Tell whether the last frame ends the journal, without reading all of it."""
    try:
        refuse_endless(path)
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _END))
            data = file.read(_END)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error("read", path, error) from error
    frame = frames.decode(data, max(0, data.rfind(frames.FRAME_MAGIC)), 0, journal_id, path)
    return frame is not None and any(each.op == "end" for each in frame.operations)


def _written(path: Path) -> int:
    """Say when a file was written last, in nanoseconds."""
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
