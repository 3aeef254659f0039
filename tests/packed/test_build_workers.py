"""Whoever works, and however many, a build makes the same chunks of its items in their order."""

import logging
import operator
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from haversack.errors import KeyExistsError, UnsupportedError, UsageError, WorkerDiedError
from haversack.packed import open_packed, pack
from haversack.packed.build import building, crew, crossing, runs

from .building import check_nothing_else, content, finish, start, wait_for

# What a new process can import: these tests it perhaps cannot.
COUNT = 300
ITEMS: list[Any] = [partial(np.full, n % 4 + 1, n, "u2") for n in range(COUNT)]


@pytest.fixture
def small_runs(monkeypatch):
    monkeypatch.setattr(runs, "SMALLEST", 100)
    monkeypatch.setattr(runs, "UNKNOWN", 400)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        yield executor


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(3) as executor:
        yield executor


class Duck:
    """Anything that can submit: here it works at once, and a little late."""

    def submit(self, work, *arguments):
        future = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future


def values(ds):
    return [int(r.data.flat[0]) for r in ds]


@pytest.mark.parametrize(("sized", "codec"), [(True, "none"), (False, "zstd"), (True, "auto")])
def test_all_workers_make_the_same_chunks(tmp_path, small_runs, processes, threads, sized, codec):
    crews = {
        "one": {"workers": 1},
        "four": {"workers": 4},
        "thread pool": {"executor": threads},
        "processes": {"executor": processes},
        "many processes": {"executor": processes, "workers": 40},
        "duck": {"executor": Duck()},
    }
    made = {}
    for name, options in crews.items():
        items = ITEMS if sized else iter(ITEMS)
        pack(items, tmp_path / name, read=operator.call, codec=codec, **options).close()
        made[name] = content(tmp_path / name)
        check_nothing_else(tmp_path / name)
        assert values(open_packed(tmp_path / name)) == list(range(COUNT))
    assert len(made["one"][0]) > 5
    assert all(found == made["one"] for found in made.values())


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("codec", ["none", "blosc-lz4"])
def test_arrays_that_share_memory_are_kept_apart(tmp_path, small_runs, workers, codec):
    def give():
        buffer, numbers = np.zeros(5, "i4"), [0]
        metadata = {"n": 0, "list": numbers}
        for number in range(COUNT):
            buffer[:], numbers[0], metadata["n"] = number, number, number
            yield buffer, metadata

    ds = pack(give(), tmp_path / "ds", codec=codec, workers=workers)
    assert [r.data.tolist() for r in ds] == [[n] * 5 for n in range(COUNT)]
    assert [r.metadata for r in ds] == [{"n": n, "list": [n]} for n in range(COUNT)]


@pytest.mark.parametrize("nbytes", [10, 100_000])
def test_a_reader_that_uses_its_buffer_again_is_taken_as_it_is(tmp_path, nbytes):
    buffer = np.zeros(nbytes, "u1")

    def read(number):
        buffer[:] = number
        return buffer

    ds = pack(range(200), tmp_path / "ds", read=read)
    assert values(ds) == list(range(200))


def test_two_processes_of_our_own_make_what_one_makes(tmp_path, small_runs):
    one = pack(ITEMS, tmp_path / "one", read=operator.call, workers=1)
    two = pack(ITEMS, tmp_path / "two", read=operator.call, workers=2)
    assert values(one) == values(two) == list(range(COUNT))
    assert content(tmp_path / "one") == content(tmp_path / "two")
    check_nothing_else(tmp_path / "two")


def test_few_items_are_read_by_all_processes(tmp_path, processes):
    tell = ["sh", "-c", "sleep 0.3; exit $((PPID % 200))"]  # which process has called it
    items = [partial(subprocess.call, tell)] * 4
    ds = pack(items, tmp_path / "ds", read=operator.call, executor=processes)
    assert len(ds._snapshot.manifest.chunks) == 1
    assert len(set(values(ds))) == 2


def test_progress_of_processes_reaches_the_end(tmp_path, small_runs, processes):
    events = []
    pack(
        ITEMS,
        tmp_path / "ds",
        read=operator.call,
        executor=processes,
        progress=events.append,
    )
    done = [event.done for event in events]
    assert done == sorted(done)
    assert (events[-1].done, events[-1].total) == (COUNT, COUNT)


# What cannot be sent.


@pytest.mark.parametrize("what", ["read", "key", "item"])
@pytest.mark.parametrize("given", ["workers", "executor"])
def test_what_cannot_be_sent_to_a_process_is_named_and_read_in_threads(
    tmp_path, small_runs, processes, caplog, what, given
):
    seen, items = set(), [*ITEMS]
    read: Any = operator.call
    key: Any = None

    def local(item):
        seen.add(threading.current_thread())
        return item()

    if what == "read":
        read = local
    elif what == "key":
        counted = iter(range(1000))
        key = lambda item: next(counted)  # noqa: E731
    else:
        items = [lambda n=n: np.full(2, n, "u2") for n in range(COUNT)]
    options = {"workers": 2} if given == "workers" else {"executor": processes, "workers": 2}
    ds = pack(items, tmp_path / "ds", read=read, key=key, **options)
    assert values(ds) == list(range(COUNT))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.name.startswith("haversack")
    assert "working in threads" in record.message
    assert what in record.message
    assert "<lambda>" in record.message or "local" in record.message
    if what == "read":
        assert threading.current_thread() not in seen


def test_an_item_that_cannot_be_sent_among_others_is_read_here(
    tmp_path, small_runs, processes, caplog
):
    items = [*ITEMS[:200], lambda: np.full(1, 200, "u2"), *ITEMS[201:]]
    ds = pack(items, tmp_path / "ds", read=operator.call, executor=processes)
    assert values(ds) == list(range(COUNT))
    assert "cannot be sent to a process" in caplog.text
    check_nothing_else(tmp_path / "ds")


def test_arrays_are_not_sent(tmp_path, processes, caplog):
    caplog.set_level(logging.INFO, logger="haversack")
    ds = pack([np.full(3, n) for n in range(9)], tmp_path / "ds", executor=processes)
    assert values(ds) == list(range(9))
    assert "cost more to send" in caplog.text


UNGUARDED = """
import operator, sys
from functools import partial
import numpy as np
import haversack
open(sys.argv[2], "a").write("run\\n")
{}
ds = haversack.pack([1.5, 2.5], sys.argv[1], read=read, workers=2)
print(len(ds))
"""
READERS = {"imported": "read = np.atleast_1d", "its own": "def read(n):\n    return [n]"}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("how", ["a file", "stdin", "-c"])
def test_a_script_without_a_guard_is_run_once(tmp_path, reader, how):
    text = UNGUARDED.format(READERS[reader])
    script = tmp_path / "script.py"
    script.write_text(text)
    first = {"a file": [str(script)], "stdin": ["-"], "-c": ["-c", text]}[how]
    arguments = [sys.executable, *first, str(tmp_path / "ds"), str(tmp_path / "log")]
    done = subprocess.run(
        arguments, input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2\n"
    assert (tmp_path / "log").read_text() == "run\n"
    assert "Traceback" not in done.stderr
    if how == "a file":
        assert 'begins the build outside of `if __name__ == "__main__":`' in done.stderr


def test_a_worker_that_imports_the_script_does_not_build(tmp_path, monkeypatch):
    import multiprocessing

    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UsageError, match="__main__"):
        pack([[1]], tmp_path / "ds")


def test_a_process_without_children_works_in_threads(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(crew.multiprocessing, "current_process", Daemon)
    ds = pack(ITEMS, tmp_path / "ds", read=operator.call, workers=2)
    assert values(ds) == list(range(COUNT))
    assert "daemonic" in caplog.text


class Daemon:
    daemon = True


# Failures.


@pytest.mark.parametrize("kind", ["one", "threads", "processes", "slices"])
def test_the_first_bad_item_is_named_whoever_reads_it(
    tmp_path, small_runs, processes, threads, kind, monkeypatch
):
    if kind == "slices":
        monkeypatch.setattr(building.Building, "_many", lambda *_: False)
    bad = {70: partial(int, "x"), 200: partial(int, "y")}
    items = [bad.get(number, item) for number, item in enumerate(ITEMS)]
    executor = {"one": None, "threads": threads}.get(kind, processes)
    with pytest.raises(UsageError, match=r"item 70 \(functools.partial.*ValueError: inv") as caught:
        pack(items, tmp_path / "ds", read=operator.call, executor=executor)
    assert isinstance(caught.value.__cause__, ValueError)
    assert list(tmp_path.iterdir()) == []


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def test_errors_that_cannot_be_sent_are_told(tmp_path):
    sent = crossing._sendable(OddError(1, 2))
    assert str(sent) == "OddError: 1 and 2"
    assert "in a worker process" in sent.__notes__[0]


@pytest.mark.parametrize("kind", ["whole", "slices"])
@pytest.mark.parametrize("death", ["kill", pytest.param("exit", marks=pytest.mark.slow)])
@pytest.mark.parametrize("given", ["workers", "executor"])
def test_a_worker_that_dies_ends_the_build_with_the_items_that_it_had(
    tmp_path, small_runs, kind, death, given, monkeypatch
):
    if kind == "slices":
        monkeypatch.setattr(building.Building, "_many", lambda *_: False)
    how = {"exit": partial(os._exit, 3), "kill": partial(signal.raise_signal, signal.SIGKILL)}
    items = [*ITEMS[:280], how[death], *ITEMS[281:]]
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        options = {"workers": 2} if given == "workers" else {"executor": executor}
        with pytest.raises(WorkerDiedError, match=r"worker process died .* item"):
            pack(items, tmp_path / "ds", read=operator.call, **options)
    ds = pack(ITEMS, tmp_path / "ds", read=operator.call)
    assert values(ds) == list(range(COUNT))
    check_nothing_else(tmp_path / "ds")


@pytest.mark.parametrize("how", ["1", "2", "processes"])
def test_ctrl_c_ends_a_build_soon_and_for_the_time_being(tmp_path, how):
    path, log = tmp_path / "ds", tmp_path / "log"
    process = start(tmp_path, path, log, pause=0.01, how=how)
    wait_for(lambda: log.exists() and log.stat().st_size > 500)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in err
    assert list(path.rglob("*.partial")) == []
    finish(start(tmp_path, path, log, how="1"))
    assert len(open_packed(path)) > 300


# Items that are left out.


@pytest.mark.parametrize("kind", ["one", "threads", "processes", "slices"])
def test_bad_items_are_left_out_and_reported(
    tmp_path, small_runs, processes, threads, kind, monkeypatch
):
    if kind == "slices":
        monkeypatch.setattr(building.Building, "_many", lambda *_: False)
    bad = {3: partial(int, "x"), 200: partial(np.array, [object()]), 299: partial(dict)}
    items = [bad.get(number, item) for number, item in enumerate(ITEMS)]
    executor = {"one": None, "threads": threads}.get(kind, processes)
    skipped = []
    ds = pack(
        items,
        tmp_path / "ds",
        read=operator.call,
        executor=executor,
        errors="skip",
        report=skipped.append,
    )
    assert [each.number for each in skipped] == [3, 200, 299]
    assert skipped[0].error.startswith("ValueError: invalid literal")
    assert str(skipped[1]).startswith("item 200 (functools.partial(<built-in function array>")
    assert values(ds) == [n for n in range(COUNT) if n not in bad]
    check_nothing_else(tmp_path / "ds")


def test_items_that_are_left_out_are_logged(tmp_path, caplog):
    ds = pack([[1], "x", [2]], tmp_path / "ds", errors="skip")
    assert [r.data.tolist() for r in ds] == [[1], [2]]
    assert [record.message for record in caplog.records] == [
        "left out: item 1 ('x'): UnsupportedError: a record is an array of numbers, not a str"
    ]


def test_nothing_but_bad_items_make_an_empty_dataset(tmp_path):
    skipped = []
    ds = pack(["x"] * 3, tmp_path / "ds", errors="skip", report=skipped.append)
    assert (len(ds), len(skipped)) == (0, 3)
    with pytest.raises(UsageError, match="errors"):
        pack([], tmp_path / "other", errors="ignore")  # type: ignore[arg-type]


# Keys of different runs.


def keyed(keys: Any) -> list[Any]:
    return [(np.full(1, number, "u2"), {"k": key}) for number, key in enumerate(keys)]


def test_a_key_of_an_earlier_run_is_refused(tmp_path, small_runs):
    keys = [f"k{n}" for n in range(COUNT)]
    keys[250] = "k7"
    with pytest.raises(KeyExistsError, match=r"item 250 .*'k7' was given before"):
        pack(keyed(keys), tmp_path / "ds", key="k")
    assert list(tmp_path.iterdir()) == []


def test_keys_of_two_types_are_refused_across_runs(tmp_path, small_runs):
    keys = [*map(str, range(200)), *range(200, COUNT)]
    with pytest.raises(UsageError, match=r"item \d+ .*all text or all integers"):
        pack(keyed(keys), tmp_path / "ds", key="k")
    with pytest.raises(UnsupportedError, match="item 200"):
        pack(keyed([*range(200), 1.5]), tmp_path / "ds", key="k")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(4))
def test_records_whose_keys_were_given_before_are_left_out(tmp_path, small_runs, seed):
    chance = np.random.default_rng(seed)
    keys = [f"k{n}" for n in chance.integers(0, 250, COUNT)]
    keys[100:120] = [7] * 20 if seed else keys[100:120]  # type: ignore[list-item]
    first = {}
    for number, key in enumerate(keys):
        if isinstance(key, str):
            first.setdefault(key, number)
    skipped = []
    ds = pack(keyed(keys), tmp_path / "ds", key="k", errors="skip", report=skipped.append)
    assert values(ds) == sorted(first.values())
    assert ds.keys() == [keys[n] for n in sorted(first.values())]
    assert [r.metadata["k"] for r in ds] == ds.keys()
    assert [s.number for s in skipped] == sorted(set(range(COUNT)) - set(first.values()))
    check_nothing_else(tmp_path / "ds")


def test_records_without_keys_stand_beside_others(tmp_path, small_runs):
    ds = pack(range(COUNT), tmp_path / "ds", read=lambda n: [n], key=lambda n: n if n % 2 else None)
    assert ds.keys() == [n if n % 2 else None for n in range(COUNT)]


# How long runs are.


def test_runs_do_not_depend_on_workers_and_chunks_are_not_tiny():
    assert runs.run_length([784] * 64, 60_000, 1 << 30) == 16_384
    assert runs.run_length([784] * 64, None, 1 << 30) == 65_536
    assert runs.run_length([600_000] * 64, 1_000_000, 1 << 30) == 512
    assert runs.run_length([600_000] * 64, 100_000_000, 1 << 40) == 65_536
    assert runs.run_length([600_000] * 64, 1_000_000, 10_000_000) == 512  # of many chunks
    assert runs.run_length([600_000] * 64, 1_000_000, 20_000_000) == 32
    assert runs.run_length([5_000_000_000], 10, 1 << 30) == 1
    assert runs.run_length([], None, 1) == 1 << 18
    assert runs.run_length([0] * 64, 1 << 40, 1 << 30) == 1 << 18


def test_many_small_chunks_are_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "UNKNOWN", 1 << 20)
    first = [np.zeros(30_000, "u1")] * 64  # as if all were large
    ds = pack(iter([*first, *(np.full(3, n, "i4") for n in range(3000))]), tmp_path / "ds")
    assert len(ds._snapshot.manifest.chunks) <= 65
    assert [int(r.data[0]) for r in ds][64:] == list(range(3000))
    check_nothing_else(tmp_path / "ds")
