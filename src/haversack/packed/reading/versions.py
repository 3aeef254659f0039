"""Versions of a dataset that are kept, and the tags by which some are kept for ever."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from haversack.errors import (
    ExistsError,
    FormatError,
    NotFoundError,
    PathNotFoundError,
    UsageError,
    VersionGoneError,
)
from haversack.packed.journal.log import Log, make_durable
from haversack.packed.manifests.kept import (
    is_packed,
    kept_manifests,
    numbers,
    read_manifest,
    read_tags,
)
from haversack.packed.manifests.manifest import Manifest, Tagged, decode, encode
from haversack.packed.manifests.places import BUILDS, journal_path, tag_path
from haversack.packed.reading.current import open_latest
from haversack.packed.reading.snapshot import Snapshot
from haversack.storage.looking import exists, read_file
from haversack.storage.publish import (
    create,
    make_directory,
    names_in,
    replace,
    storage_error,
    sync_directory,
)

_NOTES = re.compile(r"[0-9a-f]{16}\.json")


@dataclass(frozen=True, slots=True)
class Version:
    """A version that can be opened: its number, when it was published, and its names."""

    number: int
    created: str
    records: int
    tags: tuple[str, ...]


def check_finished(root: Path) -> None:
    """Raise where a directory holds what a build has begun, and no version of a dataset yet."""
    if any(map(_NOTES.fullmatch, names_in(root / BUILDS))):
        raise FormatError(
            f"{root} is not a packed dataset yet: a build of it is at work, or was killed; "
            "the same call of pack() goes on with it"
        )


def versions(root: Path) -> list[Version]:
    """List the versions that are kept, the oldest first."""
    tags = defaultdict[tuple[str, int | None], list[str]](list)
    found: dict[tuple[str, int | None], Manifest] = {}
    for manifest in kept_manifests(root):
        identity = (manifest.commits[-1], _end(manifest))
        found.setdefault(identity, manifest)
        if isinstance(manifest, Tagged):
            tags[identity].append(manifest.tag)
    return sorted(
        (
            Version(each.version, each.created, _records(root, each), tuple(tags[identity]))
            for identity, each in found.items()
        ),
        key=lambda version: (version.number, version.records),
    )


def _end(manifest: Manifest) -> int | None:
    """Say up to where a tag reads the journal."""
    return manifest.journal_end if isinstance(manifest, Tagged) else None


def _records(root: Path, manifest: Manifest) -> int:
    if manifest.journal is None:
        return manifest.rows
    return Snapshot(root, manifest, _end(manifest)).rows


def open_version(
    root: Path, version: int | str | None = None, *, before: Snapshot | None = None
) -> Snapshot:
    """Open a version by its number or its tag; None is the current one.

    An earlier snapshot spares reading again what both have.

    Raises
    ------
    PathNotFoundError, FormatError
        There is nothing at the path, or no packed dataset.
    VersionGoneError, NotFoundError
        It has no such version (any more), or no such tag.
    """
    snapshot = open_latest(root, before) if version is None else None
    if snapshot is not None:
        return snapshot
    if not exists(root):
        raise PathNotFoundError(f"{root} does not exist")
    if not is_packed(root):
        check_finished(root)
        raise FormatError(f"{root} is not a packed dataset: it has no manifest")
    if isinstance(version, str):
        manifest: Manifest = _tagged(root, version)
    elif type(version) is int:
        manifest = numbered(root, version)
    else:
        raise UsageError(f"a version is a number or the text of a tag, not {version!r}")
    return Snapshot(root, manifest, _end(manifest))


def open_exactly(root: Path, told: Mapping[str, Any]) -> Snapshot:
    """Open what a snapshot told of itself (``ds.snapshot``), whatever was committed since.

    Raises
    ------
    VersionGoneError
        That version is no longer kept, or the dataset was made anew.
    """
    manifest = numbered(root, told["version"])
    if manifest.commits[-1] != told["commit"]:
        raise VersionGoneError(f"version {told['version']} of {root} is another one: made anew")
    return Snapshot(root, manifest, told["journal"])


def numbered(root: Path, version: int) -> Manifest:
    """Read a version by its number, whether or not a tag keeps it."""
    try:
        return read_manifest(root, version)
    except PathNotFoundError:
        for tagged in read_tags(root):
            if tagged.version == version:
                return tagged
    kept = numbers(root)
    if kept and not 1 <= version <= kept[-1]:
        raise NotFoundError(f"{root} has no version {version}; {_choices(root)}")
    raise VersionGoneError(f"version {version} of {root} is no longer kept; {_choices(root)}")


def _tagged(root: Path, name: str) -> Tagged:
    path = tag_path(root, name)
    try:
        tagged = decode(read_file(path), path, Tagged)
    except FileNotFoundError:
        raise NotFoundError(f"{root} has no tag {name!r}; {_choices(root)}") from None
    if tagged.tag != name:
        raise FormatError(f"{path} is the tag {tagged.tag!r}, not {name!r}")
    return tagged


def _choices(root: Path) -> str:
    kept, tags = numbers(root), [tagged.tag for tagged in read_tags(root)]
    named = f", and the tags {', '.join(map(repr, tags))}" if tags else "; there are no tags"
    return f"it keeps {kept[0]} to {kept[-1]}{named}" if kept else f"it keeps no versions{named}"


def tag_names(root: Path) -> list[str]:
    """Name the tags for people, also where one of them is damaged."""
    try:
        return [tagged.tag for tagged in read_tags(root)]
    except FormatError as error:
        return [str(error)]


def tag(snapshot: Snapshot, name: str, *, move: bool = False) -> None:
    """Keep a version under a name, with as much of its journal as the snapshot has.

    Raises
    ------
    ExistsError
        Another version (or this one) has the tag and it is not to ``move``.
    VersionGoneError
        The version is no longer kept.
    """
    root, manifest = snapshot.root, snapshot.manifest
    path = tag_path(root, _checked(name))
    if not _is_kept(root, manifest, name):
        raise _gone(root, manifest)
    if manifest.journal is not None:
        _make_durable(root, manifest, snapshot.end)
    make_directory(path.parent)
    ours = {"tag": name, "journal_end": snapshot.end}
    data = encode(Tagged(**msgspec.structs.asdict(manifest) | ours))
    if move:
        replace(path, data)
    else:
        try:
            create(path, data)
        except ExistsError:
            raise ExistsError(
                f"{root} has the tag {name!r} already: move it (move=True), or take another name"
            ) from None
    # Only now a look at the manifest tells that no removal of files overlooked this tag.
    if not _is_kept(root, manifest, name):
        path.unlink(missing_ok=True)
        raise _gone(root, manifest)


def _make_durable(root: Path, manifest: Manifest, end: int | None) -> None:
    """Make durable what a snapshot has of a journal; what is behind that may be damaged."""
    journal = manifest.journal or ""
    log = Log(journal_path(root, journal), journal)
    try:
        log.read_on(end)
        make_durable(log)
    except FileNotFoundError:
        raise _gone(root, manifest) from None


def untag(root: Path, name: str) -> None:
    """Remove a tag.

    Raises
    ------
    NotFoundError
        There is no such tag.
    """
    path = tag_path(root, _checked(name))
    try:
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        raise NotFoundError(f"{root} has no tag {name!r}; {_choices(root)}") from None
    except OSError as error:
        raise storage_error("remove", path, error) from error


def _checked(name: str) -> str:
    if not name:
        raise UsageError("a tag is text of at least one character")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the tag {name!r} is not valid Unicode text: {error.reason}") from error
    return name


def _is_kept(root: Path, manifest: Manifest, name: str) -> bool:
    """Whether the version is kept by its number or by another tag."""
    commit = manifest.commits[-1]
    try:
        return read_manifest(root, manifest.version).commits[-1] == commit
    except (PathNotFoundError, FormatError):
        return any(each.commits[-1] == commit for each in read_tags(root) if each.tag != name)


def _gone(root: Path, manifest: Manifest) -> VersionGoneError:
    return VersionGoneError(
        f"version {manifest.version} of {root} is no longer kept: tag a newer one after refresh()"
    )
