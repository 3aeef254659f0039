"""Find what is whole of journals: of a version's own, and of those that no version names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from haversack.errors import FormatError, HaversackError, IntegrityError
from haversack.packed.encoding.keys import KeyType
from haversack.packed.journal.log import Log, end_journal
from haversack.packed.journal.replay import Outcome, Replay, Row
from haversack.packed.manifests.manifest import Manifest
from haversack.packed.manifests.places import journal_path
from haversack.packed.upkeep.strays import Stray
from haversack.packed.writing.sealing import by_chunk
from haversack.storage.damage import Damage


@dataclass(slots=True)
class Taken:
    """The live records of a stray journal, and its keys that are in use without it.

    What was done last to a key decides: a journal that is the last takes its keys from all others,
    and any other leaves them to those who have used them since it was lost.
    """

    stray: Stray
    replay: Replay
    rows: list[Row]
    contested: set[bytes] = field(default_factory=set)

    def settle(self) -> Damage:
        """Give up records whose keys are in use, and say what becomes of the journal."""
        self.rows = [row for row in self.rows if row.key not in self.contested]
        what = (
            f"no version names it, as its manifest is lost: {len(self.rows)} records of its "
            f"{len(self.stray.commits)} commits are taken back"
        )
        if self.contested:
            what += f", but nothing that it did to {len(self.contested)} keys that are in use"
        return Damage(self.stray.path, "", what)


class Rescued:
    """What is whole of some journals.

    Parameters
    ----------
    manifest
        The version that is repaired.
    strays
        Journals that no version names.

    Attributes
    ----------
    rows, doomed
        The live records of the version's own journal; and the rows that it deletes, by the number
        of their chunk.
    taken
        What stray journals give back.
    key_type
        The type of all keys.
    damage
        What of the journals is lost.
    """

    def __init__(
        self, root: Path, manifest: Manifest, strays: Sequence[Stray], *, dry_run: bool
    ) -> None:
        self._root, self._manifest = root, manifest
        self.rows: list[Row] = []
        self.doomed: dict[int, list[int]] = {}
        self.taken: list[Taken] = []
        self.key_type: KeyType | None = manifest.key_type
        self.damage: list[Damage] = []
        if manifest.journal is not None:
            self._read_own(manifest.journal, dry_run=dry_run)
        for stray in strays:
            self._take(stray)
        self.rows = [row for row in self.rows if self.stays(row.key)]

    def _read_own(self, journal_id: str, *, dry_run: bool) -> None:
        path = journal_path(self._root, journal_id)
        log, replay = Log(path, journal_id), Replay(self._manifest)
        try:
            if not dry_run:
                end_journal(path, journal_id)
            outcomes = [replay.apply(frame) for frame in log.salvage()]
        except FileNotFoundError:
            self.damage.append(Damage(path, "", "it is missing; what it held is lost"))
            return
        self.damage += _damage(log, outcomes)
        self.key_type = replay.key_type
        self.rows, self.doomed = _live(replay), by_chunk(self._manifest, replay)

    def _take(self, stray: Stray) -> None:
        replay = Replay(msgspec.structs.replace(self._manifest, key_type=self.key_type), lost=True)
        try:
            outcomes = [replay.apply(frame) for frame in stray.commits]
        except FormatError as error:
            what = f"no version names it, and it cannot be taken back: {error}"
            self.damage.append(Damage(stray.path, "", what))
            return
        self.damage += _damage(stray.log, outcomes)
        if other := outcomes.count(Outcome.KEY_TYPE):
            what = f"{other} commits have keys of another type than the dataset; they are not kept"
            self.damage.append(Damage(stray.path, "", what))
        self.key_type = replay.key_type
        taken = Taken(stray, replay, _live(replay))
        for row in taken.rows:
            self.stays(row.key)  # where earlier ones are not the last
        self.taken.append(taken)

    def stays(self, key: bytes | None) -> bool:
        """Whether a record that no stray journal has made keeps its key."""
        users = [] if key is None else [t for t in self.taken if t.replay.touches(key)]
        for taken in users:
            if key is not None and not taken.stray.last:
                taken.contested.add(key)
        return not any(taken.stray.last for taken in users)

    def settle(self) -> list[Damage]:
        """Say what becomes of stray journals, once it was asked for the keys of all records."""
        return [taken.settle() for taken in self.taken]

    def end(self) -> Iterator[Damage]:
        """End the stray journals, whose records have been published."""
        for taken in self.taken:
            stray, before = taken.stray, len(taken.stray.commits)
            with suppress(HaversackError, OSError):
                end_journal(stray.path, stray.id)
                if more := stray.log.read_on()[:-1]:
                    what = f"{len(more)} commits that came after these {before} are in it alone"
                    yield Damage(stray.path, "", what)


def _live(replay: Replay) -> list[Row]:
    return [row for number, row in enumerate(replay.rows) if number not in replay.dead]


def _damage(log: Log, outcomes: Sequence[Outcome]) -> Iterator[Damage]:
    for start, stop in [*log.gaps, (log.end, log.size)]:
        if start < stop:
            what = "a commit never finished, or damaged"
            yield Damage(log.path, f"bytes {start} to {stop}", what)
    try:
        log.check()
    except IntegrityError as error:
        yield Damage(log.path, "", str(error).removeprefix(f"{log.path} "))
        void = sum(one in {Outcome.KEY_EXISTS, Outcome.NO_SUCH_KEY} for one in outcomes)
        if void:
            what = f"{void} commits contradict what can be read; they are not kept"
            yield Damage(log.path, "", what)
