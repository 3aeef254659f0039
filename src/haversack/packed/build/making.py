"""A build from its beginning to its end: what it notes, publishes, and leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from haversack import events
from haversack.errors import ExistsError, KeyExistsError
from haversack.packed.build import runs as lengths
from haversack.packed.build.building import Building
from haversack.packed.build.failures import Failure, Skipped
from haversack.packed.build.marks import mark, mark_callable
from haversack.packed.build.notes import Note, Notes
from haversack.packed.build.portions import Recipe
from haversack.packed.build.runs import Job, Part, Run, other_type
from haversack.packed.build.source import Source
from haversack.packed.build.unique import UniqueKeys, all_keys, leave_out
from haversack.packed.encoding.keys import KeyType, key_from_bytes
from haversack.packed.manifests.kept import read_latest
from haversack.packed.manifests.manifest import Manifest, add_columns
from haversack.packed.manifests.places import BUILDS, FOLDERS
from haversack.packed.manifests.publishing import already_there
from haversack.packed.writing.drafts import make_folders
from haversack.packed.writing.sealing import drop_unnamed, publish
from haversack.packed.writing.smallchunks import SMALL, merge_small
from haversack.storage.looking import exists
from haversack.storage.publish import storage_error

log = logging.getLogger("haversack.packed")
Report = Callable[[Skipped], object] | None


class Making:
    """One build of a dataset.

    Parameters
    ----------
    root
        Directory to make.
    dedupe
        Keep equal payloads of a chunk once.
    report
        Is told of items that are skipped.
    """

    def __init__(
        self,
        root: Path,
        recipe: Recipe,
        chunk_bytes: int,
        *,
        dedupe: bool = False,
        report: Report = None,
    ) -> None:
        self._root, self._recipe, self._chunk_bytes = root, recipe, chunk_bytes
        self._dedupe = dedupe
        self._report = report or _warn
        self._levels = _missing([root, *root.parents])
        self._folders = _missing([root / name for name in (BUILDS, *reversed(FOLDERS))])
        self._parameters = _parameters(recipe, chunk_bytes, dedupe)
        self._keys = UniqueKeys(root)
        self._key_type: KeyType | None = None
        self._parts: list[Part] = []
        self._merged: list[str] = []
        self._notes: Notes | None = None
        self._found: dict[int, Note] = {}
        self._building: Building | None = None
        self._told = False  # whether it was said that items cannot be compared
        self._spoiled = False  # whether to go on would end in the same way

    def begin(self, *, resume: bool) -> None:
        """Make the directories, and find what dead builds have left."""
        notes = self._notes = Notes(self._root, self._parameters, len(self._levels))
        found = notes.take_over(self._parameters, resume=resume)
        if read_latest(self._root) is not None:
            self._spoiled = True
            raise already_there(self._root)
        self._found = found
        if notes.folders > len(self._levels):
            self._levels = [self._root, *self._root.parents][: notes.folders]
            self._folders = [self._root / name for name in (BUILDS, *reversed(FOLDERS))]

    def building(
        self, source: Source, total: int | None, work: events.Task, *, each: bool
    ) -> Building:
        """Make ready to go through the items."""
        assert self._notes is not None
        job = Job(
            self._root,
            self._notes.build_id,
            self._recipe,
            self._chunk_bytes,
            self._notes.path,
            self._dedupe,
        )
        self._building = Building(job, source, total, self._found, work, each=each)
        return self._building

    def go_through(self, building: Building, workers: int | None, executor: Any) -> None:
        """Do all runs, check and note each."""
        with closing(building.runs(workers, executor)) as runs:
            for run in runs:
                self._add(run, building)
        if building.taken_over:
            log.info("%s: %d items were packed before", self._root, building.taken_over)

    def _add(self, run: Run, building: Building) -> None:
        if run.trouble is not None:
            raise run.trouble
        if run.failure is not None:
            self._spoiled = True
            raise run.failure.named() from run.failure.error
        self._settle_keys(run)
        self._keys.add(run)
        for skipped in run.skipped:
            self._report(skipped)
        self._parts += run.parts
        assert self._notes is not None
        self._notes.add(run, building.length)
        if run.marks is None and self._recipe.read is not None and not self._told:
            self._told = True
            log.info(
                "%s: items such as %d cannot be compared: they would be read again if this build "
                "was killed",
                self._root,
                run.first,
            )

    def _settle_keys(self, run: Run) -> None:
        """Leave out records whose keys cannot stand beside those of earlier runs, or give up."""
        failures = self._wrong_keys(run)
        if failures and self._recipe.errors == "raise":
            self._spoiled = True
            first = failures[min(failures)]
            raise first.named() from first.error
        if failures:
            leave_out(self._root, run, failures)
        self._key_type = self._key_type or run.key_type

    def _wrong_keys(self, run: Run) -> dict[tuple[int, int], Failure]:
        """Find wrong keys by part and row."""
        if run.key_type is None:
            return {}
        if self._key_type not in {None, run.key_type}:
            wrong, error = all_keys(self._root, run), _other_type(self._key_type, run.key_type)
        else:
            wrong, error = self._keys.taken(run), _given_before
        numbers, starts = run.numbers(), run.starts()
        failures = {}
        for part, row, text in wrong:
            key = key_from_bytes(text, run.key_type)
            number = numbers[starts[part] + row]
            failures[part, row] = Failure(number, f"key {key!r}", error(key))
        return failures

    def publish(self) -> None:
        """Make the dataset's first version of what was built."""
        assert self._notes is not None
        published: Manifest | None = None
        try:
            self._notes.check_owned()
            make_folders(self._root)
            published = publish(self._root, self._following, first=True)
        except ExistsError:
            self._spoiled = True
            raise
        except OSError as error:
            raise storage_error("publish", self._root, error) from error
        finally:
            drop_unnamed(self._root, self._merged, published)

    def _following(self, base: Manifest) -> Manifest:
        columns: dict[str, list[str]] = {}
        for part in self._parts:
            columns = add_columns(columns, part.columns)
        entries = [part.entry for part in self._parts]
        manifest = msgspec.structs.replace(
            base, chunks=entries, columns=columns, key_type=self._key_type
        )
        small = min(SMALL, self._chunk_bytes)  # what is as large as was asked for is not small
        merged: Any = True
        while merged:
            manifest, merged = merge_small(self._root, manifest, small=small)
            self._merged += [merged.entry.id] if merged else []
        return manifest

    def end(self) -> None:
        """Remove what the dataset does not need."""
        assert self._notes is not None
        self._notes.remove()

    def give_up(self, error: BaseException) -> None:
        """Remove what was made; unless it failed by itself, keep what can be gone on from."""
        notes = self._notes
        if notes is not None and notes.any and not self._spoiled:
            notes.keep()
            error.add_note(
                f"What was packed of {self._root} is kept: the same call goes on from there."
            )
            return
        if notes is not None:
            notes.withdraw()
            if self._building is not None and not isinstance(error, KeyboardInterrupt):
                self._building.settle()
            notes.remove()
        _clear_away(self._folders, self._levels)


def _warn(skipped: Skipped) -> None:
    log.warning("left out: %s", skipped)


def _given_before(key: Any) -> Exception:
    return KeyExistsError(f"the key {key!r} was given before")


def _other_type(held: KeyType | None, kind: KeyType) -> Callable[[Any], Exception]:
    return lambda key: other_type(key, held or "", kind)


def _parameters(recipe: Recipe, chunk_bytes: int, dedupe: bool) -> str:
    """Write down all that has to be the same to go on from a killed build."""
    digest = blake2b(digest_size=16)
    digest.update(mark((lengths.SMALLEST, lengths.LARGEST, lengths.UNKNOWN, chunk_bytes, dedupe)))
    for given in (recipe.read, recipe.key, recipe.codec):
        digest.update(mark_callable(given))
    return digest.hexdigest()


def _missing(paths: list[Path]) -> list[Path]:
    return [path for path in paths if not exists(path)]


def _clear_away(folders: list[Path], levels: list[Path]) -> None:
    """Remove those directories of a build that published nothing which hold nothing."""
    for folder in (*folders, *levels):
        with suppress(OSError):
            folder.rmdir()
