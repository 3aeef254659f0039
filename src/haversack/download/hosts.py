"""Each host by itself: how many requests at once, when to pause, when to give it up."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from haversack.download.failure import Failure, Kind, pause

if TYPE_CHECKING:
    from haversack.download.fetch import Fetch

_STRIKES = 3
_PATIENCE_NEW, _PATIENCE_KNOWN = 8.0, 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 10.0


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
        self._made = time.monotonic()

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
        now = time.monotonic()
        if failure.kind is Kind.CONNECT:
            return self._strike(failure, now)
        self.answered()
        seconds = pause(tries, failure)
        if failure.kind is Kind.BUSY:
            self._limit = max(1.0, self._limit / 2)
            if failure.wait is not None:
                self._not_before = max(self._not_before, now + seconds)
        return seconds

    def _strike(self, failure: Failure, now: float) -> float:
        """Count a volley of failed connections once; give the host up after some.

        One that was there before gets more patience than one that nobody has reached, and a silent
        one (each try of which takes long) no more tries than one that refuses at once.
        """
        if now < self._not_before:
            return self._not_before - now
        if self._strikes == 0:
            self._first_strike = now
        self._strikes += 1
        since = self._first_strike if self._reached else self._made
        patience = _PATIENCE_KNOWN if self._reached else _PATIENCE_NEW
        enough = self._strikes >= _STRIKES and not self._reached
        if enough or now - since >= patience:
            self.dead = failure.message
        seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._strikes - 1))
        self._not_before = now + seconds
        return seconds
