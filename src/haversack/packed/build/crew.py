"""Who reads and encodes: this thread, threads, or the processes of an executor."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from haversack.errors import WorkerDiedError
from haversack.packed.build.crossing import (
    arrived,
    cannot_cross,
    follow,
    main_runs_again,
    portions_of,
    portions_sent,
    run_sent,
)
from haversack.packed.build.failures import shown
from haversack.packed.build.portions import Portion, Recipe
from haversack.packed.build.runs import Job, Run

ALONE: Final = 256 << 20  # bytes below which one worker is enough
_MOST: Final = 8  # workers that nobody asked for
log = logging.getLogger("haversack.packed")
T = TypeVar("T")


class _AtOnce:
    """Does at once what it is given."""

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(work(*arguments))
        return future


class Crew:
    """Workers, and whether what they get has to cross to another process.

    Without an executor all is done at once, where it is asked for.
    """

    def __init__(self, executor: Any = None, workers: int = 1, *, crosses: bool = False) -> None:
        self.alone = executor is None
        self.executor, self.workers, self.crosses = executor or _AtOnce(), workers, crosses
        self._told = False

    def say_once(self, reason: str) -> None:
        """Warn of what could not be sent, the first time."""
        if not self._told:
            self._told = True
            log.warning("%s; this and others like it are read here", reason)

    def portions(self, recipe: Recipe, first: int, items: list[Any]) -> Task[list[Portion]]:
        """Have some items read and encoded."""
        work = portions_sent if self.crosses else portions_of
        return Task(self, work, portions_of, recipe, first, items)

    def run(self, job: Job, first: int, items: list[Any]) -> Task[Run]:
        """Have a run built, with its files."""
        return Task(self, run_sent, Job.build, job, first, items)


class Task(Generic[T]):
    """Work on some items that was handed out, and can be done here if it cannot be sent."""

    def __init__(
        self,
        crew: Crew,
        work: Callable[[Any, int, list[Any]], T],
        here: Callable[[Any, int, list[Any]], T],
        *arguments: Any,
    ) -> None:
        self._crew, self._here, self._arguments = crew, here, arguments
        self.first: int = arguments[1]
        try:
            self._future = crew.executor.submit(work, *arguments)
        except BrokenExecutor as error:
            raise self._died() from error

    def result(self) -> T:
        """Wait for what became of it.

        Raises
        ------
        WorkerDiedError
            The worker process died.
        """
        try:
            found: T = self._future.result()
        except (BrokenExecutor, CancelledError) as error:
            raise self._died() from error
        except Exception as error:
            if not self._crew.crosses:
                raise
            self._crew.say_once(f"{self._items()} cannot be sent to a process: {error}")
            found = self._here(*self._arguments)
        return found

    def cancel(self) -> bool:
        """Have it not done, if it was not begun."""
        cancelled: bool = self._future.cancel()
        return cancelled

    def _items(self) -> str:
        _, first, items = self._arguments
        if len(items) == 1:
            return f"item {first} ({shown(items[0])})"
        last = first + len(items) - 1
        return f"items {first} ({shown(items[0])}) to {last} ({shown(items[-1])})"

    def _died(self) -> WorkerDiedError:
        return WorkerDiedError(
            f"a worker process died (killed, out of memory, or ended by what it read) while "
            f"{self._items()} or some after them were in work; what was done before is kept: run "
            "the same again to go on, with fewer workers if memory is short"
        )


@contextmanager
def crew_for(
    recipe: Recipe, sample: list[Any], workers: int | None, executor: Any, *, asked: bool = True
) -> Iterator[Crew]:
    """Find the workers for a build; those that were made for it end with it.

    Parameters
    ----------
    sample
        The first items, to see whether they can be sent.
    workers
        How many are asked for; one where that is None.
    executor
        The caller's, which is left as it is.
    asked
        Whether somebody asked for more than one, who is to be told if that cannot be.
    """
    if not sample or (executor is None and (workers or 1) == 1):
        yield Crew()
        return
    with ExitStack() as stack:
        if executor is None:
            crew, reason = _own_processes(recipe, sample, workers or 1, stack)
        else:
            crew, reason = _processes_of(executor, recipe, sample, workers)
        if crew is None:
            log.log(logging.WARNING if asked else logging.INFO, "working in threads: %s", reason)
            crew = _own_threads(recipe, workers or available(), stack)
        yield crew


def available() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def unasked(size: int) -> int:
    """Choose a number of workers for a build of so many bytes."""
    return 1 if size < ALONE else min(available(), _MOST)


def _own_threads(recipe: Recipe, workers: int, stack: ExitStack) -> Crew:
    if recipe.read is None and not recipe.encodes:
        return Crew()  # there is nothing that threads could do at the same time
    pool = ThreadPoolExecutor(workers, thread_name_prefix="haversack-pack")
    stack.callback(pool.shutdown, wait=True, cancel_futures=True)
    return Crew(pool, workers)


def _processes_of(
    executor: Any, recipe: Recipe, sample: list[Any], workers: int | None
) -> tuple[Crew | None, str | None]:
    """Work with the caller's executor, or say why that cannot be."""
    count = workers or getattr(executor, "_max_workers", None) or available()
    if isinstance(executor, ThreadPoolExecutor):
        idle = recipe.read is None and not recipe.encodes
        return Crew() if idle else Crew(executor, count), None
    reason = _not_sent(recipe, sample) if isinstance(executor, ProcessPoolExecutor) else None
    if recipe.read is None:
        reason = _ARRAYS
    return (None, reason) if reason else _tried(executor, recipe, sample, count)


def _tried(
    executor: Any, recipe: Recipe, sample: list[Any], count: int
) -> tuple[Crew | None, str | None]:
    try:
        executor.submit(arrived, recipe, sample[0]).result()
    except Exception as error:  # noqa: BLE001 (of whatever executor this is)
        return None, f"worker processes cannot start, or read what they are sent: {error!r:.300}"
    return Crew(executor, count, crosses=True), None


def _own_processes(
    recipe: Recipe, sample: list[Any], workers: int, stack: ExitStack
) -> tuple[Crew | None, str | None]:
    """Start processes, or say why that cannot be."""
    reason = _ARRAYS if recipe.read is None else _not_started() or _not_sent(recipe, sample)
    if reason:
        return None, reason
    context = multiprocessing.get_context("spawn")
    life, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=follow, initargs=(life,))
    stack.push(partial(_end, pool, life, ours))
    for _ in range(workers - 1):
        pool.submit(arrived)
    return _tried(pool, recipe, sample, workers)


def _end(pool: ProcessPoolExecutor, life: Any, ours: Any, *error: Any) -> None:
    """Let idle workers go; where the build failed, end those that are at work, too."""
    if error[0] is not None:
        pool.shutdown(wait=False, cancel_futures=True)
        ours.close()
    pool.shutdown(wait=True, cancel_futures=True)
    ours.close()
    life.close()


_ARRAYS: Final = "items without read= are arrays, which cost more to send than to pack"


def _not_started() -> str | None:
    """Say why no process can be started from here."""
    if multiprocessing.current_process().daemon:
        return "this is a daemonic process, which cannot start others"
    main = sys.modules.get("__main__")
    name = getattr(main, "__file__", None)
    if name is not None and getattr(main, "__spec__", None) is None and not Path(name).exists():
        return f"new processes could not import the main script {name}"
    script = main_runs_again()
    return script and (
        f'{script} begins the build outside of `if __name__ == "__main__":`, and each new process '
        "would run it again: put it there"
    )


def _not_sent(recipe: Recipe, sample: list[Any]) -> str | None:
    """Say what cannot be sent to a process."""
    given = {"read": recipe.read, "key": recipe.key, "codec": recipe.codec, "item 0": sample[0]}
    main = sys.modules.get("__main__")
    if not hasattr(main, "__file__"):
        for name, thing in given.items():
            if getattr(thing, "__module__", None) == "__main__":
                return f"{name} ({thing!r:.100}) is defined in no file that it could be loaded from"
    reason = cannot_cross(**given)
    return reason and f"it cannot be sent to a process: {reason}"
