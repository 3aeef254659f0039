"""Many writers at once lose nothing, and a killed one leaves nothing half done."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from haversack.disk import DiskDataset
from haversack.errors import KeyExistsError

WRITER = """
import sys
import numpy as np
from haversack.disk import DiskDataset

dataset = DiskDataset("images")
for number in range(int(sys.argv[2])):
    dataset.add_image(f"{sys.argv[1]} {number}", "s", np.full(500, number), {"number": number})
    print(number, flush=True)
"""


def start(cwd, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(count)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_threads_and_processes_together_lose_nothing(tmp_path):
    writers = [start(tmp_path, str(name), 8) for name in range(3)]
    dataset = DiskDataset(tmp_path / "images")

    def add(number):
        dataset.add_image(f"thread {number}", "s", np.full(500, number))
        return int(dataset.load_image(f"thread {number}", "s")[0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(add, range(16))) == list(range(16))
    for writer in writers:
        assert writer.communicate(timeout=60)[0].split() == [str(n) for n in range(8)]
    assert len(dataset) == 40
    assert dataset.verify() == []
    for name in range(3):
        assert [int(dataset.load_image(f"{name} {n}", "s")[0]) for n in range(8)] == list(range(8))


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


def test_a_killed_writer_loses_nothing_acknowledged_and_blocks_nobody(tmp_path):
    for kill in range(4):
        writer = start(tmp_path, f"run {kill}", 1000)
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline() for _ in range(2 + kill)]
        time.sleep(0.003 * kill)
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.communicate(timeout=60)[0].split()
        dataset = DiskDataset(tmp_path / "images", lock_timeout_sec=20)
        for number in map(int, acknowledged):
            assert (dataset.load_image(f"run {kill} {number}", "s") == number).all()
        dataset.add_image(f"after {kill}", "s", np.array(kill))
    assert dataset.verify() == []
    for image, about in dataset.load_images("s"):
        if about["location_id"].startswith("run"):
            assert (image == about["metadata"]["number"]).all()
