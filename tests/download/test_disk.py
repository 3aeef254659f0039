"""What the disk refuses is told; what is whole stays, and a name comes after its bytes."""

import errno
import os
import shutil
import stat
import threading
import time

import pytest

from haversack.download import commit, syncing
from haversack.download.ledger import Ledger
from haversack.errors import StorageError
from haversack.storage.calls import calls


def test_a_full_disk_stops_everything_and_keeps_what_is_whole(server, get, here, monkeypatch):
    for n in range(50):
        server.file(f"/{n}", b"x" * 1000)
    write, count = os.write, []

    def fill(descriptor, data):
        count.append(1)
        if len(count) > 10 and len(data) == 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(StorageError, match="the disk is full"):
        get(*(f"/{n}" for n in range(50)))
    assert here()
    assert all(body == b"x" * 1000 for name, body in here().items() if name[0] != ".")


def test_a_failing_sync_publishes_nothing_of_its_batch(server, get, here, monkeypatch):
    server.file("/a", b"x")

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="I/O error"):
        get("/a")
    assert here() == {}


def test_a_name_that_cannot_be_written_is_an_error_of_its_own_asset(server, get, here, tmp_path):
    server.file("/a", b"x")
    server.file("/b", b"x")
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "inside").write_bytes(b"")
    found = get("/a", "/b")
    assert "cannot write" in found["/a"].error
    assert here() == {"a/inside": b"", "b": b"x"}


def test_a_part_that_the_disk_refuses_to_keep_leaves_the_failure_as_it_was(
    server, get, here, make_answer, monkeypatch, megabyte
):
    etag = {"ETag": '"1"'}
    server.answer("/a", make_answer(200, megabyte, etag, cut=200_000))
    server.file("/b", b"x")
    write = os.write

    def refuse(descriptor, data):
        if len(data) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", refuse)
    found = get("/a", "/b", retries=0)
    assert "broke off" in found["/a"].error
    assert here() == {"b": b"x"}


@pytest.mark.parametrize("call", ["unlink", "close"])
def test_a_disk_that_refuses_to_clear_up_raises_nothing_bare(
    server, get, here, monkeypatch, make_answer, call, megabyte
):
    server.answer("/a", make_answer(200, megabyte, cut=600_000))
    real = getattr(os, call)

    def refuse(what, **options):
        ours = call == "unlink" or stat.S_ISREG(os.fstat(what).st_mode)
        real(what, **options)
        if ours and threading.current_thread().name == "haversack-move":
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, refuse)
    assert "broke off" in get("/a", retries=1)["/a"].error
    monkeypatch.undo()
    assert here() == {}


def test_a_directory_that_is_taken_away_is_an_error_of_its_own_asset(
    server, get, here, tmp_path, make_answer
):
    def route(_):
        shutil.rmtree(tmp_path / "out" / "d")
        return make_answer(200, b"x")

    server.answer("/d/a", route)
    server.file("/b", b"x")
    found = get("/d/a", "/b")
    assert "cannot write" in found["/d/a"].error
    assert found["/d/a"].tries == 1
    assert here() == {"b": b"x"}


@pytest.mark.parametrize("sync", ["batch", "none"])
def test_bytes_are_hurried_to_the_disk_only_where_they_will_be_synced(
    server, get, here, monkeypatch, sync, megabyte
):
    ranges = []
    monkeypatch.setattr(calls, "write_back", lambda _, begin, size: ranges.append((begin, size)))
    server.file("/a", megabyte)
    get("/a", fsync=sync)
    assert here() == {"a": megabyte}
    assert bool(ranges) == (sync == "batch")
    assert all(size > 0 and begin + size <= len(megabyte) for begin, size in ranges)


def test_parts_are_synced_before_their_names_and_names_before_the_ledger(
    server, get, tmp_path, monkeypatch
):
    order = []
    for module, name in (
        (syncing, "sync_file"),
        (commit, "rename"),
        (syncing, "sync_directory"),
        (Ledger, "add"),
    ):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, name=name, real=real: [order.append(name), real(*given)]
        )
    server.file("/a", b"x")
    (tmp_path / "out").mkdir()
    with Ledger(tmp_path / "out" / "ledger.db") as ledger:
        get("/a", ledger=ledger)
    assert [*dict.fromkeys(order)] == ["sync_file", "rename", "sync_directory", "add"]
    assert order[-1] == "add"


def test_a_slow_disk_holds_the_network_back(server, get, here, monkeypatch):
    monkeypatch.setattr(commit, "_QUEUED", 8)
    waiting, put, bring = [], commit.Committer.put, syncing.Disk.bring

    def note(self, whole):
        put(self, whole)
        waiting.append(self.open)

    monkeypatch.setattr(commit.Committer, "put", note)
    monkeypatch.setattr(syncing.Disk, "bring", lambda *given: [time.sleep(0.02), bring(*given)])
    names = [server.file(f"/{n}", bytes(5000)) and f"/{n}" for n in range(60)]
    assert all(o.error is None for o in get(*names, concurrency=4).values())
    assert max(waiting) <= 8 + 4
    assert len(here()) == 60


def test_a_directory_that_is_removed_meanwhile_costs_its_own_files_until_the_next_run(
    server, get, here, tmp_path, make_answer
):
    gone = tmp_path / "out" / "gone"
    names = [f"/{folder}/{n}" for folder in ("gone", "stay") for n in range(20)]
    for name in names:
        server.file(name, name.encode() * 100)
    removed = []

    def remove(asked):
        if not removed:
            removed.append(gone.exists())
            shutil.rmtree(gone)
        return make_answer(200, b"last")

    server.answer("/gone/last", remove)
    found = get("/gone/last", *names, concurrency=1)
    assert removed == [True]
    for path, outcome in found.items():
        if path.startswith("/stay/"):
            assert outcome.error is None
        elif outcome.error:
            assert outcome.error == (
                f"cannot write {tmp_path}/out{path}: {gone} is gone, somebody removed it: "
                "run the same again"
            )
    assert found["/gone/last"].error
    assert all(outcome.error is None for outcome in get("/gone/last", *names).values())
    assert here() == {name[1:]: name.encode() * 100 for name in names} | {"gone/last": b"last"}
