"""Go through the items run by run: take over, read here, or hand out whole runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from haversack import events
from haversack.packed.build.checks import is_same
from haversack.packed.build.crew import Crew, Task, crew_for, unasked
from haversack.packed.build.notes import Note
from haversack.packed.build.portions import Portion
from haversack.packed.build.reading import Reader
from haversack.packed.build.runs import SAMPLE, Job, Run, run_length, type_of
from haversack.packed.build.source import Source
from haversack.packed.encoding.keys import KeyType

_ENDLESS: Final = 1 << 62
_EACH: Final = 2  # runs that each worker may be ahead


class Building:
    """The runs of a build, in order.

    Parameters
    ----------
    job
        What is done to items.
    total
        How many there are, None where nobody knows.
    notes
        Runs that are done already, by their first items.
    work
        Is told of items that are done.
    each
        Whether it is told of each alone, where that can be.
    """

    def __init__(
        self,
        job: Job,
        source: Source,
        total: int | None,
        notes: dict[int, Note],
        work: events.Task,
        *,
        each: bool,
    ) -> None:
        self._job, self._source, self._total, self._notes = job, source, total, notes
        self._advance, self._each = work.advance, each
        self.length = 0  # items of a run, once that is known
        self.taken_over = 0  # items of runs that were done already
        self._again = False  # whether a run that was done has to be done again
        self._at = 0  # the first item of the next run
        self._mean = 0  # bytes of a record
        self._held: deque[Portion] = deque()
        self._tasks: deque[Task[Run]] = deque()

    def runs(self, workers: int | None, executor: Any) -> Generator[Run, None, None]:
        """Give the runs as they are done."""
        for run in self._all(workers, executor):
            self._at += run.count
            self._know(run.key_type)
            yield run

    def _know(self, kind: KeyType | None) -> None:
        """Hold all further keys to the type of the first."""
        if self._job.key_type is None and kind is not None:
            self._job = replace(self._job, key_type=kind)

    def settle(self) -> None:
        """Wait for workers that have heard of the end."""
        for task in self._tasks:
            with suppress(Exception):
                task.result()

    def _all(self, workers: int | None, executor: Any) -> Iterator[Run]:
        yield from self._done()
        recipe, source = self._job.recipe, self._source
        sample = source.first()
        if workers is not None and self._total is not None:
            workers = min(workers, max(self._total, 1))
        with ExitStack() as stack:
            crew = stack.enter_context(crew_for(recipe, sample, workers, executor))
            reader = Reader(crew, recipe, source)
            if sample and not self.length:
                self._measure(reader)
            if workers is None and executor is None:
                count = unasked((self._total or 0) * self._mean)
                crew = stack.enter_context(crew_for(recipe, sample, count, None, asked=False))
                reader = Reader(crew, recipe, source)
            whole = crew.crosses and self._many(crew)
            yield from self._handed_out(crew) if whole else self._read_here(reader)

    # Runs that are done already.

    def _done(self) -> Iterator[Run]:
        """Give those that come next, up to one that has to be done."""
        while self._source.number == self._at:
            note = self._notes.pop(self._at, None)
            if note is None or self.length not in {0, note.length}:
                return
            items = self._source.take(note.count, deep=self._job.recipe.read is None)
            run = note.run()
            if not self._stands(note, run, items):
                self._source.give_back(items)
                self._again = True
                return
            self.length = note.length
            self.taken_over += note.count
            self._mean = sum(p.entry.bytes for p in run.parts) // max(note.count, 1)
            self._advance(note.count)
            yield run

    def _stands(self, note: Note, run: Run, items: list[Any]) -> bool:
        return (
            len(items) == note.count
            and (note.count == note.length or self._source.ended())
            and not (note.depends and self._again)
            and not (run.skipped and self._job.recipe.errors == "raise")
            and is_same(self._job.root, run, self._job.recipe, items)
        )

    # Runs to do.

    def _measure(self, reader: Reader) -> None:
        """Find out how long runs are, from the sizes of the first records."""
        self._held.extend(reader.sample())
        sizes = [len(payload) for portion in self._held for payload in portion.payloads][:SAMPLE]
        self._mean = sum(sizes) // max(len(sizes), 1)
        self.length = run_length(sizes, self._total, self._job.chunk_bytes)
        keys = (key for portion in self._held for key in portion.keys if key is not None)
        self._know(next((kind for kind in map(type_of, keys) if kind is not None), None))
        self._notes = {
            first: note for first, note in self._notes.items() if note.length == self.length
        }

    def _read_here(self, reader: Reader) -> Iterator[Run]:
        """Write the runs here; their items may be read by others."""
        while True:
            yield from self._done()
            if not self._held and not reader.waiting and self._source.ended():
                return
            yield self._written(self._portions(reader))

    def _portions(self, reader: Reader) -> Iterator[Portion]:
        """Give the portions of the next run."""
        stop = self._at + self.length
        yield from self._held_before(stop)
        barrier = min((first for first in self._notes if first >= stop), default=_ENDLESS)
        yield from reader.until(stop, self.length, barrier)

    def _held_before(self, stop: int) -> Iterator[Portion]:
        while self._held and self._held[0].first < stop:
            yield self._held.popleft()

    def _written(self, portions: Iterable[Portion]) -> Run:
        writer = self._job.writer(self._at)
        try:
            for portion in portions:
                writer.add(portion)
                for _ in range(portion.count if self._each else 1):
                    self._advance(1 if self._each else portion.count)
                if writer.run.failure is not None:
                    break
            return writer.finish()
        except BaseException:
            writer.abandon()
            raise

    # Runs that others do.

    def _many(self, crew: Crew) -> bool:
        """Whether there are runs enough for all workers; else their items are handed out."""
        count = crew.workers * self.length
        if self._total is not None:
            return self._total - self._source.number >= count
        items = self._source.take(count, deep=False)
        self._source.give_back(items)
        return len(items) == count

    def _handed_out(self, crew: Crew) -> Iterator[Run]:
        """Hand out whole runs, and write meanwhile those that the sample is of."""
        source, length = self._source, self.length
        first = source.number
        begun = -(-first // length) * length
        rest = source.take(begun - first, deep=False)
        self._hand_out(crew)
        while self._at < begun and (self._held or rest):
            stop = self._at + length
            more = self._job.recipe.portions(first, rest) if stop >= begun else ()
            yield self._written(chain(self._held_before(stop), more))
            rest = [] if stop >= begun else rest
        while True:
            self._hand_out(crew)
            if self._tasks:
                run = self._tasks[0].result()
                self._tasks.popleft()
                self._advance(run.count)
                yield run
                continue
            yield from self._done()
            if source.ended():
                return

    def _hand_out(self, crew: Crew) -> None:
        source = self._source
        while len(self._tasks) < _EACH * crew.workers and not source.ended():
            if source.number in self._notes:
                return
            first = source.number
            items = source.take(self.length, deep=False)
            self._tasks.append(crew.run(self._job, first, items))
