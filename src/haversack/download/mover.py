"""Move bytes: one thread that drives every transfer and has what is whole published."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

from haversack.download.commit import Committer
from haversack.download.ending import Ending
from haversack.download.failure import Failure, Kind
from haversack.download.fetch import Fetch, Unchanged
from haversack.download.flights import Flight, Flights
from haversack.download.hosts import Host
from haversack.download.line import Refused
from haversack.download.outcome import Outcome, Request
from haversack.download.parts import Parts
from haversack.download.schedule import Schedule
from haversack.download.whole import Whole
from haversack.download.writer import Writer
from haversack.errors import HaversackError, UsageError
from haversack.storage.publish import storage_error

_AHEAD = 16
_UNTAKEN = 4000
_STEP = 0.1
_BREATH = 0.002  # seconds in which the disk may catch up
# Errors that will not go away for the next file.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


class Mover:
    """The thread that moves bytes: each file from its request to its outcome.

    Parameters
    ----------
    requests
        What to fetch; taken as there is room for it, in the mover's thread.
    schedule, flights, parts
        Where a file waits for its turn, where its bytes come, and where they go.
    writer, committer
        Who brings the bytes of large files there, and what publishes all that is whole.
    retries
        How often to try again without having got further.
    ending
        Told when the run is to end before its time.
    """

    def __init__(
        self,
        requests: Iterator[Request],
        *,
        schedule: Schedule,
        flights: Flights,
        parts: Parts,
        writer: Writer,
        committer: Committer,
        retries: int,
        ending: Ending,
    ) -> None:
        self._requests, self._exhausted = requests, False
        self._schedule, self._flights = schedule, flights
        self._parts, self._writer, self._committer = parts, writer, committer
        self._retries, self._ending = retries, ending
        self._most_inside = _AHEAD * flights.concurrency
        self._inside = 0
        # Each is counted by one thread, and only read by the other.
        self._answered = self._taken = 0
        self._ready: list[Outcome] = []
        self._outcomes: SimpleQueue[list[Outcome] | BaseException | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="haversack-move", daemon=True)

    def outcomes(self) -> Iterator[Outcome]:
        """Start, and give each outcome as it comes.

        Raises
        ------
        StorageError
            The disk refuses; what was published before stays.
        """
        self._thread.start()
        while True:
            try:
                found = self._outcomes.get(timeout=1.0)
            except Empty:
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            self._taken += len(found)
            yield from found

    def stop(self) -> None:
        """End the transfers, publish what is whole, and leave parts to go on with."""
        self._ending.begin()
        if self._thread.is_alive():
            self._thread.join()

    # The thread

    def _run(self) -> None:
        end: BaseException | None = None
        for work in (self._move, self._hand_over, self._close):
            try:
                work()
            except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
                end = end or error
        self._outcomes.put(end)

    def _move(self) -> None:
        while not self._ending.begun.is_set():
            self._refill()
            if self._exhausted and not self._inside and not self._committer.open:
                return
            self._start()
            idle = not self._inside or (self._flights.none and self._committer.full)
            self._step(0.0 if idle else self._patience())
            for whole in self._committer.published(_STEP if idle else 0.0):
                self._published(whole)
            self._hand_over()
            self._tick()

    def _refill(self) -> None:
        if self._exhausted or self._committer.full:
            return
        while self._inside < self._most_inside and self._answered - self._taken < _UNTAKEN:
            request = next(self._requests, None)
            if request is None:
                self._exhausted = True
                return
            self._take_in(request)

    def _take_in(self, request: Request) -> None:
        try:
            fetch = Fetch(request, self._parts, self._writer)
        except UsageError as error:
            self._answer(Outcome(request, error=str(error)))
        except OSError as error:
            self._refused_by_disk(request, error)
        else:
            self._inside += 1
            self._place(fetch)

    def _place(self, fetch: Fetch) -> None:
        dead = self._schedule.place(fetch)
        if dead is not None:
            self._give_up(fetch, dead)

    def _start(self) -> None:
        now = time.monotonic()
        for fetch in self._schedule.due(now):
            self._place(fetch)
        if self._committer.full:
            return
        while self._flights.idle:
            found = self._schedule.next(now)
            if found is None:
                return
            try:
                self._flights.begin(*found)
            except (Refused, HaversackError) as refused:
                self._give_up(found[0], str(refused))

    def _step(self, patience: float) -> None:
        if self._writer.is_behind():
            self._flights.hold()
            self._ending.begun.wait(_BREATH)
            return
        for flight, code, detail in self._flights.step(patience):
            self._ended(flight, code, detail)

    def _patience(self) -> float:
        """Seconds to wait for the network before looking at anything else."""
        return min(_STEP, self._schedule.wait(time.monotonic()) or _STEP)

    def _tick(self) -> None:
        stalled = self._flights.tick()
        if stalled is None:
            return
        self._schedule.second_passed()
        for flight, failure in stalled:
            self._failed(flight.fetch, flight.host, failure)

    # What comes of a transfer

    def _ended(self, flight: Flight, code: int, detail: str) -> None:
        fetch, host = flight.fetch, flight.host
        try:
            result = fetch.end(code, detail)
        except OSError as error:
            self._inside -= 1
            fetch.suspend()
            self._refused_by_disk(fetch.request, error)
            return
        if isinstance(result, Failure):
            self._failed(fetch, host, result)
            return
        host.answered()
        if isinstance(result, Whole):
            self._inside -= 1
            if result.is_begun:
                self._committer.expect()
                self._writer.finish(result)
            else:
                self._committer.put(result)
        elif isinstance(result, Unchanged):
            self._inside -= 1
            fetch.suspend()
            self._answer(Outcome(fetch.request, tries=fetch.tries, unchanged=True))
        else:
            self._place(fetch)

    def _failed(self, fetch: Fetch, host: Host, failure: Failure) -> None:
        fetch.failure = failure
        if failure.kind is Kind.FINAL:
            host.answered()
            self._give_up(fetch, failure.message)
            return
        until = time.monotonic() + host.failed(failure, fetch.fruitless)
        fetch.again()
        if host.dead is not None:
            self._give_up(fetch, host.dead)
            for waiting in self._schedule.give_up(host):
                self._give_up(waiting, host.dead)
        elif failure.sends_away:
            self._give_up(fetch, failure.message)
        elif fetch.fruitless > self._retries + 1 and failure.kind is not Kind.CONNECT:
            times = "once" if fetch.tries == 1 else f"{fetch.tries} times"
            self._give_up(fetch, f"{failure.message}; tried {times}")
        else:
            self._schedule.delay(fetch, until)

    def _give_up(self, fetch: Fetch, message: str) -> None:
        self._inside -= 1
        fetch.suspend()
        tries, failure = fetch.tries, fetch.failure
        self._answer(Outcome(fetch.request, error=message, tries=tries, failure=failure))

    def _published(self, whole: Whole) -> None:
        fetch: Fetch = whole.source
        if whole.wrong is not None:
            self._inside += 1
            self._failed(fetch, self._schedule.host(fetch.origin), fetch.refuted(whole.wrong))
        elif whole.error is None:
            size, checksum, tries = whole.part.size, whole.checksum, fetch.tries
            told = size, checksum, whole.etag, None, tries, whole.last_modified
            self._answer(Outcome(whole.request, *told, resumed=fetch.resumed))
        elif whole.lost and fetch.fruitless <= self._retries:
            fetch.again()
            self._inside += 1
            self._place(fetch)
        else:
            self._refused_by_disk(whole.request, whole.error)

    def _refused_by_disk(self, request: Request, error: OSError) -> None:
        refused = storage_error("write", Path(request.path), error)
        if error.errno in _FATAL:
            raise refused from error
        self._answer(Outcome(request, error=str(refused)))

    def _answer(self, outcome: Outcome) -> None:
        self._answered += 1
        self._ready.append(outcome)

    def _hand_over(self) -> None:
        """Wake the caller once for many outcomes."""
        if self._ready:
            ready, self._ready = self._ready, []
            self._outcomes.put(ready)

    def _close(self) -> None:
        self._flights.close()
        for fetch in self._schedule.left():
            fetch.suspend()
        self._writer.close()
        self._committer.close()
