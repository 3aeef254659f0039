"""Move bytes: one thread that drives every transfer and hands what is whole to the committer."""

from __future__ import annotations

import errno
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import pycurl

from haversack.download.commit import Committer, Whole
from haversack.download.failure import Failure, Kind
from haversack.download.fetch import Fetch, Unchanged
from haversack.download.hosts import Host
from haversack.download.line import Line, Network, Refused
from haversack.download.multi import Multi
from haversack.download.origin import Origin, shown
from haversack.download.outcome import Outcome, Request
from haversack.download.pace import Pace
from haversack.download.parts import Parts
from haversack.errors import HaversackError, UsageError
from haversack.storage.publish import storage_error

log = logging.getLogger("haversack.download")
_AHEAD = 16
_UNTAKEN = 4000
_STEP = 0.1
_SLOWEST = 1024
# Errors that will not go away for the next file.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


@dataclass(slots=True)
class _Active:
    line: Line
    fetch: Fetch
    host: Host
    quiet: float = 0.0
    mark: int = 0
    start: int = 0


class Mover:
    """The thread that moves bytes.

    Parameters
    ----------
    requests
        What to fetch; taken as there is room for it, in the mover's thread.
    network, parts, committer
        What the transfers share.
    concurrency
        Most transfers at once.
    timeout
        Seconds of near silence after which a transfer counts as stalled.
    retries
        How often to try again without having got further.
    pace
        Limits of bytes and requests a second.
    on_bytes
        Told how many bytes have come, some times a second.
    """

    def __init__(
        self,
        requests: Iterator[Request],
        *,
        network: Network,
        parts: Parts,
        committer: Committer,
        concurrency: int,
        timeout: float,
        retries: int,
        pace: Pace,
        on_bytes: Callable[[int], None] | None,
    ) -> None:
        self._requests, self._parts, self._committer = requests, parts, committer
        self._concurrency, self._timeout, self._retries = concurrency, timeout, retries
        self._on_bytes, self._exhausted = on_bytes, False
        self._pace, self._received, self._held_back = pace, 0, False
        self._multi = Multi(connections=2 * concurrency)
        self._idle = [Line(network) for _ in range(concurrency)]
        self._active: dict[pycurl.Curl, _Active] = {}
        self._hosts: dict[Origin, Host] = {}
        self._delayed: list[tuple[float, int, Fetch]] = []
        self._order = itertools.count()
        self._inside = self._untaken = self._moved = 0
        self._ready: list[Outcome] = []
        self._ticked = time.monotonic()
        self._outcomes: SimpleQueue[list[Outcome] | BaseException | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._tells = log.isEnabledFor(logging.DEBUG)
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
            self._untaken -= len(found)
            yield from found

    def stop(self) -> None:
        """End the transfers, publish what is whole, and leave parts to go on with."""
        self._stopping.set()
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
        while not self._stopping.is_set():
            self._refill()
            self._start()
            if not self._hold_back():
                for handle, code, detail in self._multi.step(self._patience()):
                    self._ended(handle, code, detail)
            idle = not self._inside
            for whole, error in self._committer.published(_STEP if idle else 0.0):
                self._published(whole, error)
            self._hand_over()
            self._tick()
            if idle and self._exhausted and not self._inside and not self._committer.open:
                return

    def _hold_back(self) -> bool:
        """Wait where more has come than may: what is not read holds the senders back."""
        if not self._pace.limits_bytes:
            return False
        coming = sum(active.fetch.moved - active.start for active in self._active.values())
        seconds = self._pace.until_bytes(self._received + coming)
        if not seconds:
            return False
        self._held_back = True
        self._stopping.wait(min(seconds, _STEP))
        return True

    def _refill(self) -> None:
        while (
            not self._exhausted
            and self._inside < _AHEAD * self._concurrency
            and self._untaken < _UNTAKEN
            and not self._committer.full
        ):
            request = next(self._requests, None)
            if request is None:
                self._exhausted = True
                return
            self._take_in(request)

    def _take_in(self, request: Request) -> None:
        try:
            fetch = Fetch(request, self._parts, self._parts.prepare(request.path))
        except UsageError as error:
            self._answer(Outcome(request, error=str(error)))
        except OSError as error:
            self._refused_by_disk(request, error)
        else:
            self._inside += 1
            self._place(fetch)

    def _place(self, fetch: Fetch) -> None:
        host = self._host(fetch)
        if host.dead is not None:
            self._give_up(fetch, host.dead)
        else:
            host.waiting.append(fetch)

    def _host(self, fetch: Fetch) -> Host:
        origin = fetch.origin
        if origin not in self._hosts:
            self._hosts[origin] = Host(self._concurrency, str(origin))
        return self._hosts[origin]

    def _start(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._place(heapq.heappop(self._delayed)[2])
        for host in self._hosts.values():
            while self._idle and host.ready(now) and not self._pace.until_request():
                self._begin(host.waiting.popleft(), host)

    def _begin(self, fetch: Fetch, host: Host) -> None:
        line = self._idle.pop()
        try:
            line.aim(fetch.url, fetch.origin, fetch.ask())
        except (Refused, HaversackError) as refused:  # a rule forbids it, or no signature is had
            self._idle.append(line)
            self._give_up(fetch, str(refused))
            return
        if self._tells:
            log.debug("GET %s", shown(fetch.url))
        line.curl.setopt(pycurl.WRITEFUNCTION, fetch.start(line))
        host.active += 1
        self._pace.take_request()
        self._active[line.curl] = _Active(line, fetch, host, mark=fetch.moved, start=fetch.moved)
        self._multi.add(line.curl)

    def _patience(self) -> float:
        """Seconds to wait for the network before looking at anything else."""
        if not self._inside:
            return 0.0
        now, turn = time.monotonic(), self._pace.until_request()
        hosts = [host for host in self._hosts.values() if host.waiting]
        waits = [max(host.paused_until() - now, turn) for host in hosts]
        waits += [self._delayed[0][0] - now] if self._delayed else []
        soonest = min(waits, default=0.0)
        return min(_STEP, soonest) if soonest > 0 else _STEP

    # What comes of a transfer

    def _ended(self, handle: pycurl.Curl, code: int, detail: str) -> None:
        active = self._release(handle)
        fetch, host = active.fetch, active.host
        try:
            result = fetch.end(code, detail)
        except OSError as error:
            self._inside -= 1
            with suppress(OSError):
                fetch.suspend()
            self._refused_by_disk(fetch.request, error)
            return
        if isinstance(result, Failure):
            self._failed(fetch, host, result)
            return
        host.answered()
        if result is None:
            self._whole(fetch)
        elif isinstance(result, Unchanged):
            self._inside -= 1
            fetch.suspend()
            self._answer(Outcome(fetch.request, tries=fetch.tries, unchanged=True))
        else:
            self._place(fetch)

    def _release(self, handle: pycurl.Curl) -> _Active:
        active = self._active.pop(handle)
        self._multi.remove(handle)
        self._moved += active.fetch.moved - active.mark
        self._received += active.fetch.moved - active.start
        active.host.active -= 1
        self._idle.append(active.line)
        return active

    def _failed(self, fetch: Fetch, host: Host, failure: Failure) -> None:
        if failure.kind is Kind.FINAL:
            host.answered()
            self._give_up(fetch, failure.message)
            return
        seconds = host.failed(failure, fetch.fruitless)
        if host.dead is not None:
            self._bury(host)
        fetch.again()
        if host.dead is not None:
            self._give_up(fetch, host.dead)
        elif fetch.fruitless > self._retries + 1 and failure.kind is not Kind.CONNECT:
            self._give_up(fetch, f"{failure.message}; tried {fetch.tries - 1} times")
        else:
            when = time.monotonic() + seconds
            heapq.heappush(self._delayed, (when, next(self._order), fetch))

    def _bury(self, host: Host) -> None:
        assert host.dead is not None
        while host.waiting:
            self._give_up(host.waiting.popleft(), host.dead)

    def _give_up(self, fetch: Fetch, message: str) -> None:
        self._inside -= 1
        fetch.suspend()
        self._answer(Outcome(fetch.request, error=message, tries=fetch.tries))

    def _whole(self, fetch: Fetch) -> None:
        part, checksum = fetch.finished()
        assert part.status is not None
        self._inside -= 1
        self._committer.put(
            Whole(
                fetch.request,
                part.path,
                part.status,
                checksum,
                fetch.headers.get("etag"),
                fetch.headers.get("last-modified"),
                tuple(fetch.left),
                self._parts.made(),
                fetch,
            )
        )

    def _published(self, whole: Whole, error: OSError | None) -> None:
        fetch: Fetch = whole.source
        if error is None:
            told = whole.status.st_size, whole.checksum, whole.etag, None, fetch.tries
            self._answer(Outcome(whole.request, *told, last_modified=whole.last_modified))
        elif isinstance(error, FileNotFoundError) and fetch.fruitless <= self._retries:
            fetch.again()
            fetch.discard()
            self._inside += 1
            self._place(fetch)
        else:
            self._refused_by_disk(whole.request, error)

    def _refused_by_disk(self, request: Request, error: OSError) -> None:
        refused = storage_error("write", request.path, error)
        if error.errno in _FATAL:
            raise refused from error
        self._answer(Outcome(request, error=str(refused)))

    def _answer(self, outcome: Outcome) -> None:
        self._untaken += 1
        self._ready.append(outcome)

    def _hand_over(self) -> None:
        """Wake the caller once for many outcomes."""
        if self._ready:
            ready, self._ready = self._ready, []
            self._outcomes.put(ready)

    # Once a second

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._ticked < 1.0:
            return
        # Time spent elsewhere (a slow disk) is not the network's.
        passed, self._ticked = min(now - self._ticked, 2.0), now
        for host in self._hosts.values():
            host.second_passed()
        for handle, active in list(self._active.items()):
            came = active.fetch.moved - active.mark
            if came >= _SLOWEST or self._held_back:
                self._moved += came
                active.mark, active.quiet = active.fetch.moved, 0.0
            else:
                active.quiet += passed
                if active.quiet >= self._timeout:
                    self._stalled(handle)
        self._held_back = False
        if self._on_bytes is not None and self._moved:
            moved, self._moved = self._moved, 0
            self._on_bytes(moved)

    def _stalled(self, handle: pycurl.Curl) -> None:
        active = self._release(handle)
        message = f"{active.fetch.origin} sent nothing for {self._timeout:g} s"
        self._failed(active.fetch, active.host, Failure(Kind.BODY, message))

    def _close(self) -> None:
        left = [active.fetch for active in self._active.values()]
        left += [fetch for host in self._hosts.values() for fetch in host.waiting]
        left += [fetch for _, _, fetch in self._delayed]
        for handle in list(self._active):
            self._release(handle)
        for fetch in left:
            with suppress(OSError):
                fetch.suspend()
        self._committer.close()
        for line in self._idle:
            line.curl.close()
        self._multi.close()
        if self._on_bytes is not None and self._moved:
            self._on_bytes(self._moved)
