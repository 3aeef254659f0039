"""Which file is next: those of each host in turn, after the pauses that failures ask for."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator

from haversack.download.fetch import Fetch
from haversack.download.hosts import Host
from haversack.download.origin import Origin
from haversack.download.pace import Pace


class Schedule:
    """The files that wait for their turn.

    Parameters
    ----------
    concurrency
        Most requests at once to each host.
    pace
        Limit of requests a second.
    """

    def __init__(self, concurrency: int, pace: Pace) -> None:
        self._concurrency, self._pace = concurrency, pace
        self._hosts: dict[Origin, Host] = {}
        # The hosts that files wait for, the next one first.
        self._turns: deque[Host] = deque()
        self._delayed: list[tuple[float, int, Fetch]] = []
        self._order = itertools.count()

    def place(self, fetch: Fetch) -> str | None:
        """Queue a file at its host; say why not, where the host is given up."""
        host = self.host(fetch.origin)
        if host.dead is None:
            if not host.waiting:
                self._turns.append(host)
            host.waiting.append(fetch)
        return host.dead

    def give_up(self, host: Host) -> Iterator[Fetch]:
        """Take out all that waits for a host."""
        if host.waiting:
            self._turns.remove(host)
        while host.waiting:
            yield host.waiting.popleft()

    def host(self, origin: Origin) -> Host:
        """Give the host of an origin."""
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = Host(self._concurrency, str(origin))
        return host

    def delay(self, fetch: Fetch, until: float) -> None:
        """Keep a file until a moment of the monotonic clock."""
        heapq.heappush(self._delayed, (until, next(self._order), fetch))

    def due(self, now: float) -> Iterator[Fetch]:
        """Take out what was kept until now."""
        while self._delayed and self._delayed[0][0] <= now:
            yield heapq.heappop(self._delayed)[2]

    def next(self, now: float) -> tuple[Fetch, Host] | None:
        """Take out the file whose request may begin now."""
        if self._pace.until_request():
            return None
        for _ in range(len(self._turns)):
            host = self._turns.popleft()
            fetch = host.waiting.popleft() if host.ready(now) else None
            if host.waiting:
                self._turns.append(host)
            if fetch is not None:
                return fetch, host
        return None

    def wait(self, now: float) -> float:
        """Give the seconds until a request may begin, 0 where none is held up."""
        turn = self._pace.until_request()
        waits = [max(host.paused_until() - now, turn) for host in self._turns]
        waits += [self._delayed[0][0] - now] if self._delayed else []
        return max(0.0, min(waits, default=0.0))

    def second_passed(self) -> None:
        """Allow every host one more request at once."""
        for host in self._hosts.values():
            host.second_passed()

    def left(self) -> Iterator[Fetch]:
        """Yield everything that waits."""
        for host in self._turns:
            yield from host.waiting
        for _, _, fetch in self._delayed:
            yield fetch
