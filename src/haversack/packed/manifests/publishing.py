"""Publish a version, by linking the next number to its manifest."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from haversack.errors import ExistsError, VersionGoneError
from haversack.packed.manifests.kept import numbers, read_latest
from haversack.packed.manifests.manifest import Manifest, empty_manifest, encode, utc_now
from haversack.packed.manifests.places import manifest_path
from haversack.storage.publish import create

KEPT: Final = 64  # newest manifests, and the commits that each remembers


def already_there(root: Path) -> ExistsError:
    """Say that a dataset that was to be made exists."""
    return ExistsError(f"{root} is a packed dataset already: choose another path, or append to it")


def commit(
    root: Path, change: Callable[[Manifest], Manifest | None], *, first: bool = False
) -> Manifest:
    """Publish the version that ``change`` makes of the current one, again until it stands.

    ``change`` gets the current manifest and gives its successor, whose number, commit and time are
    set here, or None where there is nothing to publish (the current version is given back); it
    raises where it contradicts what others have committed since. The commit
    counts only when the highest manifest names it: a slow writer could otherwise make anew a
    number that was pruned, and acknowledge what nobody will see. With ``first`` it must be the
    dataset's first version: an ExistsError says that another writer made one.
    """
    commit_id = secrets.token_hex(16)
    while True:
        base = read_latest(root)
        if base is not None and commit_id in base.commits:
            return base
        if first and base is not None:
            raise already_there(root)
        version = 1 if base is None else base.version + 1
        earlier = [] if base is None else base.commits[-(KEPT - 1) :]
        try:
            changed = change(base or empty_manifest())
        except VersionGoneError:
            # Others replaced it meanwhile, and its files are removed: theirs is the next to change.
            if read_latest(root) == base:
                raise
            continue
        if changed is None:
            return base or empty_manifest()
        following = msgspec.structs.replace(
            changed,
            version=version,
            commits=[*earlier, commit_id],
            created=utc_now(),
        )
        try:
            create(manifest_path(root, version), encode(following))
        except ExistsError:
            continue
        latest = read_latest(root)
        if latest is not None and commit_id in latest.commits:
            _prune(root, latest.version)
            return following


def _prune(root: Path, version: int) -> None:
    for number in numbers(root):
        if number <= version - KEPT:
            manifest_path(root, number).unlink(missing_ok=True)
