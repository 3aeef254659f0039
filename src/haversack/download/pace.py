"""Limits of a run: bytes and requests a second, over all hosts together."""

from __future__ import annotations

import time
from collections.abc import Callable

_BURST = 0.25  # seconds of the rate that may come at once


class Pace:
    """Says when the next bytes may be taken, and the next request be sent.

    Parameters
    ----------
    bytes_per_second, requests_per_second
        None is no limit.
    clock
        Seconds that only grow.

    Examples
    --------
    >>> now = 0.0
    >>> pace = Pace(None, 2.0, clock=lambda: now)
    >>> pace.take_request(), pace.until_request()
    (None, 0.5)
    """

    def __init__(
        self,
        bytes_per_second: float | None,
        requests_per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bytes, self._requests, self._clock = bytes_per_second, requests_per_second, clock
        self._free_at = self._ask_at = clock()

    @property
    def limits_bytes(self) -> bool:
        return self._bytes is not None

    def until_bytes(self) -> float:
        """Give the seconds to wait before more bytes are taken."""
        return max(0.0, self._free_at - self._clock())

    def take_bytes(self, count: int) -> None:
        """Count bytes; those beyond the limit have to be waited for before any other."""
        if self._bytes is not None:
            # Time that was not used is not saved up, but for a moment of it.
            self._free_at = max(self._free_at, self._clock() - _BURST) + count / self._bytes

    def until_request(self) -> float:
        """Give the seconds to wait before the next request."""
        return 0.0 if self._requests is None else max(0.0, self._ask_at - self._clock())

    def take_request(self) -> None:
        """Count a request."""
        if self._requests is not None:
            self._ask_at = max(self._ask_at, self._clock()) + 1 / self._requests
