"""Whether a dataset holds what was acknowledged, and nothing but that and whole other steps."""

import os
import signal
import traceback
import warnings
from itertools import combinations

import numpy as np

from haversack.packed import is_packed, open_packed

from .scenarios import apply, record

NEXT = 9000  # the key that the next writer adds
_SECONDS = 60  # after which a check counts as hung


class BrokenPromiseError(AssertionError):
    """A promise is broken."""


def check(path, scenario, said, *, torn=False):
    """Raise unless the dataset is as it must be after what its writers said.

    With ``torn``, its journal may end in a commit that was cut off.

    Raises
    ------
    BrokenPromiseError
        Something acknowledged is lost, or something else is there.
    """
    errors = [text for _, text in said if text.startswith(("ERROR", "PLAIN"))]
    if errors:
        raise BrokenPromiseError(f"a writer ended in {errors[0][-500:]}")
    if scenario.mend is not None:
        scenario.mend(path)
    visible_now = scenario.visible or visible
    found = visible_now(path, torn=torn)
    by_writer = {}
    for key, step in found:
        by_writer.setdefault(key // 1000, []).append((key, step))
    for number, steps in enumerate(scenario.steps):
        before = [pair for pair in scenario.before if pair[0] // 1000 == number]
        mine = [text for writer, text in said if writer == number]
        allowed = list(_outcomes(steps, mine, dict(before)))
        if by_writer.pop(number, []) not in allowed:
            raise BrokenPromiseError(f"{found} is there after {mine}, not one of {allowed}")
    if by_writer:
        raise BrokenPromiseError(f"there are records that nobody wrote: {by_writer}")
    if scenario.look is not None:
        scenario.look(path, said)
        found = visible_now(path, torn=torn)
    _go_on(path, found, torn, scenario.writer, visible_now)


def _outcomes(steps, said, before):
    """Yield what may be there: all that was acknowledged, and any of what was tried besides."""
    acknowledged = {int(text.split()[1]) for text in said if text.startswith("ACK")}
    tried = {int(text.split()[1]) for text in said if text.startswith("TRY")}
    unsure = sorted(tried - acknowledged)
    for count in range(len(unsure) + 1):
        for more in combinations(unsure, count):
            state = before
            for number in sorted(acknowledged.union(more)):
                state = None if state is None else apply(state, steps[number], number)
            if state is not None:
                yield list(state.items())


def visible(path, *, version=None, torn=False):
    """List the (key, step) of a dataset's records, each read in every way."""
    if not is_packed(path):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = open_packed(path, version=version)
    keys, found = ds.keys(), []
    if not len(ds) == len(keys) == len(set(keys)):
        raise BrokenPromiseError(f"{len(ds)} records with the keys {keys}")
    for position, key in enumerate(keys):
        for one in (ds[position], ds.record(key)):
            array, metadata = record(key, one.metadata.get("step"))
            if one.key != key or one.metadata != metadata:
                raise BrokenPromiseError(
                    f"record {key} has the key {one.key!r} and metadata {one.metadata}"
                )
            if one.data.dtype != array.dtype or not np.array_equal(one.data, array):
                raise BrokenPromiseError(f"record {key} is {one.data!r}")
        found.append((key, metadata["step"]))
    damage = [one for one in ds.verify() if not (torn and is_torn(one))]
    if damage:
        raise BrokenPromiseError(f"verify() finds {damage}")
    return found


def is_torn(damage):
    return damage.path.suffix == ".journal" and damage.what.endswith(
        "are a commit that was cut off or damaged"
    )


def _go_on(path, found, torn, make_writer, visible_now):
    """Be the next writer: add a record, delete one, and find all as it was but for these."""
    expected = [*found, (NEXT, 0)]
    with make_writer(path) as writer:
        array, metadata = record(NEXT, 0)
        writer.append(array, metadata, key=NEXT)
        writer.flush()
        if (now := visible_now(path, torn=torn)) != expected:
            raise BrokenPromiseError(f"after the next append there is {now}, not {expected}")
        writer.delete(expected[0][0])
    if (now := visible_now(path, torn=False)) != expected[1:]:
        raise BrokenPromiseError(f"after the next deletion there is {now}, not {expected[1:]}")


def problems(cases):
    """Check each case in a process forked for many; give what is wrong with each, or None.

    A case is a function of no arguments that raises where something is wrong.
    """
    found = []
    while len(found) < len(cases):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _check_each(cases[len(found) :], writer)
        os.close(writer)
        with open(reader, encoding="utf-8") as file:
            found += [line.strip().replace("\\n", "\n") or None for line in file]
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != 0:
            found.append(f"the check ended with status {status}")
    return found


def _check_each(cases, writer):
    status = 1
    try:
        with open(writer, "w", encoding="utf-8") as file:
            for case in cases:
                signal.alarm(_SECONDS)
                file.write(_problem(case).replace("\n", "\\n") + "\n")
                file.flush()
        status = 0
    finally:
        os._exit(status)


def _problem(case):
    try:
        case()
    except BrokenPromiseError as error:
        return str(error) or "wrong"
    except Exception:  # noqa: BLE001 (whatever it is, it is to be told of)
        return traceback.format_exc()[-1500:]
    return ""
