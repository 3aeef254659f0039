"""What can be sent to another process, and what is done there."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from typing import Any

from haversack.packed.build.failures import Failure
from haversack.packed.build.portions import Portion, Recipe
from haversack.packed.build.runs import Job, Run

log = logging.getLogger("haversack.packed")


def cannot_cross(**things: Any) -> str | None:
    """Name the first thing that cannot be sent to a process, and why; None where all can.

    Examples
    --------
    >>> cannot_cross(read=len), cannot_cross(read=lambda item: item)[:30]
    (None, 'read (<function <lambda> at 0x')
    """
    for name, thing in things.items():
        try:
            ForkingPickler.dumps(thing)
        except Exception as error:  # noqa: BLE001 (of the thing's own class)
            return f"{name} ({thing!r:.100}): {error}"
    return None


def arrived(*_things: Any) -> bool:
    """Answer that what was sent has come through."""
    return True


def portions_of(recipe: Recipe, first: int, items: list[Any]) -> list[Portion]:
    """Read and encode some items in a thread."""
    return list(recipe.portions(first, items, own=True))


def portions_sent(recipe: Recipe, first: int, items: list[Any]) -> list[Portion]:
    """Read and encode some items in another process."""
    portions = portions_of(recipe, first, items)
    for portion in portions:
        portion.items.clear()
        portion.failures = [_sendable_failure(failure) for failure in portion.failures]
    return portions


def run_sent(job: Job, first: int, items: Iterable[Any]) -> Run:
    """Build a run in another process."""
    run = job.build(first, items)
    failure = None if run.failure is None else _sendable_failure(run.failure)
    trouble = None if run.trouble is None else _sendable(run.trouble)
    return replace(run, failure=failure, trouble=trouble)


def _sendable_failure(failure: Failure) -> Failure:
    return replace(failure, error=_sendable(failure.error))


def _sendable(error: Exception) -> Exception:
    """Make an error that comes through whole, and tells where it was raised."""
    told = "".join(traceback.format_exception(error))
    try:
        same = type(ForkingPickler.loads(ForkingPickler.dumps(error))) is type(error)
    except Exception:  # noqa: BLE001 (of the error's own class)
        same = False
    sent = error if same else RuntimeError(f"{type(error).__name__}: {error}")
    sent.add_note(f"in a worker process:\n{told}")
    return sent


def follow(life: Any) -> None:
    """Make this process end with the build that it works for, and leave Ctrl-C to that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        # Nothing is ever sent: it ends when the other end is closed, by whatever cause.
        multiprocessing.connection.wait([life])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main_runs_again() -> str | None:
    """Name the script that each new process would run again up to its call of us; None if none.

    A new process imports the main script. Where our caller does not stand under its
    ``if __name__ == "__main__":``, that would repeat all it does.
    """
    import ast

    main = sys.modules.get("__main__")
    name = getattr(main, "__file__", None)
    spec = getattr(getattr(main, "__spec__", None), "name", "")
    if main is None or name is None or spec.endswith("__main__"):
        return None
    line = _line_of(vars(main))
    if line is None:
        return None
    try:
        with open(name, "rb") as file:  # noqa: PTH123
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError):
        return None
    inside = [node for node in body if node.lineno <= line <= (node.end_lineno or 0)]
    guarded = any(isinstance(n, ast.If) and "__name__" in ast.dump(n.test) for n in inside)
    return None if guarded else str(name)


def _line_of(names: dict[str, Any]) -> int | None:
    """Find the line at which the main script stands, by the stack of the main thread."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    while frame is not None:
        if frame.f_globals is names and frame.f_code.co_name == "<module>":
            return frame.f_lineno
        frame = frame.f_back
    return None
