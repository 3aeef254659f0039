"""One array read by many threads, nested reads, forked children, and with few files to open."""

import signal
import sys

import numpy as np
import pytest
from tests.running import run_python

from haversack.split import FrameWriter, SplitDataset, save_to_split_dataset
from haversack.split.directory.growing import Growth


@pytest.fixture
def many(tmp_path):
    array = np.arange(300 * 50).reshape(300, 50)
    save_to_split_dataset(array, tmp_path / "many", (1, None))
    return tmp_path / "many"


def run(script, *arguments):
    return run_python(script, *arguments, flags=("-W", "ignore::DeprecationWarning"), timeout=60)


FORKS = """
import os, signal, sys, threading
from haversack.split import SplitDataset
ds = SplitDataset(sys.argv[1])
def read():
    while True:
        for row in range(300):
            ds[row]
for _ in range(2):
    threading.Thread(target=read, daemon=True).start()
for _ in range(30):
    child = os.fork()
    if not child:
        signal.alarm(10)
        assert ds[7][0] == 350
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it does not fork")
def test_a_child_that_is_forked_amid_reads_can_read(many):
    run(FORKS, many)


def test_a_read_within_a_read_disturbs_neither(many):
    dataset = SplitDataset(many)
    block = dataset._block(5)
    fetch = block.fetch([((0, 0), range(1))])
    fetch.read()
    arrays = fetch.arrays()
    first = next(arrays)
    assert (dataset[...] == np.arange(300 * 50).reshape(300, 50)).all()
    np.testing.assert_array_equal(first, np.arange(250, 300)[None])
    arrays.close()


SIGNALS = """
import signal, sys
import numpy as np
from haversack.split import SplitDataset
ds, other = SplitDataset(sys.argv[1]), SplitDataset(sys.argv[1])
whole = np.arange(300 * 50).reshape(300, 50)
def handler(*_):
    assert (other[1] == whole[1]).all()
    told.append(1)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
told = []
signal.signal(signal.SIGALRM, handler)
ds[0]
signal.setitimer(signal.ITIMER_REAL, 0.0003)
for _ in range(5):
    for row in range(300):
        assert (ds[row] == whole[row]).all()
signal.signal(signal.SIGALRM, signal.SIG_IGN)  # the last one may come when this has ended
assert len(told) > 10
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="it has no timers")
def test_a_signal_handler_may_read(many):
    run(SIGNALS, many)


NESTED = """
import faulthandler, json, os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
import h5py, numpy as np
from haversack.split import SplitDataset
faulthandler.dump_traceback_later(50, exit=True)
whole = np.arange(300 * 50).reshape(300, 50)
ds, handlers = SplitDataset(sys.argv[1]), SplitDataset(sys.argv[1])
os.chdir(sys.argv[2])
blocks = dict(crop_start=[0, 0], crop_end=[0, 0], padding=[0, 0])
open("stack_metadata.json", "w").write(
    json.dumps(dict(shape_full=[300, 50], shape_block=[100, 50], **blocks))
)
for number in range(3):
    with h5py.File(f"000{number}.h5", "w") as hdf5:
        rows = whole[number * 100:number * 100 + 100]
        hdf5.create_dataset("stack", data=rows, chunks=(50, 50), compression="gzip")
foreign, foreign_handlers = SplitDataset("."), SplitDataset(".")
def read_foreign():
    np.testing.assert_array_equal(foreign[20:], whole[20:])
with h5py.File("other.h5", "w") as hdf5:
    hdf5["other"] = whole
def use_hdf5():
    with h5py.File("other.h5") as hdf5:
        hdf5["other"][3]
def use_executor():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int)
def use_threads():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
def read():
    np.testing.assert_array_equal(ds[10:40], whole[10:40])
def handler(*_):
    np.testing.assert_array_equal(handlers[100:110], whole[100:110])
    np.testing.assert_array_equal(foreign_handlers[90:290], whole[90:290])
    told.append(1)
told, wanted = [], 0
signal.signal(signal.SIGALRM, handler)
for interrupted in (read, read_foreign, use_hdf5, use_executor, use_threads):
    interrupted()
    wanted += 60
    while len(told) < wanted:
        # Each signal comes at a moment of its own, and none before the last has been handled.
        seen = len(told)
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + seen % 60 * 0.00005)
        while len(told) == seen:
            interrupted()
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="it has no timers")
def test_a_signal_handler_may_read_many_blocks_whatever_it_interrupts(many, tmp_path):
    run(NESTED, many, tmp_path)


FEW = """
import resource, sys
from haversack.split import SplitDataset
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
several = [SplitDataset(sys.argv[1]) for _ in range(3)]
for _ in range(2):
    for ds in several:
        assert ds[...].sum() == sum(range(300 * 50))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
def test_arrays_let_go_of_files_that_another_needs(many):
    run(FEW, many)


LATE = """
import sys, threading, time
from haversack.split import SplitDataset
ds = SplitDataset(sys.argv[1])
def late():
    threading.main_thread().join()
    time.sleep(0.2)
    print(ds[...].sum())
threading.Thread(target=late).start()
"""


def test_a_thread_that_outlives_the_main_one_can_read(many):
    assert int(run(LATE, many)) == sum(range(300 * 50))


def test_a_reader_sees_no_refresh_half_done(tmp_path, monkeypatch):
    with FrameWriter(tmp_path / "live", block_size=(2, None)) as writer:
        for row in range(3):
            writer.append(np.full(5, row))
        dataset = SplitDataset(tmp_path / "live")
        look = Growth._journal

        def between(self, *given):
            assert [dataset[row, 0] for row in range(3)] == [0, 1, 2]
            return look(self, *given)

        monkeypatch.setattr(Growth, "_journal", between)
        writer.append(np.full(5, 3))
        dataset.refresh()
        assert dataset[:, 0].tolist() == [0, 1, 2, 3]


def test_info_costs_what_is_there_and_not_what_is_claimed(many):
    (many / "0007.h5").unlink()
    (many / "007.h5").write_bytes(b"x" * 1000)
    stored = sum(path.stat().st_size for path in many.glob("????.h5"))
    assert SplitDataset(many).info()["bytes stored"] == stored
