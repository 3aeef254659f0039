"""The versions that are kept, by their number or by a tag."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from haversack.errors import FormatError, IntegrityError, PathNotFoundError, VersionGoneError
from haversack.packed.manifests.manifest import Manifest, Tagged, decode
from haversack.packed.manifests.places import MANIFESTS, TAGS, files, manifest_path
from haversack.storage.looking import as_path, read_file
from haversack.storage.publish import names_in

_FRESH: Final = 2_000_000_000  # nanoseconds; the clocks of file systems tick more often
_NAME = re.compile(r"(\d{8,18})\.json")


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Tell whether a directory is a packed dataset.

    Examples
    --------
    >>> is_packed("no/such/place")
    False
    """
    return bool(numbers(as_path(path)))


def numbers(root: Path) -> list[int]:
    """List the versions whose manifests are there, the newest last."""
    names = names_in(root / MANIFESTS)
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def unmoved_since(root: Path) -> int | None:
    """Give the time at which the list of versions last changed, in nanoseconds.

    While it stays the same no version was published. None where it is too fresh to tell: a later
    change could bear the same time.
    """
    try:
        changed = (root / MANIFESTS).stat().st_mtime_ns
    except OSError:
        return None
    return changed if time.time_ns() - changed > _FRESH else None


def read_latest(root: Path) -> Manifest | None:
    """Read the current version, None where there is none yet."""
    while found := numbers(root):
        try:
            return read_manifest(root, found[-1])
        except PathNotFoundError:
            continue  # it was pruned between listing and reading, so there is a newer one
    return None


def read_manifest(root: Path, version: int) -> Manifest:
    """Read one version.

    Raises
    ------
    PathNotFoundError
        There is no such version, or it is no longer kept.
    IntegrityError, FormatError, NewerFormatError
        The file is damaged, is no manifest, or was written by a later haversack.
    StorageError
        The disk refuses.
    """
    path = manifest_path(root, version)
    try:
        data = read_file(path)
    except FileNotFoundError as error:
        raise PathNotFoundError(f"{path} does not exist") from error
    manifest = decode(data, path, Manifest)
    if manifest.version != version:
        raise FormatError(f"{path} is the manifest of version {manifest.version}")
    return manifest


def missing(root: Path, path: Path, rows: int | None = None) -> Exception:
    """Tell a file that no kept version needs from one that is lost, with so many records."""
    with suppress(FormatError):
        if path.name not in {file.name for kept in kept_manifests(root) for file in files(kept)}:
            return VersionGoneError(
                f"{path} was removed with the version that this dataset was opened at: "
                "call refresh()"
            )
    held = "what it held is" if rows is None else f"its {rows} records are"
    return IntegrityError(f"{path} is missing: {held} lost; `haversack repair` keeps the rest")


def read_tags(root: Path) -> list[Tagged]:
    """Read all tags, by name."""
    while True:
        try:
            found = [decode(read_file(path), path, Tagged) for path in tag_paths(root)]
        except FileNotFoundError:
            continue  # one was removed or moved meanwhile; the version may have another
        return sorted(found, key=lambda tagged: tagged.tag)


def tag_paths(root: Path) -> list[Path]:
    """List the files of all tags."""
    folder = root / MANIFESTS / TAGS
    names = sorted(name for name in names_in(folder) if name[0] != "." and name.endswith(".json"))
    return [folder / name for name in names]


def kept_manifests(root: Path) -> Iterator[Manifest]:
    """Read all versions that are kept, by their number or by a tag.

    Tags come last: who tags a version looks afterwards whether its manifest was still there, so
    that a listing sees one or the other.
    """
    for version in numbers(root):
        with suppress(PathNotFoundError):  # it was pruned meanwhile
            yield read_manifest(root, version)
    yield from read_tags(root)


def kept_chunks(root: Path) -> set[str]:
    """List the chunks that any version still kept names."""
    return {entry.id for manifest in kept_manifests(root) for entry in manifest.chunks}
