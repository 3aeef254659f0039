"""The transfers that are under way, each on a line of its own."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pycurl

from haversack.download.failure import Failure, Kind
from haversack.download.fetch import Fetch
from haversack.download.hosts import Host
from haversack.download.line import SLOWEST, Line, Network
from haversack.download.multi import Multi
from haversack.download.origin import shown
from haversack.download.pace import Pace

log = logging.getLogger("haversack.download")


@dataclass(slots=True)
class Flight:
    """A file whose bytes are coming.

    Those up to ``mark`` are counted; ``quiet`` is for how many seconds hardly any have come.
    """

    line: Line
    fetch: Fetch
    host: Host
    mark: int
    quiet: float = 0.0


Landed = tuple[Flight, int, str]
Take = Callable[[bytes], int | None]


class Flights:
    """Up to ``concurrency`` transfers at once.

    Parameters
    ----------
    network
        What they share.
    timeout
        Seconds of near silence after which one counts as stalled.
    pace
        Limits of bytes and requests a second.
    on_bytes
        Told how many bytes have come, once a second.

    Attributes
    ----------
    idle
        The lines on which others may begin.
    """

    def __init__(
        self,
        network: Network,
        concurrency: int,
        timeout: float,
        pace: Pace,
        on_bytes: Callable[[int], None] | None,
    ) -> None:
        self.concurrency = concurrency
        self._timeout, self._pace, self._on_bytes = timeout, pace, on_bytes
        self._multi = Multi(connections=2 * concurrency)
        self.idle = [Line(network) for _ in range(concurrency)]
        self._active: dict[pycurl.Curl, Flight] = {}
        self._counted = self._told = 0  # bytes that have come
        self._held_back = False
        self._waiting: deque[pycurl.Curl] = deque()  # their bytes are not taken yet, for the pace
        self._ticked = time.monotonic()
        self._tells = log.isEnabledFor(logging.DEBUG)

    @property
    def none(self) -> bool:
        """Whether nothing is under way."""
        return not self._active

    def begin(self, fetch: Fetch, host: Host) -> None:
        """Send the request of a file.

        Raises
        ------
        Refused, HaversackError
            A rule forbids it, or no signature is had.
        """
        line = self.idle[-1]
        line.aim(fetch.url, fetch.origin, fetch.ask())
        self.idle.pop()
        if self._tells:
            log.debug("GET %s", shown(fetch.url))
        take = fetch.start(line)
        if self._pace.limits_bytes:
            take = self._paced(line.curl, take)
        line.curl.setopt(pycurl.WRITEFUNCTION, take)
        host.active += 1
        self._pace.take_request()
        self._active[line.curl] = Flight(line, fetch, host, fetch.moved)
        self._multi.add(line.curl)

    def step(self, timeout: float) -> Iterator[Landed]:
        """Move what can be moved, waiting for up to ``timeout`` seconds; give what ended.

        Each comes with curl's code (0 for success) and message, and is under way until it is
        taken: whatever stops the taker, the others are still there to be closed.
        """
        for handle, code, detail in self._multi.step(self._let_go_on(timeout)):
            yield self._release(handle), code, detail

    def _paced(self, handle: pycurl.Curl, take: Take) -> Take:
        """Have the bytes of a transfer wait until the pace allows them: curl keeps them."""

        def take_in_time(chunk: bytes) -> int | None:
            if self._pace.until_bytes():
                self._waiting.append(handle)
                return int(pycurl.WRITEFUNC_PAUSE)
            self._pace.take_bytes(len(chunk))
            return take(chunk)

        return take_in_time

    def _let_go_on(self, timeout: float) -> float:
        """Let transfers go on, in turns, as far as the pace allows; give how long to wait then."""
        while self._waiting:
            if seconds := self._pace.until_bytes():
                return min(timeout, seconds)
            # What curl keeps is taken at once, and it may have to wait again; where it is refused,
            # the transfer ends with that.
            with suppress(pycurl.error):
                self._waiting.popleft().pause(pycurl.PAUSE_CONT)
        return timeout

    def hold(self) -> None:
        """Note that nothing is read for now, by our own choice: no silence of the servers."""
        self._held_back = True

    def tick(self) -> Iterator[tuple[Flight, Failure]] | None:
        """Once a second, end what has stalled as it is taken; None where it is too soon."""
        now = time.monotonic()
        if now - self._ticked < 1.0:
            return None
        # Time spent elsewhere (a slow disk) is not the network's.
        passed, self._ticked = min(now - self._ticked, 2.0), now
        stalled = [
            handle
            for handle, flight in self._active.items()
            if self._quiet(flight, passed, held=handle in self._waiting) >= self._timeout
        ]
        self._held_back = False
        self._tell_bytes()
        return (self._stalled(self._release(handle)) for handle in stalled)

    def _stalled(self, flight: Flight) -> tuple[Flight, Failure]:
        message = f"{flight.fetch.origin} sent less than {SLOWEST} bytes in {self._timeout:g} s"
        return flight, Failure(Kind.BODY, message)

    def _quiet(self, flight: Flight, passed: float, *, held: bool) -> float:
        came = flight.fetch.moved - flight.mark
        if came >= SLOWEST or held or self._held_back:
            self._counted += came
            flight.mark, flight.quiet = flight.fetch.moved, 0.0
        else:
            flight.quiet += passed
        return flight.quiet

    def _tell_bytes(self) -> None:
        new, self._told = self._counted - self._told, self._counted
        if self._on_bytes is not None and new:
            self._on_bytes(new)

    def _release(self, handle: pycurl.Curl) -> Flight:
        flight = self._active.pop(handle)
        self._multi.remove(handle)
        if handle in self._waiting:
            self._waiting.remove(handle)
        self._counted += flight.fetch.moved - flight.mark
        flight.host.active -= 1
        self.idle.append(flight.line)
        return flight

    def close(self) -> None:
        """End them all, leaving parts to go on with, and close the connections."""
        for handle in list(self._active):
            self._release(handle).fetch.suspend()
        for line in self.idle:
            line.curl.close()
        self._multi.close()
        self._tell_bytes()
