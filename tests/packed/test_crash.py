"""What was acknowledged outlives kills at any system call, errors of the disk, and power cuts."""

import os
import random
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from haversack.errors import HaversackError
from haversack.packed import PackWriter, is_packed, open_packed

from .power import CALLS, Disk, after_power_cuts, operations

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None or sys.platform != "linux", reason="needs strace"
)

# Two records a commit, of two chunks; the third commit also deletes the first record.
WRITER = """
import os, sys
import numpy as np
import pyarrow.parquet
from haversack.packed import PackWriter
os.write(1, b"READY\\n")
for n in range(int(sys.argv[2])):
    with PackWriter(sys.argv[1], chunk_bytes=16) as writer:
        for m in (2 * n, 2 * n + 1):
            writer.append(np.full(4, m, "u4"), key=m, n=m)
        if n == 2:
            writer.delete(0)
    os.write(1, b"ACK %d\\n" % (n + 1))
"""
COMMITS = 4
CLEAN = {
    **os.environ,
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def strace(folder, *options):
    command = ["strace", "-f", "-qq", *options, sys.executable, "-c", WRITER, folder, str(COMMITS)]
    return subprocess.run(command, capture_output=True, text=True, env=CLEAN, check=False)


def check(path, acknowledged):
    """Raise unless the dataset holds all acknowledged commits, and nothing but whole ones."""
    if not is_packed(path):
        assert acknowledged == 0
    else:
        ds = open_packed(path)
        commits = ds.version
        assert commits >= acknowledged
        expected = list(range(2 * commits))[1 if commits > 2 else 0 :]
        assert ds.keys() == expected
        assert [r.data.tolist() for r in ds] == [[n] * 4 for n in expected]
        assert [r.metadata for r in ds] == [{"n": n} for n in expected]
        assert ds.verify() == []
    with PackWriter(path) as writer:
        writer.append(np.zeros(4, "u4"), key=99)
    assert open_packed(path)[-1].key == 99


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    output = folder / "trace"
    calls = CALLS + ",pwrite64,writev,ftruncate,truncate,rmdir,sendfile,copy_file_range"
    done = strace(folder / "ds", "-xx", "-s", "1000000", "-e", f"trace={calls}", "-o", output)
    assert done.returncode == 0, done.stderr
    text = output.read_text().split(b"READY".hex(" ").replace(" ", r"\x"))[1]
    ours = str(folder / "ds").encode().hex(" ").replace(" ", r"\x")
    strange = re.findall(r"(pwrite64|writev|truncate|rmdir|sendfile|copy_file_range)\(", text)
    assert not [call for call in strange if ours in text], strange
    return text, str(folder / "ds")


def cuts(trace):
    text, root = trace
    return list(after_power_cuts(text, root))


def check_cut(tmp_path, number, files, acknowledged):
    path = tmp_path / str(number)
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    check(path, acknowledged)
    shutil.rmtree(path)


def test_power_cuts_lose_nothing_acknowledged(tmp_path, trace):
    states = cuts(trace)
    assert len(states) > 300
    assert {acknowledged for _, acknowledged in states} == set(range(COMMITS + 1))
    for number, state in enumerate(random.Random(0).sample(states, 150)):
        check_cut(tmp_path, number, *state)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_power_cut_loses_nothing_acknowledged(tmp_path, trace):
    for number, state in enumerate(cuts(trace)):
        check_cut(tmp_path, number, *state)


def without_syncs(trace, left_out):
    """The states of the disk after the first commit, had some syncs been left out."""
    disk = Disk()
    for operation in operations(*trace):
        if operation[0] == "ack":
            return disk.states()
        folder, *file = operation[1].split("/")
        is_sync_of = (folder if file else "the folders") if operation[0] == "sync" else None
        if is_sync_of != left_out:
            disk.apply(*operation)
    raise AssertionError


@pytest.mark.parametrize("left_out", ["chunks", "index", "manifest", "the folders", "nothing"])
def test_a_sync_that_is_left_out_is_noticed(tmp_path, trace, left_out):
    failures = 0
    for number, files in enumerate(without_syncs(trace, left_out)):
        try:
            check_cut(tmp_path, number, files, 1)
        except (AssertionError, HaversackError):
            failures += 1
    assert (failures == 0) == (left_out == "nothing")


def points(folder):
    """Every system call by which the writer changes files: (name, how manieth of that name)."""
    output = folder / "count"
    done = strace(folder / "counted", "-e", f"trace={CALLS}", "-o", output)
    assert done.returncode == 0, done.stderr
    seen, found, ready = {}, [], False
    for call in re.findall(r"^\d+\s+(\w+)\((?=(.*))", output.read_text(), re.MULTILINE):
        seen[call[0]] = seen.get(call[0], 0) + 1
        ready = ready or "READY" in call[1]
        if ready and call[0] != "close" and (call[0] != "openat" or "O_CREAT" in call[1]):
            found.append((call[0], seen[call[0]]))
    return found


def injected(tmp_path, call, when, what):
    path = tmp_path / f"{call}-{when}-{what}"
    done = strace(path, "-o", "/dev/null", "-e", f"inject={call}:{what}:when={when}")
    acknowledged = done.stdout.count("ACK")
    check_after_failure(path, acknowledged)
    shutil.rmtree(path, ignore_errors=True)
    return done.returncode


def check_after_failure(path, acknowledged):
    if path.exists():
        check(path, acknowledged)
    else:
        assert acknowledged == 0


def test_kills_and_errors_at_some_system_calls_lose_nothing(tmp_path):
    chosen = random.Random(1).sample(points(tmp_path), 4)
    for call, when in chosen:
        assert injected(tmp_path, call, when, "signal=KILL") != 0
        injected(tmp_path, call, when, "error=EIO")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ["signal=KILL", "error=EIO", "error=ENOSPC", "error=EINTR"])
def test_kills_and_errors_at_every_system_call_lose_nothing(tmp_path, what):
    for call, when in points(tmp_path):
        status = injected(tmp_path, call, when, what)
        assert status != 0 or what != "signal=KILL"
