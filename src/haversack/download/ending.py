"""The end of a run before its time: for how long the disk is still waited for."""

from __future__ import annotations

import math
import threading
import time

_SECONDS = 0.5  # for what is in memory, so that Ctrl-C ends within a second on a slow disk too


class Ending:
    """What the threads of a run ask before each piece of work for the disk.

    Attributes
    ----------
    begun
        Set when the run is to end.
    """

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._until = math.inf

    def begin(self) -> None:
        """Have the run end: what is not on the disk soon comes again, with the next run."""
        self._until = min(self._until, time.monotonic() + _SECONDS)
        self.begun.set()

    def is_over(self) -> bool:
        """Tell whether nothing more may be begun."""
        return time.monotonic() >= self._until
