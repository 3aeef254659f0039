"""What the demo says while it runs: a line as each phase begins, with the time, and results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Echo = Callable[[str], None]
PHASES = 6


def write_line(line: str) -> None:
    """Write a line on stdout at once, also where that is no terminal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Narrator:
    """Tells what is being done.

    Attributes
    ----------
    doing
        What is being done at this moment; for the one who interrupts it.
    """

    def __init__(self, echo: Echo) -> None:
        self._echo, self._started = echo, time.perf_counter()
        self._number = 0
        self.doing = "starting"

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._started

    def phase(self, doing: str, about: str = "") -> None:
        """Say that the next phase begins."""
        self._number += 1
        self.doing = doing
        self._echo("")
        self._echo(f"[{self.seconds:4.1f} s] {self._number}/{PHASES}  {doing}{about}")

    def say(self, line: str = "") -> None:
        """Say something about the phase."""
        self._echo(f"      {line}".rstrip())

    def plain(self, line: str) -> None:
        """Say something that belongs to no phase."""
        self._echo(line)

    def rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Lay rows of texts out in columns."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Give a function that tells the seconds since the block began."""
    started = time.perf_counter()
    yield lambda: time.perf_counter() - started


def megabytes(count: float) -> str:
    """Write a number of bytes in megabytes.

    Examples
    --------
    >>> megabytes(77_207_762)
    '77.2 MB'
    """
    return f"{count / 1e6:,.1f} MB"
