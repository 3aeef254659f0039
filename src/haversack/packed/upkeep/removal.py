"""Remove files that nobody needs: what no kept version names, and what killed writers left.

Who cannot tell what is named removes nothing, and journals whose commits no version has stay. What
is younger than a day stays too, as it may belong to a writer that is about to publish it; writers
touch their files when they do.
"""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haversack.errors import FormatError
from haversack.packed.manifests.kept import numbers, read_manifest, read_tags
from haversack.packed.manifests.places import (
    BUILDS,
    CACHE,
    CHUNKS,
    INDEX,
    JOURNALS,
    MANIFESTS,
    TAGS,
    files,
    manifest_path,
)
from haversack.packed.upkeep.strays import stray_journals
from haversack.storage.publish import (
    TEMPORARY_SUFFIX,
    names_in,
    storage_error,
    sync_directory,
)

DAY: Final = 86_400.0
DAMAGED_SUFFIX: Final = ".damaged"
_ID = re.compile(r"[0-9a-f]{32}")
_OURS = {
    CHUNKS: re.compile(r"[0-9a-f]{32}\.chunk"),
    INDEX: re.compile(r"[0-9a-f]{32}(\.\d+\.del|\.parquet)"),
    JOURNALS: re.compile(r"[0-9a-f]{32}\.journal"),
    CACHE: re.compile(r".*"),
    MANIFESTS: re.compile(rf".*{re.escape(DAMAGED_SUFFIX)}"),
    f"{MANIFESTS}/{TAGS}": re.compile(rf".*{re.escape(DAMAGED_SUFFIX)}"),
    BUILDS: re.compile(r"(?!)"),
}


@dataclass(frozen=True, slots=True)
class Removed:
    """Files that were removed, or would be, and how many bytes they took."""

    files: tuple[Path, ...] = ()
    bytes: int = 0
    versions: int = 0  # that were forgotten

    def __add__(self, more: Removed) -> Removed:
        return Removed(
            self.files + more.files, self.bytes + more.bytes, self.versions + more.versions
        )


def remove_files(
    root: Path, *, keep: int | None = None, older_than: float = DAY, dry_run: bool = False
) -> Removed:
    """Remove the files that neither kept versions nor tags nor running builds name.

    Parameters
    ----------
    keep
        How many of the newest versions are kept, beside the tagged ones; None is all there are.
    older_than
        Seconds since a file was written or touched last.

    Raises
    ------
    FormatError
        A manifest, a tag or the record of a build cannot be read; nothing was removed.
    StorageError
        The disk refuses.
    """
    found = numbers(root)
    if not found:
        raise FormatError(f"{root} has no manifest: nothing tells which files are needed")
    forgotten = [] if keep is None else found[:-keep]
    # Both raise, if they have to, before anything is removed.
    named, building = _named(root, set(found).difference(forgotten)), _building(root)
    limit = time.time() - older_than
    if not dry_run:
        _forget(root, forgotten)
    # In this order: what is published after the names were read was touched after the listing.
    candidates = list(_candidates(root, limit))
    if not dry_run:
        named, building = _named(root, set(numbers(root))), _building(root)
    kept = {stray.path for stray in stray_journals(root)}
    doomed = [
        (path, size)
        for path, size in candidates
        if path.relative_to(root) not in named
        and not _is_of(path.name, building)
        and path not in kept
    ]
    gone = doomed if dry_run else [each for each in doomed if _unlink(each[0], limit)]
    return Removed(tuple(path for path, _ in gone), sum(size for _, size in gone), len(forgotten))


def _forget(root: Path, versions: list[int]) -> None:
    try:
        for number in versions:
            manifest_path(root, number).unlink(missing_ok=True)
        for folder in (MANIFESTS, f"{MANIFESTS}/{TAGS}"):
            # Else a power cut could bring back a version whose files are gone.
            if (root / folder).is_dir():
                sync_directory(root / folder)
    except OSError as error:
        raise storage_error("remove versions of", root, error) from error


def _candidates(root: Path, limit: float) -> Iterator[tuple[Path, int]]:
    """List files of ours, and temporaries, that are old enough."""
    for folder, ours in _OURS.items():
        for name in sorted(names_in(root / folder)):
            temporary = name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)
            if temporary or ours.fullmatch(name):
                path = root / folder / name
                try:
                    status = path.lstat()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise storage_error("look at", path, error) from error
                if status.st_mtime < limit and stat.S_ISREG(status.st_mode):
                    yield path, status.st_size


def _named(root: Path, versions: Iterable[int]) -> set[Path]:
    found: set[Path] = set()
    for number in versions:
        with suppress(FileNotFoundError):  # pruned meanwhile
            found.update(files(read_manifest(root, number)))
    for tagged in read_tags(root):
        found.update(files(tagged))
    return found


def _building(root: Path) -> set[str]:
    """List the ids that running builds speak of, and what the names of their own begin with."""
    found: set[str] = set()
    for name in names_in(root / BUILDS):
        path = root / BUILDS / name
        if not name.endswith(".json"):
            continue
        found.add(path.stem)
        try:
            found.update(_ID.findall(path.read_text(errors="replace")))
        except FileNotFoundError:
            continue  # it has ended meanwhile
        except OSError as error:
            raise storage_error("read", path, error) from error
    return found


def _is_of(name: str, building: set[str]) -> bool:
    """Whether a file is of a running build: named by it, or not yet."""
    plain = name.removeprefix(".")
    return plain[:32] in building or any(plain.startswith(build) for build in building)


def _unlink(path: Path, limit: float) -> bool:
    try:
        if path.lstat().st_mtime >= limit:
            return False  # its writer has come back to it
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise storage_error("remove", path, error) from error
    return True
