"""A loader goes on at the exact batch: in another process, on another day, on the same data."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import UsageError
from haversack.packed import PackWriter, open_packed, open_snapshot, pack

COUNT = 101
GO_ON = """
import hashlib, json, sys
from haversack.packed import open_snapshot
path, given, state = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
loader = open_snapshot(path, state["snapshot"]).batches(**given)
loader.load_state_dict(state)
for _ in range(2):
    for batch in loader:
        print(batch.indices.tolist(), hashlib.sha256(batch.data).hexdigest())
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("resume") / "ds"
    rng = np.random.default_rng(0)
    pack([(rng.integers(0, 9999, (40, 50), "u2"), {}) for _ in range(COUNT)], path)
    return path


def contents(batches):
    return [(batch.indices.tolist(), batch.data.tobytes()) for batch in batches]


def test_two_ranks_resumed_in_other_processes_give_the_rest_to_the_byte(path):
    wanted, rest, seen = [], [], []
    for rank in range(2):
        given: dict[str, Any] = {
            "size": 4,
            "shuffle": True,
            "seed": 5,
            "threads": 2,
            "rank": rank,
            "world": 2,
        }
        loader = open_packed(path).batches(**given)
        batches = iter(loader)
        seen += [next(batches) for _ in range(5)]
        state = json.dumps(loader.state_dict())
        lines = _run(GO_ON, str(path), json.dumps(given), state).splitlines()
        wanted += [_line(batch) for epoch in (batches, loader) for batch in epoch]
        rest += lines
        seen += [json.loads(line.split("]")[0] + "]") for line in lines[: len(loader) - 5]]
    assert rest == wanted
    found = [getattr(batch, "indices", batch) for batch in seen]
    assert sorted(index for part in found for index in part) == list(range(COUNT))


def _run(program, *arguments):
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _line(batch):
    import hashlib

    return f"{batch.indices.tolist()} {hashlib.sha256(batch.data).hexdigest()}"


@settings(max_examples=60)
@given(
    size=st.integers(1, 40),
    world=st.integers(1, 3),
    threads=st.integers(0, 2),
    prefetch=st.none() | st.integers(0, 4),
    window=st.none() | st.integers(1, 120),
    stop=st.integers(0, 60),
    seed=st.integers(0, 3),
)
def test_stopped_anywhere_the_rest_is_the_same(
    path, size, world, threads, prefetch, window, stop, seed
):
    with open_packed(path) as ds:
        given = {"shuffle": True, "window": window, "seed": seed, "rank": world - 1, "world": world}
        whole = contents(ds.batches(size, epoch=2, **given))
        loader = ds.batches(size, epoch=2, threads=threads, prefetch=prefetch, **given)
        batches = iter(loader)
        stop = min(stop, len(loader))
        assert contents(next(batches) for _ in range(stop)) == whole[:stop]
        state = json.loads(json.dumps(loader.state_dict()))
        assert (state["epoch"], state["batches"]) == (2, stop)
        other = ds.batches(size, **given)
        other.load_state_dict(state)
        assert other.state_dict() == state
        assert contents(other) == whole[stop:]
        assert other.epoch == 3


def test_batches_that_were_only_prefetched_do_not_count(path):
    loader = open_packed(path).batches(1, threads=4, prefetch=50)
    for number, _ in enumerate(loader, 1):
        assert loader.state_dict()["batches"] == number
    assert loader.state_dict() | {"epoch": 1, "batches": 0} == loader.state_dict()


def test_a_loop_over_epochs_goes_on_where_it_was_stopped(path):
    def train(stop, state):
        loader = open_packed(path).batches(30, shuffle=True)
        if state:
            loader.load_state_dict(state)
        for epoch in range(loader.epoch, 3):
            loader.set_epoch(epoch)
            for batch in loader:
                done.append((epoch, batch.indices.tolist()))
                if len(done) == stop:
                    return loader.state_dict()
        return None

    done = []
    assert train(None, None) is None
    whole = done
    assert len(whole) == 12
    for stop in range(1, 12):
        done = []
        state = train(stop, None)
        assert train(None, state) is None
        assert done == whole


def test_a_pickled_loader_goes_on_where_it_stands(path):
    loader = open_packed(path).batches(20, shuffle=True, threads=1)
    for number, _ in enumerate(loader):
        if number == 2:
            break
    again = pickle.loads(pickle.dumps(loader))
    assert again.state_dict() == loader.state_dict()
    assert len(list(again)) == 3
    assert contents(again) == contents(loader)


def test_workers_share_what_one_would_give_and_each_goes_on_with_its_share(path):
    def loader():
        return open_packed(path).batches(5, shuffle=True, rank=1, world=2)

    whole = contents(loader())
    shares = [contents(loader().share(worker, 3)) for worker in range(3)]
    assert [shares[n % 3][n // 3] for n in range(len(whole))] == whole
    first = loader()
    batches = first.share(1, 3)
    assert contents([next(batches)]) == shares[1][:1]
    state = json.loads(json.dumps(first.state_dict()))
    second = loader()
    second.load_state_dict(state)
    with pytest.raises(UsageError, match="worker 1 of 3"):
        iter(second)
    assert contents(second.share(1, 3)) == shares[1][1:]


OTHER = [
    {"size": 8},
    {"seed": 1},
    {"rank": 1},
    {"world": 3},
    {"shuffle": False},
    {"window": 50},
    {"drop_last": True},
    {"even": True},
]


@pytest.mark.parametrize("other", OTHER, ids=str)
def test_the_state_of_another_loader_is_refused(path, other):
    ds = open_packed(path)
    given: dict[str, Any] = {"size": 7, "shuffle": True, "rank": 0, "world": 2}
    state = ds.batches(**given).state_dict()
    loader = ds.batches(**{**given, **other})
    with pytest.raises(UsageError, match=f"cannot go on.*{next(iter(other))}"):
        loader.load_state_dict(state)
    loader = ds.batches(**given, threads=3, prefetch=1)
    loader.load_state_dict(state)


def test_a_state_of_orders_that_are_no_longer_made_is_refused(path):
    loader = open_packed(path).batches(7, shuffle=True)
    with pytest.raises(UsageError, match="cannot go on.*format"):
        loader.load_state_dict(loader.state_dict() | {"format": 1})


def test_states_of_selections_go_with_the_same_selection_only(path):
    ds = open_packed(path)
    state = ds[10:60].batches(7).state_dict()
    chosen = ds[[5, 6, 8]].batches(7).state_dict()
    ds[10:60].batches(7).load_state_dict(state)
    ds[np.array([5, 6, 8])].batches(7).load_state_dict(chosen)
    for wrong in (ds, ds[10:61], ds[11:61], ds[[5, 6, 9]], ds[[6, 5, 8]]):
        for one in (state, chosen):
            with pytest.raises(UsageError, match="cannot go on"):
                wrong.batches(7).load_state_dict(one)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "x"},
        {"batches": -1},
        {"batches": 999},
        {"batches": None},
        {"share": 3},
        {"share": [0, 0, 0]},
        {"format": 3},
        {"snapshot": {}},
    ],
    ids=str,
)
def test_states_that_make_no_sense_are_refused_and_change_nothing(path, change):
    loader = open_packed(path).batches(7)
    state = loader.state_dict()
    for wrong in ({**state, **change}, {}):
        with pytest.raises(UsageError):
            loader.load_state_dict(wrong)
    assert loader.state_dict() == state


def test_a_loader_stays_at_its_version_while_others_append(tmp_path):
    path = tmp_path / "ds"
    with PackWriter(path) as writer:
        for n in range(30):
            writer.append(np.full(3, n))
    ds = open_packed(path)
    loader = ds.batches(4, shuffle=True)
    batches = iter(loader)
    seen = [next(batches) for _ in range(3)]
    with PackWriter(path) as writer:
        for n in range(30, 50):
            writer.append(np.full(3, n))
            writer.flush()
        ds.refresh()
        assert len(ds) == 50
        state = loader.state_dict()
        seen += list(batches)
        assert sorted(i for b in seen for i in b.data[:, 0].tolist()) == list(range(30))
        assert sorted(i for b in loader for i in b.data[:, 0].tolist()) == list(range(30))
    with pytest.raises(UsageError, match="open_snapshot"):
        ds.batches(4, shuffle=True).load_state_dict(state)
    again = open_snapshot(path, state["snapshot"]).batches(4, shuffle=True)
    again.load_state_dict(state)
    assert contents(again) == contents(seen[3:])


def test_a_state_of_a_journal_comes_back_to_its_records(tmp_path):
    path = tmp_path / "ds"
    writer = PackWriter(path)
    for n in range(20):
        writer.append(np.full(3, n))
        writer.flush()
    loader = open_packed(path).batches(3, shuffle=True)
    batches = iter(loader)
    next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    writer.append(np.full(3, 20))
    writer.flush()
    again = open_snapshot(path, state["snapshot"]).batches(3, shuffle=True)
    again.load_state_dict(state)
    assert contents(again) == contents(batches)
    writer.close()


INTERRUPTED = """
import sys, threading, time
from haversack.packed import open_packed

def slowly(batch):
    time.sleep(0.02)
    return batch

loader = open_packed(sys.argv[1]).batches(1, threads=int(sys.argv[2]), transform=slowly)
try:
    for _ in range(1000):
        for batch in loader:
            print("drawn", flush=True)
except KeyboardInterrupt:
    pass
print("threads", threading.active_count())
"""


@pytest.mark.parametrize("threads", ["0", "2"])
def test_an_interrupt_ends_the_loop_and_its_threads(path, threads):
    command = [sys.executable, "-c", INTERRUPTED, str(path), threads]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "drawn\n"
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        *_, last = process.stdout.read().splitlines()
        assert last == "threads 1"
        assert process.wait(30) == 0
