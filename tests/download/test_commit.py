"""What is whole is published soon, in an order that no power cut spoils."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from haversack.download import commit, syncing
from haversack.download.commit import Committer
from haversack.download.digest import Digest, of_catalog
from haversack.download.ending import Ending
from haversack.download.outcome import Request
from haversack.download.parts import NO_VALIDATOR, Parts
from haversack.download.syncing import Disk
from haversack.download.whole import Whole, settle
from haversack.errors import StorageError
from haversack.storage import publish as publishing
from haversack.storage.calls import calls


@pytest.fixture
def parts():
    return Parts("0123abcd", synced=True)


@pytest.fixture
def whole(parts, tmp_path):
    """Make a file that waits for its name, as the mover hands it over."""

    def make(name, content=b"content", checksum=None):
        path = tmp_path / name
        left = parts.prepare(str(path))
        return Whole(
            Request("http://a.example/x", path),
            str(path),
            parts.new(str(path), NO_VALIDATOR),
            content,
            Digest(of_catalog(checksum)),
            None,
            None,
            left,
            None,
        )

    return make


@pytest.fixture
def synced(monkeypatch):
    """Directories that are synced, in order."""
    seen, sync = [], syncing.sync_directory
    for module in (syncing, publishing):
        monkeypatch.setattr(module, "sync_directory", lambda path: [seen.append(path), sync(path)])
    return seen


@pytest.fixture
def publish(parts):
    """Publish files as one batch."""

    def run(*files, sync="batch"):
        committer, done = Committer(Disk(sync, Ending()), None, Ending()), []
        try:
            for one in files:
                committer.put(one)
            while committer.open:
                done += committer.published(1.0)
        finally:
            committer.close()
        return done

    return run


def test_what_is_waited_for_waits_for_no_other(whole, publish, monkeypatch):
    monkeypatch.setattr(commit, "_SECONDS", 3600.0)
    done = []
    waiting = threading.Thread(target=lambda: done.extend(publish(whole("a"))), daemon=True)
    waiting.start()
    waiting.join(30)
    assert [one.error for one in done] == [None]


def test_a_large_file_is_waited_for_until_its_writer_has_it(whole, parts):
    committer, late = Committer(Disk("batch", Ending()), None, Ending()), whole("late")
    settle(late)
    committer.expect()
    assert committer.published(0.01) == []
    threading.Timer(0.05, committer.arrive, [late]).start()
    done, until = [], time.monotonic() + 30
    while committer.open and time.monotonic() < until:
        done += committer.published(1.0)
    assert done == [late]
    assert late.request.path.read_bytes() == b"content"
    committer.close()


def test_what_is_whole_when_it_ends_is_published(whole, parts):
    committer, files = (
        Committer(Disk("batch", Ending()), None, Ending()),
        [whole(f"d/{n}") for n in range(40)],
    )
    for one in files[:20]:
        committer.put(one)
    committer.published()
    for one in files[20:39]:
        committer.put(one)
    settle(files[39])
    committer.expect()
    committer.arrive(files[39])
    committer.close()
    assert all(one.request.path.read_bytes() == b"content" for one in files)


def test_nothing_has_its_name_while_the_disk_has_not_its_bytes(whole, parts, monkeypatch):
    allowed, sync = threading.Event(), syncing.sync_file
    monkeypatch.setattr(syncing, "sync_file", lambda path: [allowed.wait(30), sync(path)])
    committer, first, second = (
        Committer(Disk("each", Ending()), None, Ending()),
        whole("first"),
        whole("second"),
    )
    committer.put(first)
    assert committer.published(0.01) == []
    committer.put(second)
    assert committer.published(0.01) == []
    assert not first.request.path.exists()
    allowed.set()
    done = []
    while committer.open:
        done += committer.published(1.0)
    assert done == [first, second]
    committer.close()


def test_a_directory_that_a_refused_file_brought_is_synced_for_the_others(
    whole, publish, tmp_path, synced
):
    refused = whole("new/deep/bad", checksum="1220" + "00" * 32)
    good = whole("new/deep/good")
    done = publish(refused, good)
    assert [one.named for one in done] == [False, True]
    assert {tmp_path, tmp_path / "new", tmp_path / "new" / "deep"} <= set(synced)


def test_a_directory_that_a_killed_run_has_just_made_is_synced_too(
    whole, publish, tmp_path, synced
):
    (tmp_path / "new" / "deep").mkdir(parents=True)
    publish(whole("new/deep/good"))
    assert {tmp_path, tmp_path / "new", tmp_path / "new" / "deep"} <= set(synced)


@pytest.mark.skipif(calls.syncfs is None, reason="this system syncs no whole file system")
def test_many_names_are_synced_by_file_system(whole, publish, synced, monkeypatch):
    seen, syncfs = [], calls.syncfs
    monkeypatch.setattr(
        calls, "syncfs", lambda one: [seen.append(os.fstat(one).st_dev), syncfs(one)]
    )
    files = [whole(f"d{n}/a") for n in range(20)]
    assert all(one.named for one in publish(*files))
    assert (len(seen), len(set(seen)), synced) == (2, 1, [])


def test_only_a_part_that_is_gone_is_lost(whole, publish, tmp_path, monkeypatch):
    def spoil(one):
        if one.request.path.name == "gone":
            shutil.rmtree(one.request.path.parent)
        settle(one)
        if one.request.path.name == "taken":
            Path(one.part.path).unlink()

    monkeypatch.setattr("haversack.download.whole.settle", spoil)
    done = publish(whole("a/gone"), whole("b/taken"), whole("b/fine"))
    found = {one.request.path.name: (one.lost, one.named) for one in done}
    assert found == {"gone": (False, False), "taken": (True, False), "fine": (False, True)}
    assert isinstance(next(one.error for one in done if one.path.endswith("gone")), OSError)


@pytest.mark.parametrize("count", [3, 40])
def test_a_directory_removed_after_its_files_had_their_names_fails_no_other(
    whole, parts, tmp_path, count
):
    committer, done = Committer(Disk("batch", Ending()), None, Ending()), []
    for n in range(count):
        committer.put(whole(f"gone/{n}"))
        committer.put(whole(f"kept/{n}"))
    while not (tmp_path / "gone" / "0").exists():
        done += committer.published(1.0)
    shutil.rmtree(tmp_path / "gone")
    while committer.open:
        done += committer.published(1.0)
    committer.close()
    assert len(done) == 2 * count
    assert all(one.named for one in done)
    assert len(list((tmp_path / "kept").iterdir())) == count


def test_a_part_that_lacks_bytes_is_the_disks_fault_whatever_it_hashes_to(whole, publish, tmp_path):
    one = whole("a", checksum="1220" + "00" * 32)
    one.part.error = OSError(errno.ENOSPC, "No space left on device")
    publish(one)
    assert (one.error, one.wrong) == (one.part.error, None)
    assert list(tmp_path.iterdir()) == []


def refuse(*_):
    raise OSError(errno.EIO, "Input/output error")


def test_a_failed_sync_says_so_though_its_parts_cannot_be_removed(
    whole, publish, tmp_path, monkeypatch
):
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        broken.setattr(os, "unlink", refuse)
        with pytest.raises(StorageError, match="publish files in"):
            publish(whole("a"))
    assert not (tmp_path / "a").exists()


def test_nothing_is_published_after_a_failed_sync(whole, parts, tmp_path, monkeypatch):
    # The kernel tells of lost pages once: what was written before that may be among them.
    allowed = threading.Event()
    monkeypatch.setattr(syncing, "sync_file", lambda _: [allowed.wait(30), refuse()])
    committer = Committer(Disk("batch", Ending()), None, Ending())
    committer.put(whole("first"))
    committer.published(0.01)
    committer.put(whole("second"))
    monkeypatch.setattr(syncing, "sync_file", lambda _: None)
    allowed.set()
    with pytest.raises(StorageError, match="publish files in"):
        while True:
            committer.published(1.0)
    with pytest.raises(StorageError, match="publish files in"):
        committer.published()
    late = whole("late")
    settle(late)
    committer.arrive(late)
    committer.close()
    assert list(tmp_path.iterdir()) == []
