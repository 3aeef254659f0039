"""What a bulk build has done so far, kept in ``build/<id>.json`` so that it can be resumed.

A line for the build, then one for each run that is done, in order. The file is its build's own for
as long as that lives: another build resumes from files of dead ones only, and leaves alone what a
living one has made.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from haversack.errors import ExistsError, HaversackError
from haversack.packed.build.failures import Skipped
from haversack.packed.build.owning import claim, create_owned, disown, identity
from haversack.packed.build.runs import Part, Run
from haversack.packed.chunks.layout import Count
from haversack.packed.encoding.keys import KeyType
from haversack.packed.manifests.kept import kept_chunks
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.manifests.places import BUILDS, CHUNKS, INDEX
from haversack.storage.calls import calls
from haversack.storage.checksum import crc32c
from haversack.storage.publish import (
    TEMPORARY_SUFFIX,
    make_directory,
    names_in,
    storage_error,
    sync_directory,
)

log = logging.getLogger("haversack.packed")
FORMAT: Final = 1
_ATTEMPTS: Final = 10
_PREFIX: Final = b'{"crc32c":"%08x",'
_HEAD: Final = len(_PREFIX % 0)
_LONGEST: Final = 64 << 20  # bytes of a line

BuildId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
Type = Annotated[str, msgspec.Meta(pattern="^(list of )?[a-z]+( datetime)?$", max_length=40)]


class _Part(msgspec.Struct, frozen=True):
    entry: ChunkEntry
    columns: dict[str, Type]


class _Header(msgspec.Struct, frozen=True):
    """The first line: whose notes these are, and all that has to agree to go on from them."""

    format: Literal[1]
    id: BuildId
    parameters: str
    folders: Annotated[int, msgspec.Meta(ge=0, le=1000)]  # that the build made, from the path up


class Note(msgspec.Struct, frozen=True):
    """A run that is done; ``length`` is the count of items of all but the last."""

    first: Count
    count: Count
    length: Count
    chunks: list[_Part]
    key_type: KeyType | None
    marks: str | None
    skipped: list[tuple[Count, str, str]]
    depends: bool  # on the keys of the runs before

    def run(self) -> Run:
        """Give the run as it was."""
        return Run(
            self.first,
            self.count,
            [Part(part.entry, dict(part.columns)) for part in self.chunks],
            self.key_type,
            [Skipped(*values) for values in self.skipped],
            self.marks,
            self.depends,
        )


def _line(value: Any) -> bytes:
    rest = msgspec.json.encode(value)[1:]
    return _PREFIX % crc32c(rest) + rest + b"\n"


class Notes:
    """The notes of this build, and those of dead ones that it goes on from.

    Parameters
    ----------
    root
        Directory of the dataset.
    parameters
        What has to agree for a run to be taken over.
    folders
        How many directories the build made, from ``root`` up.
    """

    def __init__(self, root: Path, parameters: str, folders: int) -> None:
        self.root, self.folders = root, folders
        self.build_id = secrets.token_hex(8)
        self.path = root / BUILDS / f"{self.build_id}.json"
        self._dead: list[_Dead] = []
        self._descriptor = -1
        self.any = False  # whether a run is done
        self._noted: set[str] = set()
        self._begin(_Header(FORMAT, self.build_id, parameters, folders))

    def _begin(self, header: _Header) -> None:
        temporary = self.path.with_name(f".{self.build_id}{TEMPORARY_SUFFIX}")
        for _ in range(_ATTEMPTS):
            try:
                self._make(temporary, _line(header))
            except FileNotFoundError:
                self._close()  # another build took it, or its directory, for a dead one's
            except OSError as error:
                self._close()
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise storage_error("write", self.path, error) from error
            else:
                return
        raise ExistsError(f"{self.root}: other builds of it begin and end too often: try again")

    def _make(self, temporary: Path, line: bytes) -> None:
        """Write the notes; they get their name, under which others look, when they are owned."""
        make_directory(self.path.parent)
        self._descriptor = create_owned(temporary)
        self._write(line)
        temporary.rename(self.path)

    def _write(self, line: bytes) -> None:
        if os.write(self._descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # Dead builds.

    def take_over(self, parameters: str, *, resume: bool) -> dict[int, Note]:
        """Find the runs of dead builds with these parameters, by their first items.

        What cannot be gone on from is removed.
        """
        names = sorted(names_in(self.path.parent))
        for name in names:
            if name.startswith(".") and name.endswith(TEMPORARY_SUFFIX):
                _remove_dead(self.path.with_name(name))
        for name in names:
            dead = _Dead.claim(self.path.with_name(name)) if name.endswith(".json") else None
            if dead is None:
                continue
            self.folders = max(self.folders, dead.header.folders)
            if resume and dead.header.parameters == parameters:
                self._dead.append(dead)
            else:
                log.warning(
                    "%s: an unfinished build of other items or parameters is removed (only the "
                    "same call goes on with one)",
                    self.root,
                )
                self._remove_of(dead.header.id)
                dead.path.unlink(missing_ok=True)
                dead.release()
        theirs = {dead.header.id for dead in self._dead}
        found: dict[int, Note] = {}
        for note in (note for dead in self._dead for note in dead.notes):
            if all(part.entry.id[:16] in theirs for part in note.chunks):
                found.setdefault(note.first, note)
        self._noted = {part.entry.id for note in found.values() for part in note.chunks}
        for build_id in theirs:
            self._remove_of(build_id)
        return found

    def _remove_of(self, build_id: str) -> None:
        """Remove the files that a build has made, but for the chunks that are noted."""
        kept = self._noted | kept_chunks(self.root)
        for folder in (CHUNKS, INDEX):
            for name in names_in(self.root / folder):
                plain = name.removeprefix(".")
                if plain.startswith(build_id) and plain[:32] not in kept:
                    (self.root / folder / name).unlink(missing_ok=True)

    # This build.

    def add(self, run: Run, length: int) -> None:
        """Note that a run is done and what it has made is synced."""
        note = Note(
            run.first,
            run.count,
            length,
            [_Part(part.entry, part.columns) for part in run.parts],
            run.key_type,
            run.marks,
            [(each.number, each.item, each.error) for each in run.skipped],
            run.depends,
        )
        self._noted.update(part.entry.id for part in run.parts)
        try:
            if not self.any:
                sync_directory(self.path.parent)
            self.any = True
            self._write(_line(note))
            (calls.fdatasync or os.fsync)(self._descriptor)
        except OSError as error:
            raise storage_error("write", self.path, error) from error

    def check_owned(self) -> None:
        """Raise unless the notes are still there: who thinks a build dead removes them first."""
        with suppress(OSError):
            status = self.path.stat()
            if (status.st_dev, status.st_ino) == identity(self._descriptor):
                return
        raise ExistsError(f"{self.root}: another build of it has gone on from this one")

    def keep(self) -> None:
        """End the build so that it can be resumed: only what is not noted is removed."""
        with suppress(HaversackError, OSError):
            self._remove_of(self.build_id)
        self._release()

    def withdraw(self) -> None:
        """Tell workers in other processes that the build has ended."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """End the build and remove all that it has made, but for what a version names."""
        self._noted = set()
        with suppress(HaversackError, OSError):
            for build_id in (self.build_id, *(dead.header.id for dead in self._dead)):
                self._remove_of(build_id)
            for dead in self._dead:
                dead.path.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        self._release()
        with suppress(OSError):
            self.path.parent.rmdir()

    def _release(self) -> None:
        for dead in self._dead:
            dead.release()
        self._close()

    def _close(self) -> None:
        disown(self._descriptor)
        self._descriptor = -1


class _Dead:
    """The notes of a build that has ended without an end."""

    def __init__(self, path: Path, descriptor: int, header: _Header, notes: list[Note]) -> None:
        self.path, self._descriptor = path, descriptor
        self.header, self.notes = header, notes

    @classmethod
    def claim(cls, path: Path) -> _Dead | None:
        """Make the notes of a dead build ours; None where it lives, or these are no notes."""
        descriptor = claim(path)
        if descriptor is None:
            return None
        lines = _read(descriptor)
        header = next(lines, None)
        if isinstance(header, _Header) and header.id == path.stem:
            notes = [line for line in lines if isinstance(line, Note)]
            return cls(path, descriptor, header, notes)
        disown(descriptor)
        return None

    def release(self) -> None:
        """Let others have the notes."""
        disown(self._descriptor)
        self._descriptor = -1


def _remove_dead(temporary: Path) -> None:
    """Remove notes of a build that died before they had their name."""
    descriptor = claim(temporary)
    if descriptor is not None:
        temporary.unlink(missing_ok=True)
        disown(descriptor)


def _read(descriptor: int) -> Iterator[_Header | Note]:
    """Read the lines up to the first that is not whole."""
    kind: Any = _Header
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        while (line := file.readline(_LONGEST)).endswith(b"\n"):
            if line[:_HEAD] != _PREFIX % crc32c(line[_HEAD:-1]):
                return
            try:
                yield msgspec.json.decode(line, type=kind)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                return
            kind = Note
