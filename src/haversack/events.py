"""What long work says while it runs, and the ways to show it.

Work reports plain :class:`Event` values to a listener; it never prints. The listeners here draw
bars on stderr, write JSON lines, or stay silent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from haversack.errors import UnsupportedError

if TYPE_CHECKING:
    from tqdm import tqdm


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a task: it starts, advances (``done`` is what has been done so far), or ends."""

    task: str
    state: Literal["start", "advance", "end"]
    done: int = 0
    total: int | None = None
    unit: str = "it"


Listener = Callable[[Event], None]
Progress = Listener | bool | None


class Task:
    """A piece of long work that tells its listener how far it has come."""

    def __init__(self, listener: Listener, name: str, total: int | None, unit: str) -> None:
        self._listener = listener
        self.name, self.total, self.unit, self.done = name, total, unit, 0

    def _say(self, state: Literal["start", "advance", "end"]) -> None:
        self._listener(Event(self.name, state, self.done, self.total, self.unit))

    def advance(self, count: int = 1) -> None:
        """Add ``count`` to what has been done."""
        self.done += count
        self._say("advance")


@contextmanager
def task(
    progress: Progress, name: str, *, total: int | None = None, unit: str = "it"
) -> Iterator[Task]:
    """Report a piece of work from its start to its end, also when it fails.

    Examples
    --------
    >>> seen = []
    >>> with task(seen.append, "pack", total=2) as work:
    ...     work.advance(2)
    >>> [event.state for event in seen]
    ['start', 'advance', 'end']
    """
    running = Task(listener(progress), name, total, unit)
    running._say("start")  # noqa: SLF001
    try:
        yield running
    finally:
        running._say("end")  # noqa: SLF001


def listener(progress: Progress) -> Listener:
    """Turn a ``progress`` argument into a listener: True draws bars, None and False say nothing.

    Raises
    ------
    UnsupportedError
        It is something else.
    """
    if callable(progress):
        return progress
    if progress is not None and not isinstance(progress, bool):
        raise UnsupportedError(
            f"progress is True, False, None or a function that is told of events, not {progress!r}"
        )
    return Bars() if progress else silent


def silent(event: Event) -> None:
    """Show nothing."""


class Bars:
    """Draw a tqdm bar on stderr for each task."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[Any]] = {}

    def __call__(self, event: Event) -> None:
        if event.state == "start":
            self._bars[event.task] = self._bar(event)
        bar = self._bars.get(event.task)
        if bar is None:
            return
        bar.update(event.done - bar.n)
        if event.state == "end":
            self._bars.pop(event.task).close()

    @staticmethod
    def _bar(event: Event) -> tqdm[Any]:
        from tqdm.auto import tqdm

        scaled = event.unit == "B"
        return tqdm(
            desc=event.task,
            total=event.total,
            unit=event.unit,
            unit_scale=scaled,
            unit_divisor=1024 if scaled else 1000,
            file=sys.stderr,
        )


class JsonLines:
    """Write each event as one line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        self._stream.write(json.dumps(asdict(event)) + "\n")
        self._stream.flush()
