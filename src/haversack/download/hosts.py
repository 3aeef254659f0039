"""Each host by itself: how many requests at once, when to pause, when to give it up."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from haversack.download.failure import Failure, Kind, pause

if TYPE_CHECKING:
    from haversack.download.fetch import Fetch

_STRIKES = 3
_PATIENCE_NEW, _PATIENCE_KNOWN = 3.0, 60.0


class Host:
    """An origin that files come from.

    Parameters
    ----------
    most
        Requests at once; halved when the host is busy, one more for each second without that.
    """

    def __init__(self, most: int) -> None:
        self.waiting: deque[Fetch] = deque()
        self.active = 0
        self.dead: str | None = None
        self._most, self._limit = most, float(most)
        self._not_before = 0.0
        self._reached = False
        self._strikes = 0
        self._first_strike = 0.0

    def ready(self, now: float) -> bool:
        """Whether the next waiting request may start."""
        return bool(self.waiting) and self.active < int(self._limit) and now >= self._not_before

    def paused_until(self) -> float:
        """Moment before which nothing is asked of it."""
        return self._not_before

    def answered(self) -> None:
        """Note that it is there."""
        self._reached, self._strikes = True, 0

    def second_passed(self) -> None:
        """Allow one more request at once."""
        self._limit = min(self._most, self._limit + 1)

    def failed(self, failure: Failure, tries: int) -> float:
        """Take note of a failure; give the seconds before its request is tried again."""
        seconds, now = pause(tries, failure), time.monotonic()
        if failure.kind is Kind.BUSY:
            self.answered()
            self._limit = max(1.0, self._limit / 2)
            if failure.wait is not None:
                self._not_before = max(self._not_before, now + seconds)
        elif failure.kind is Kind.CONNECT:
            self._strike(failure, now)
            seconds = min(seconds, 1.0) if not self._reached else seconds
            self._not_before = max(self._not_before, now + seconds)
        return seconds

    def _strike(self, failure: Failure, now: float) -> None:
        """Give up a host that nobody has reached sooner than one that was there before."""
        if self._strikes == 0:
            self._first_strike = now
        self._strikes += 1
        patience = _PATIENCE_KNOWN if self._reached else _PATIENCE_NEW
        if self._strikes >= _STRIKES and (
            not self._reached or now - self._first_strike >= patience
        ):
            self.dead = failure.message
