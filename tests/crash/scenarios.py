"""Small programs that write a packed dataset, with what each of their steps does to it.

A program is called with the dataset's path and a way to begin a step; the steps are lists of what
they do: ``("add", key)``, ``("put", key)``, ``("delete", key)``. A step is acknowledged when its
block has ended. Keys below 1000 are the first writer's, those below 2000 the second's, and so on.
"""

import os
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from haversack.errors import HaversackError
from haversack.packed import PackWriter

ALL = {}


@dataclass(frozen=True)
class Scenario:
    """Programs that run at once, and the steps of each."""

    name: str
    programs: list[Callable[..., None]]
    steps: list[list[list[tuple[str, int]]]]
    prepare: Callable[..., None] | None = None
    before: list[tuple[int, int]] = field(default_factory=list)
    writer: Callable[..., Any] = PackWriter  # what the next writer goes on with
    visible: Callable[..., list[tuple[int, int]]] | None = None  # lists what is there, in its way
    look: Callable[..., None] | None = None  # what more to check of a dataset, given what was said
    mend: Callable[..., object] | None = None  # what to do to a dataset before it is checked
    without: frozenset[str] = frozenset()  # jobs that mean nothing here
    spare: frozenset[str] = frozenset()  # syncs without which no promise is broken

    def ready(self, path):
        """Give the programs with what they are called with."""
        return [
            partial(program, path, Steps(number, steps))
            for number, (program, steps) in enumerate(zip(self.programs, self.steps, strict=True))
        ]


class Direct:
    """A writer each of whose calls is durable when it returns."""

    def flush(self):
        """Do nothing."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Steps:
    """What a program does, step by step, and how it tells of each."""

    def __init__(self, writer, steps):
        self.writer, self._steps = writer, steps
        self.failed, self.left = False, len(steps)

    def __iter__(self):
        return iter(range(len(self._steps)))

    @contextmanager
    def __call__(self, number):
        """Begin a step: yields a function that does to a writer what the step is."""
        say(f"TRY {number}")
        self.failed, self.left = False, len(self._steps) - number - 1
        try:
            yield partial(do, self._steps[number], number)
        except HaversackError as error:
            self.failed = True
            say(f"FAIL {number} {error}")
        except OSError as error:
            self.failed = True
            say(f"PLAIN {number} {error!r} of {traceback.extract_tb(error.__traceback__)[-3:]}")
        else:
            say(f"ACK {number}")


def say(text):
    os.write(1, text.encode())


def do(effects, number, writer):
    """Do to a writer what a step is."""
    for verb, key in effects:
        if verb == "delete":
            writer.delete(key)
        else:
            array, metadata = record(key, number)
            (writer.put if verb == "put" else writer.append)(array, metadata, key=key)


def record(key, step):
    """Give the array and the metadata that a step writes under a key."""
    return np.arange(key % 4 + 2, dtype="u2") + key, {"step": step, "name": f"{key:03}"}


def apply(state, effects, number):
    """Do to a dict, key -> step that wrote it, what a step is; None if that cannot be."""
    state = dict(state)
    for verb, key in effects:
        if verb != "put" and (key in state) == (verb == "add"):
            return None
        state.pop(key, None)
        if verb != "delete":
            state[key] = number
    return state


def scenario(steps, **more):
    """Keep a program, or for several writers what makes each, as a scenario."""

    def keep(program):
        several = isinstance(steps, tuple)
        programs = [program] * len(steps) if several else [program]
        name = program.__name__
        ALL[name] = Scenario(name, programs, list(steps) if several else [steps], **more)
        return program

    return keep


@scenario([[("add", 2 * n), ("add", 2 * n + 1)] for n in range(3)])
def bulk(path, step):
    for number in step:
        with step(number) as change, PackWriter(path, chunk_bytes=6) as writer:
            change(writer)


@scenario([[("add", 0), ("add", 1)], [("add", 2)], [("delete", 0)], [("put", 2), ("delete", 1)]])
def delete(path, step):
    for number in step:
        with step(number) as change, PackWriter(path) as writer:
            change(writer)


JOURNAL = [[("add", 0)], [("add", 1)], [("add", 2), ("put", 0)], [("delete", 1)], []]


@scenario(JOURNAL)
def journal(path, step):
    """Small commits of one writer, and of another only where that one has failed."""
    writer = None
    for number in step:
        with step(number) as change:
            writer = writer or PackWriter(path)
            change(writer)
            writer.flush() if step.left else writer.close()
        writer = None if step.failed else writer


@scenario(JOURNAL)
def stubborn(path, step):
    """One writer that is asked again after it has failed."""
    writer = None
    for number in step:
        with step(number) as change:
            writer = writer or PackWriter(path)
            change(writer)
            writer.flush()


@scenario([[("add", n), ("add", 10 + n)] for n in range(4)] + [[("put", 1)]])
def full_journals(path, step):
    """Journals that are ended and sealed as soon as they have two records."""
    from haversack.packed.journal import log

    vars(log).update(MOST_ROWS=2)
    writer = None
    for number in step:
        with step(number) as change:
            writer = writer or PackWriter(path)
            change(writer)
            writer.flush()
        writer = None if step.failed else writer


@scenario([[("add", n)] for n in range(5)] + [[("delete", 1)]])
def merge(path, step):
    """Commits that merge what those before them wrote."""
    few_chunks()
    for number in step:
        with step(number) as change, PackWriter(path) as writer:
            change(writer)


def few_chunks():
    from haversack.packed.writing import smallchunks

    vars(smallchunks).update(MOST=2)


@scenario(([[("add", 0)], [("add", 1), ("delete", 0)]], [[("add", 1000)], [("add", 1001)]]))
def two_writers(path, step):
    """Two processes that close after each commit, and so seal the journal."""
    for number in step:
        with step(number) as change, PackWriter(path) as writer:
            change(writer)


@scenario(([[("add", n)] for n in range(3)], [[("add", 1000)], [("put", 1000)], [("add", 1001)]]))
def two_in_a_journal(path, step):
    """Two processes that append to one journal, and leave it."""
    writer = None
    for number in step:
        with step(number) as change:
            writer = writer or PackWriter(path)
            change(writer)
            writer.flush()
        writer = None if step.failed else writer
