"""Each host by itself: how many requests at once, when to pause, when to give it up."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from haversack.download.failure import Failure, Kind, pause

if TYPE_CHECKING:
    from haversack.download.fetch import Fetch

_STRIKES = 3
_PATIENCE_NEW, _PATIENCE_REFUSED, _PATIENCE_KNOWN = 8.0, 15.0, 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 10.0
_WORTH_TELLING = 1.0  # seconds

log = logging.getLogger("haversack.download")


class Host:
    """An origin that files come from.

    Parameters
    ----------
    most
        Requests at once; halved when the host is busy, one more for each second without that.
    name
        What the log calls it.
    """

    def __init__(self, most: int, name: str = "the host") -> None:
        self.waiting: deque[Fetch] = deque()
        self.active = 0
        self.dead: str | None = None
        self._most, self._limit = most, float(most)
        self._not_before = 0.0
        self._reached = self._told = False
        self._name = name
        self._strikes = self._sent_away = 0
        self._first_strike = 0.0
        self._made = time.monotonic()

    def ready(self, now: float) -> bool:
        """Whether the next waiting request may start."""
        return bool(self.waiting) and self.active < int(self._limit) and now >= self._not_before

    def paused_until(self) -> float:
        """Moment before which nothing is asked of it."""
        return self._not_before

    def answered(self) -> None:
        """Note that it is there, and has something to say."""
        self._is_there()
        self._sent_away = 0

    def _is_there(self) -> None:
        self._reached, self._strikes = True, 0

    def second_passed(self) -> None:
        """Allow one more request at once."""
        self._limit = min(self._most, self._limit + 1)

    def failed(self, failure: Failure, tries: int) -> float:
        """Take note of a failure; give the seconds before its request is tried again."""
        now = time.monotonic()
        if failure.kind is Kind.CONNECT:
            return self._strike(failure, now)
        self._is_there()
        seconds = pause(tries, failure)
        if failure.kind is Kind.BUSY:
            self._limit = max(1.0, self._limit / 2)
            if failure.sends_away:
                self._send_away(failure)
            elif failure.wait is not None:
                self._wait(now, seconds)
        return seconds

    def _wait(self, now: float, seconds: float) -> None:
        """Ask nothing for as long as the host asks."""
        if now + seconds >= max(now, self._not_before) + _WORTH_TELLING:
            log.info("%s is busy: asked again in %.0f s, as it says", self._name, seconds)
        self._not_before = max(self._not_before, now + seconds)

    def _send_away(self, failure: Failure) -> None:
        """Give the host up when it has asked again and again to come back much later."""
        self._sent_away += 1
        if self._sent_away >= _STRIKES:
            self.dead = f"{self._name} asks to wait {failure.wait:,.0f} s"

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
        patience = self._patience(failure)
        enough = self._strikes >= _STRIKES and not self._reached
        if enough or now - since >= patience:
            self.dead = failure.message
        elif self._reached and not self._told:
            self._told = True
            log.warning("%s does not answer: trying again for %g s", self._name, patience)
        seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._strikes - 1))
        self._not_before = now + seconds
        return seconds

    def _patience(self, failure: Failure) -> float:
        if not self._reached:
            return _PATIENCE_NEW
        return _PATIENCE_REFUSED if failure.refused else _PATIENCE_KNOWN
