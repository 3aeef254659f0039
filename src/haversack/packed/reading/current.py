"""The current version of a dataset: open it, and tell whether a snapshot still is that."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from haversack.errors import VersionGoneError
from haversack.packed.manifests.kept import read_latest, unmoved_since
from haversack.packed.reading.snapshot import Snapshot


def open_latest(root: Path, before: Snapshot | None = None) -> Snapshot | None:
    """Open the current version, None where there is none yet."""
    while True:
        followed = None if before is None else _followed(before)
        if followed is not None:
            return followed
        since = unmoved_since(root)
        manifest = read_latest(root)
        if manifest is None:
            return None
        with suppress(VersionGoneError):  # its journal was removed meanwhile: there is a newer one
            snapshot = Snapshot(root, manifest, before=before)
            snapshot.since = since
            return snapshot


def _followed(before: Snapshot) -> Snapshot | None:
    """Read the journal of a snapshot on; None where it has ended, so that a version may follow."""
    if before.tail is None or before.tail.ended:
        return None
    with suppress(VersionGoneError):
        snapshot = Snapshot(before.root, before.manifest, before=before)
        if snapshot.tail is not None and not snapshot.tail.ended:
            return snapshot
    return None


def is_current(snapshot: Snapshot) -> bool:
    """Whether nothing was committed since it was opened."""
    tail = snapshot.tail
    if tail is not None and tail.has_grown():
        return False
    if tail is not None and not tail.ended:
        return True  # who publishes a version ends the journal first
    since = unmoved_since(snapshot.root)
    if since is not None and since == snapshot.since:
        return True
    latest = read_latest(snapshot.root)
    if latest is None or latest.commits != snapshot.manifest.commits:
        return False
    snapshot.since = since
    return True
