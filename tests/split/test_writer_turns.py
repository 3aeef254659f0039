"""A writer of frames that several threads share, that is forked, or that a signal interrupts."""

import os
import signal
import sys
import threading

import numpy as np
import pytest
from tests.running import run_python

from haversack.errors import UsageError
from haversack.split import FrameWriter, SplitDataset


@pytest.mark.parametrize("block", [3, 7])
def test_threads_that_share_a_writer_lose_no_frame(tmp_path, block):
    for number in range(4):
        folder, told = tmp_path / f"{number}", list[str]()
        writer = FrameWriter(folder, block_size=(block,))

        def append(first, writer=writer, told=told):
            try:
                for value in range(first, first + 15):
                    writer.append(np.full((5, 6), value))
                writer.extend(
                    np.broadcast_to(np.arange(first + 15, first + 24)[:, None, None], (9, 5, 6))
                )
            except Exception as error:  # noqa: BLE001
                told.append(repr(error))

        threads = [threading.Thread(target=append, args=(100 * n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.close()
        assert told == []
        found = SplitDataset(folder)[:, 0, 0].tolist()
        assert sorted(found) == [100 * n + value for n in range(3) for value in range(24)]
        for n in range(3):
            own = [value for value in found if value // 100 == n]
            assert own == sorted(own)
            assert found.index(own[15]) + 8 == found.index(own[23])  # one call's frames together
        assert SplitDataset(folder).verify() == []


FORKED = """
import os, signal, sys
import numpy as np
from haversack.errors import UsageError
from haversack.split import FrameWriter, SplitDataset
folder, block = sys.argv[1], int(sys.argv[2])
writer = FrameWriter(folder, block_size=(block,))
for value in range(7):
    writer.append(np.full(5, value))
child = os.fork()
if not child:
    signal.alarm(20)
    try:
        writer.append(np.full(5, 77))
    except UsageError as error:
        writer.close()
        writer.give_up()
        os._exit(3 if "of the process that this one was forked from" in str(error) else 4)
    os._exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
for value in range(7, 12):
    writer.append(np.full(5, value))
writer.close()
assert SplitDataset(folder)[:, 0].tolist() == list(range(12))
assert SplitDataset(folder).verify() == []
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it does not fork")
@pytest.mark.parametrize("block", [3, 100])
def test_a_forked_child_cannot_write_over_what_its_parent_appends(tmp_path, block):
    run_python(FORKED, tmp_path / "live", block, flags=("-W", "ignore::DeprecationWarning"))


TAKEN = """
import os, sys
import numpy as np
from haversack.errors import ConflictError
from haversack.split import FrameWriter, SplitDataset
folder = sys.argv[1]
writer = FrameWriter(folder, block_size=(100,))
writer.append(np.full(5, 1))
child = os.fork()
if not child:
    with FrameWriter(folder) as own:
        own.append(np.full(5, 2))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
try:
    writer.append(np.full(5, 3))
except ConflictError:
    pass
else:
    sys.exit("appended behind what was taken over")
assert SplitDataset(folder)[:, 0].tolist() == [1, 2]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it does not fork")
def test_a_forked_child_may_take_the_array_over(tmp_path):
    run_python(TAKEN, tmp_path / "live", flags=("-W", "ignore::DeprecationWarning"))


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="it has no such signal")
def test_a_signal_handler_is_told_that_an_append_is_under_way(tmp_path):
    writer, told = FrameWriter(tmp_path / "live", block_size=(3,)), list[str]()

    class Frames:
        """Frames in the midst of which a signal comes."""

        dtype, ndim = np.dtype("i8"), 2

        def __len__(self):
            return 5

        def __getitem__(self, where):
            os.kill(os.getpid(), signal.SIGALRM)
            return np.arange(5)[where][..., None] + np.zeros(4, "i8")

    def handler(*_):
        try:
            writer.append(np.zeros(4, "i8"))
        except UsageError as error:
            told.append(str(error))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        writer.extend(Frames())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert told
    assert all("a signal has interrupted" in text for text in told)
    writer.close()
    assert SplitDataset(tmp_path / "live")[:, 0].tolist() == list(range(5))
