"""Writers take turns; a dead one is not waited for."""

import errno
import json
import logging
import os
import subprocess
import sys
import threading
import time

import pytest

from haversack.download import download, lease
from haversack.errors import EmptySelectionError, StorageError

HOLD = """
import sys, time
from pathlib import Path
from haversack.download.lease import lease
with lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
FETCH = """
import sys
from haversack.download import download
print(download(sys.argv[1], sys.argv[2], allow_hosts=["127.0.0.1"]).fetched)
"""


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lease, "_DEAD", 0.3)
    monkeypatch.setattr(lease, "_BEAT", 0.02)


def _holder(folder):
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def test_two_writers_never_overlap(out):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(3):
            with lease.lease(out):
                inside += 1
                most = max(most, inside)
                time.sleep(0.01)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not out.exists()


def test_a_killed_holder_is_replaced_at_once(out):
    process = _holder(out)
    process.kill()
    process.wait()
    with lease.lease(out):
        assert (out / lease.LEASE_NAME).exists()
    assert not out.exists()


def test_a_holder_elsewhere_that_stands_still_is_replaced(out, quick):
    out.mkdir()
    (out / lease.LEASE_NAME).write_text('{"host": "another", "pid": 1, "run": "x"}')
    with lease.lease(out):
        pass


@pytest.mark.parametrize("content", [b"", b"rubbish", b"[1]", b'{"pid": "x"}'])
def test_a_damaged_lease_is_replaced(out, quick, content):
    out.mkdir()
    (out / lease.LEASE_NAME).write_bytes(content)
    with lease.lease(out):
        pass


@pytest.mark.parametrize("pid", [2**80, -1, 0, -(2**80), "x", None])
def test_a_lease_of_no_process_is_replaced(out, quick, pid):
    with lease.lease(out):
        who = json.loads((out / lease.LEASE_NAME).read_bytes())
    out.mkdir()
    (out / lease.LEASE_NAME).write_text(json.dumps(who | {"pid": pid, "run": "x"}))
    with lease.lease(out):
        pass


def test_a_living_holder_is_named_and_waited_for(out, quick, caplog):
    process = _holder(out)
    killer = threading.Timer(0.2, process.kill)
    killer.start()
    with caplog.at_level(logging.WARNING), lease.lease(out):
        pass
    process.wait()
    [line] = [record.getMessage() for record in caplog.records]
    assert f"waiting for process {process.pid}" in line


def test_a_holder_that_beats_keeps_the_lease_for_longer_than_the_limit(out, quick):
    free = []

    def second():
        with lease.lease(out):
            free.append(time.monotonic())

    with lease.lease(out):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.6)
        assert free == []
    thread.join()
    assert len(free) == 1


def test_a_dead_lease_that_may_not_be_taken_away_is_an_error_of_the_disk(out, quick, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    out.mkdir()
    (out / lease.LEASE_NAME).write_bytes(b"{}")
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(StorageError, match="permission denied"), lease.lease(out):
        pass


def test_two_processes_fetch_nothing_twice(farms, source, out, server):
    archive = farms.archive(source)
    command = [sys.executable, "-c", FETCH, str(archive), str(out)]
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    fetched = sorted(int(process.communicate()[0]) for process in both)
    assert fetched == [0, 7]
    assert sorted(server.paths()) == sorted(set(server.paths()))


def test_filters_that_leave_nothing_leave_nothing_on_disk(farms, source, out):
    with pytest.raises(EmptySelectionError):
        download(farms.archive(source), out, datetime="1999-01-01")
    assert not out.exists()
