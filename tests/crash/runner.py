"""Put a scenario through its faults and power cuts, count them, and list what went wrong."""

import copy
import random
import shutil
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from .place import BATCH, Place, Tally
from .power import Disk, cuts
from .tracer import Fault, run

ERRORS = ("ENOSPC", "EIO", "EINTR", "late EIO", "short", "reading EIO")
_FEW = 20  # states checked at each point of another fault
_SAMPLED = 12  # and of a sample


def struck(scenario, kind, *, share=(0, 1), sample=None, writer=None):
    """Run a scenario once for each call that a fault may befall, and check what is left.

    ``share`` is which of how many parts of the points to take, ``sample`` how many to draw.
    """
    tally, cases = Tally(), []
    torn = kind not in {"kill", "hold"}
    with Place() as place:
        for at in _points(place, scenario, kind, share, sample, writer):
            root, _, done = _strike(place, scenario, Fault(kind, at, writer), sampled=bool(sample))
            if done.struck is None:
                break
            tally.counts[kind] += 1
            name = f"{scenario.name}: {kind} at call {done.met - 1}, {done.struck}"
            if kind == "kill" and done.ends[done.struck.writer] != -9:
                tally.wrong.append(f"{name}: was not killed")
            cases.append((name, scenario, root, done.said))
            if len(cases) == BATCH:
                place.check(cases, tally, torn=torn)
                cases = []
        place.check(cases, tally, torn=torn)
    return tally


def _strike(place, scenario, fault, *, sampled):
    """Run a scenario with a fault; give its place, the disk as it was before, and the run.

    Processes that race make more calls in one run than in another: where a drawn one is not
    reached, an earlier one is struck.
    """
    while True:
        root = place.new(scenario)
        disk = Disk(root)
        done = run(scenario.ready(root / "ds"), root, fault)
        if done.struck is not None or not sampled or fault.at == 0:
            return root, disk, done
        shutil.rmtree(root)
        fault = replace(fault, at=fault.at // 2)


def _points(place, scenario, kind, share, sample, writer):
    """Give the numbers of the calls to strike: all, until one is not reached, or some."""
    if sample is None:
        return range(share[0], 1 << 30, share[1])
    root = place.new(scenario)
    count = run(scenario.ready(root / "ds"), root, Fault(kind, 1 << 30, writer)).met
    return random.Random(f"{scenario.name} {kind}").sample(range(count), min(sample, count))


def powerless(scenario, *, share=(0, 1), sample=None):
    """Run a scenario once, and check every state that a power cut may leave."""
    tally = Tally()
    with Place() as place:
        root = place.new(scenario)
        disk = Disk(root)
        done = run(scenario.ready(root / "ds"), root)
        if sample is None:
            states = list(islice(cuts(disk, done.calls), share[0], None, share[1]))
        else:
            chance, count = random.Random(scenario.name), len(done.calls)
            instants = chance.sample(range(count), min(_SAMPLED * sample, count))
            states = list(cuts(disk, done.calls, instants=instants))
            states = chance.sample(states, min(_SAMPLED * sample, len(states)))
        tally.counts["power cut"] += len(states)
        place.check_states(f"{scenario.name}: power cut", scenario, states, tally)
    return tally


def powerless_after(scenario, kind, *, share=(0, 1), sample=None, writer=None):
    """Cut the power after something else went wrong, and somebody went on.

    With ``kill``, a writer was killed and the next one went on, with ``kill in sync EIO`` in a sync
    that failed; with ``sync EIO``, a sync failed; with ``hold``, a writer made its call only after
    the others had ended.
    """
    tally, chance = Tally(), random.Random(f"{scenario.name} {kind}")
    with Place() as place:
        for at in _points(place, scenario, kind, share, sample, writer):
            fault = Fault(kind, at, writer)
            root, disk, done = _strike(place, scenario, fault, sampled=bool(sample))
            if done.struck is None:
                break
            affected, calls, since = scenario, done.calls, done.since
            if kind.startswith("kill"):
                affected, calls = _succeeded(scenario, calls, root)
                since = len(calls) - 1
            states = list(cuts(disk, calls, since=since, chance=chance))
            states = chance.sample(states, min(_SAMPLED if sample else _FEW, len(states)))
            tally.counts[f"{kind}, then power cut"] += len(states)
            name = f"{scenario.name}: {kind} at call {done.met - 1}, {done.struck}, then power cut"
            place.check_states(name, affected, states, tally)
            shutil.rmtree(root)
    return tally


def _succeeded(scenario, calls, root):
    """Let another writer go on: the scenario with it, and the calls with its calls."""
    number = len(scenario.programs)
    after = replace(
        scenario,
        programs=[*scenario.programs, partial(_succeed, scenario.writer)],
        steps=[*scenario.steps, [[("add", 1000 * number)]]],
    )
    done = run(after.ready(root / "ds")[-1:], root)
    if not done.said[-1][1].startswith("ACK"):
        raise AssertionError(f"the next writer failed: {done.said}")
    return after, [*calls, *(replace(call, writer=number) for call in done.calls)]


def _succeed(make_writer, path, step):
    with step(0) as change:
        writer = make_writer(path)
        change(writer)
        writer.flush()


def unsynced(scenario):
    """Leave out each kind of sync, and say whether a power cut then breaks a promise."""
    with Place() as place:
        root = place.new(scenario)
        disk = Disk(root)
        calls = run(scenario.ready(root / "ds"), root).calls
        kinds = sorted({_kind(call) for call in calls if call.is_sync})
        return {
            kind: _is_noticed(place, scenario, copy.deepcopy(disk), calls, kind) for kind in kinds
        }


def _kind(sync):
    path = Path(sync.paths[0])
    return f"data in {path.parent}" if "." in path.name[1:] else f"names in {path}"


def _is_noticed(place, scenario, disk, calls, kind):
    states = cuts(disk, calls, left_out=lambda call: _kind(call) == kind)
    acknowledged = (
        state for state in states if any(said.startswith("ACK") for _, said in state[1])
    )
    while batch := list(islice(acknowledged, BATCH)):
        tally = Tally()
        place.check_states(kind, scenario, batch, tally)
        if tally.wrong:
            return True
    return False
