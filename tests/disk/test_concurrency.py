"""Many writers at once lose nothing and wait for nobody, and a killed one leaves nothing half."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.crash.check import is_torn

from haversack.disk import DiskDataset
from haversack.errors import KeyExistsError, RecordNotFoundError

WRITER = """
import sys
import numpy as np
from haversack.disk import DiskDataset
from haversack.packed.journal import log

log.MOST_ROWS = int(sys.argv[3])  # so that journals end while all write
dataset = DiskDataset("images")
for number in range(int(sys.argv[2])):
    dataset.add_image(f"{sys.argv[1]} {number}", "s", np.full(500, number), {"number": number})
    print(number, flush=True)
"""

# What a dict would hold after so many steps: each puts one image in place, or removes one.
STEPS = """
def plan(step):
    return f"image {step % 5}", None if step % 4 == 3 else step

def apply(model, step):
    name, value = plan(step)
    model.pop(name, None) if value is None else model.update({name: value})
"""
CHANGER = (
    STEPS
    + """
import sys
import numpy as np
from haversack.disk import DiskDataset
from haversack.packed.journal import log

log.MOST_ROWS = 30
dataset, model = DiskDataset("images"), {}
first = int(sys.argv[1])
for step in range(first):
    apply(model, step)
for step in range(first, first + 10_000):
    name, value = plan(step)
    if value is not None:
        dataset.add_image(name, "s", np.full(300, value), {"step": step}, replace=True)
    elif name in model:
        dataset.remove_image(name, "s")
    apply(model, step)
    print(step, flush=True)
"""
)


def start(cwd, name, count, rows=16_384):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(count), str(rows)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    )


def start_changer(cwd, step):
    return subprocess.Popen(
        [sys.executable, "-c", CHANGER, str(step)], cwd=cwd, stdout=subprocess.PIPE, text=True
    )


def killed(writer, least, pause):
    """Kill a writer a moment after so many numbers; give all that it has told."""
    told = [writer.stdout.readline() for _ in range(least)]
    time.sleep(pause)
    os.kill(writer.pid, signal.SIGKILL)
    told += writer.stdout.read().split("\n")[:-1]
    return [int(line) for line in told]


def test_eight_threads_and_four_processes_together_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("haversack.packed.journal.log.MOST_ROWS", 40)
    writers = [start(tmp_path, str(name), 25, rows=40) for name in range(4)]
    dataset = DiskDataset(tmp_path / "images", lock_timeout_sec=0)

    def add(number):
        dataset.add_image(f"thread {number}", "s", np.full(500, number))
        return int(dataset.load_image(f"thread {number}", "s")[0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(add, range(64))) == list(range(64))
    for writer in writers:
        assert writer.communicate(timeout=100)[0].split() == [str(n) for n in range(25)]
    assert len(dataset) == 164
    for name in range(4):
        assert [int(dataset.load_image(f"{name} {n}", "s")[0]) for n in range(25)] == [*range(25)]
    dataset.close()
    assert dataset.verify() == []
    assert len(DiskDataset(tmp_path / "images").metadata()) == 164


def test_of_writers_of_one_image_one_wins_and_the_others_are_told(tmp_path):
    def add(value):
        try:
            DiskDataset(tmp_path / "images").add_image("a", "s", np.array(value))
        except KeyExistsError:
            return None
        return value

    with ThreadPoolExecutor(6) as pool:
        (winner,) = [value for value in pool.map(add, range(6)) if value is not None]
    assert DiskDataset(tmp_path / "images").load_image("a", "s") == winner


@pytest.mark.parametrize("shared", [True, False])
def test_all_who_make_one_image_at_once_get_the_same(tmp_path, shared):
    one = DiskDataset(tmp_path / "images")
    for name in range(5):

        def get(value, name=name):
            dataset = one if shared else DiskDataset(tmp_path / "images")
            return int(dataset.get_or_add(f"m{name}", "s", lambda: np.array(value)))

        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(get, range(6)))) == 1


def test_each_writer_goes_by_what_the_others_have_committed(tmp_path):
    one, other = DiskDataset(tmp_path / "images"), DiskDataset(tmp_path / "images")
    one.add_image("warm", "s", np.array(0))
    other.add_image("up", "s", np.array(0))
    for turn in range(3):
        one.add_image("a", "s", np.array(turn))
        with pytest.raises(KeyExistsError, match="'a'"):
            other.add_image("a", "s", np.array(9))
        other.remove_image("a", "s")
        with pytest.raises(RecordNotFoundError, match="'a'"):
            one.remove_image("a", "s")
        one.add_image("a", "s", np.array(turn + 10))
        other.remove_image("a", "s")
        other.add_images((f"bulk {turn} {n}", "s", np.array(n)) for n in range(3))
        with pytest.raises(KeyExistsError, match=f"bulk {turn} 1"):
            one.add_image(f"bulk {turn} 1", "s", np.array(0))
        other.close()
        one.remove_image(f"bulk {turn} 1", "s")
    assert len(one) == 2 + 3 * 2


def test_a_forked_process_writes_by_itself(tmp_path):
    dataset = DiskDataset(tmp_path / "images")
    for number in range(3):
        dataset.add_image(f"before {number}", "s", np.array(number))

    def child():
        assert dataset.load_image("before 1", "s") == 1
        dataset.add_image("child", "s", np.array(7))
        with pytest.raises(KeyExistsError):
            dataset.add_image("before 2", "s", np.array(0))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    dataset.add_image("parent", "s", np.array(8))
    process.join(60)
    assert process.exitcode == 0
    dataset.add_image("after", "s", np.array(9))
    assert [int(dataset.load_image(n, "s")) for n in ("child", "parent", "after")] == [7, 8, 9]


def test_it_goes_to_other_processes_by_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = DiskDataset("images", 3, codec="zstd")
    dataset.add_image("a", "s", np.zeros(1000))
    data = pickle.dumps(dataset)
    monkeypatch.chdir("/")
    again = pickle.loads(data)
    again.add_image("b", "s", np.ones(3))
    assert dataset.load_image("b", "s").tolist() == [1, 1, 1]


def test_a_killed_writer_loses_nothing_acknowledged_and_blocks_nobody(tmp_path):
    for kill in range(4):
        with start(tmp_path, f"run {kill}", 1000) as writer:
            acknowledged = killed(writer, 2 + kill, 0.003 * kill)
        dataset = DiskDataset(tmp_path / "images", lock_timeout_sec=0)
        for number in acknowledged:
            assert (dataset.load_image(f"run {kill} {number}", "s") == number).all()
        dataset.add_image(f"after {kill}", "s", np.array(kill))
    dataset.close()
    assert dataset.verify() == []
    for image, about in dataset.load_images("s"):
        if about["location_id"].startswith("run"):
            assert (image == about["metadata"]["number"]).all()


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_anywhere_it_is_what_it_was_before_or_after_the_last_step(tmp_path, kills):
    names: dict[str, Any] = {}
    exec(STEPS, names)
    model: dict[str, int] = {}
    step = 0
    random = np.random.default_rng(kills)
    for _ in range(kills):
        with start_changer(tmp_path, step) as writer:
            done = killed(writer, int(random.integers(1, 60)), random.random() * 0.002)
        for each in done:
            names["apply"](model, each)
        step = done[-1] + 1
        after = dict(model)
        names["apply"](after, step)
        found = check(tmp_path / "images")
        assert found in (model, after)
        if found == after:
            model, step = after, step + 1


def check(path):
    """Read all images in every way there is, and compare the ways."""
    dataset = DiskDataset(path)
    found = {}
    for image, about in dataset.load_images("s"):
        assert (image == about["metadata"]["step"]).all()
        found[about["location_id"]] = int(image[0])
    assert sorted(dataset.metadata()["location_id"]) == sorted(found)
    for number in range(5):
        assert dataset.has_image(f"image {number}", "s") == (f"image {number}" in found)
    # A kill may come when a page of the last commit is written and the next is not.
    assert [damage for damage in dataset.verify() if not is_torn(damage)] == []
    return found
