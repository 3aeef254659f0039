"""Publish versions: each new one first ends the journal of the one before and seals its records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from haversack.errors import HaversackError, IntegrityError
from haversack.packed.encoding.metadata import loads
from haversack.packed.journal.log import Journal, make_journal
from haversack.packed.journal.replay import Replay
from haversack.packed.manifests.deletions import with_deletions
from haversack.packed.manifests.kept import kept_chunks, read_latest
from haversack.packed.manifests.manifest import Manifest, add_columns
from haversack.packed.manifests.places import CHUNKS, INDEX, journal_path
from haversack.packed.manifests.publishing import commit
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.writing.drafts import Draft, Finished, discard
from haversack.storage.publish import storage_error, sync_above, sync_directory


class _Sealed(NamedTuple):
    """A version without its journal, and the chunk that the journal's records have become."""

    manifest: Manifest
    chunk: Finished | None


def publish(
    root: Path,
    change: Callable[[Manifest], Manifest],
    *,
    first: bool = False,
    unless: Callable[[Manifest], bool] | None = None,
) -> Manifest:
    """Publish the version that ``change`` makes of the current one, whose journal is sealed.

    As :func:`publishing.commit`; the version that ``change`` gets has no journal. Where ``unless``
    holds of the current version, that one is left as it is, and given back.
    """
    sealed: dict[str, _Sealed] = {}

    def following(base: Manifest) -> Manifest | None:
        if unless is not None and unless(base):
            return None
        if base.journal is not None and base.journal not in sealed:
            sealed[base.journal] = _seal(root, base)
        changed = change(sealed[base.journal].manifest if base.journal else base)
        for folder in (CHUNKS, INDEX):
            sync_directory(root / folder)
        if not base.commits:
            sync_directory(root)
            sync_above(root)  # which another writer, now dead, may have made
        return changed

    published: Manifest | None = None
    try:
        published = commit(root, following, first=first)
    except OSError as error:
        if isinstance(error, HaversackError):
            raise
        raise storage_error("publish", root, error) from error
    finally:
        drop_unnamed(root, {e.chunk.entry.id for e in sealed.values() if e.chunk}, published)
    return published


def _seal(root: Path, base: Manifest) -> _Sealed:
    """Turn a journal into a chunk of the same records, and deletion lists."""
    assert base.journal is not None
    try:
        # Its end must outlive the version that names it: what has none is taken for unsealed.
        journal = Journal(root, base, ending=True)
    except FileNotFoundError:
        raise _lost(root, base.journal) from None
    journal.close()
    return _as_chunk(root, base, journal.replay)


def _lost(root: Path, journal_id: str) -> IntegrityError:
    return IntegrityError(
        f"{journal_path(root, journal_id)} is missing: what it held is lost; "
        "`haversack repair` goes on without it"
    )


def _as_chunk(root: Path, base: Manifest, replay: Replay) -> _Sealed:
    manifest = msgspec.structs.replace(base, journal=None, key_type=replay.key_type)
    if replay.doomed:
        manifest = with_deletions(root, manifest, by_chunk(base, replay))
    live = [row for number, row in enumerate(replay.rows) if number not in replay.dead]
    if not live:
        return _Sealed(manifest, None)
    draft = Draft(root)
    try:
        for stored, key, text in live:
            draft.append(stored, key, text, loads(text))
        chunk = draft.finish(replay.key_type)
    except BaseException:
        draft.abandon()
        raise
    columns = add_columns(manifest.columns, chunk.columns)
    chunks = [*manifest.chunks, chunk.entry]
    return _Sealed(msgspec.structs.replace(manifest, chunks=chunks, columns=columns), chunk)


def by_chunk(base: Manifest, replay: Replay) -> dict[int, list[int]]:
    """Sort the rows of the chunks that a journal deletes: number of the chunk -> rows."""
    place = Snapshot(Path(), msgspec.structs.replace(base, journal=None)).place
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row in replay.doomed:
        number, inside = place(row)
        rows[number].append(inside)
    return rows


def start_journal(root: Path, ended: str | None = None) -> Journal:
    """Open the current journal; make one where there is none, or only that which has ended."""
    while True:
        manifest = _with_journal(root, ended)
        assert manifest.journal is not None
        try:
            journal = Journal(root, manifest)
        except FileNotFoundError:
            latest = read_latest(root)
            if latest is not None and latest.journal == manifest.journal:
                raise _lost(root, manifest.journal) from None
            continue
        if not journal.replay.ended:
            return journal
        journal.close()
        ended = manifest.journal


def _with_journal(root: Path, ended: str | None) -> Manifest:
    def has_one(base: Manifest) -> bool:
        return base.journal not in {None, ended}

    latest = read_latest(root)
    if latest is not None and has_one(latest):
        return latest
    fresh = make_journal(root)
    published = publish(
        root, lambda base: msgspec.structs.replace(base, journal=fresh), unless=has_one
    )
    if published.journal != fresh:
        journal_path(root, fresh).unlink(missing_ok=True)
    return published


def drop_unnamed(root: Path, chunk_ids: Iterable[str], published: Manifest | None = None) -> None:
    """Remove those of some chunks that no version names which is kept.

    What was published once, others may read until its version is pruned; and a commit that
    failed may stand all the same.
    """
    mine = set(chunk_ids)
    if published is not None:
        mine.difference_update(entry.id for entry in published.chunks)
    if mine:
        with suppress(HaversackError, OSError):  # who cannot tell what is named removes nothing
            discard(root, mine - kept_chunks(root))
