"""What is whole is published soon, in an order that no power cut spoils."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from haversack.download import commit
from haversack.download.commit import Committer, Whole
from haversack.download.digest import Digest, of_catalog
from haversack.download.outcome import Request
from haversack.download.parts import NO_VALIDATOR, Parts
from haversack.errors import StorageError
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
            parts.made(),
            None,
        )

    return make


@pytest.fixture
def synced(monkeypatch):
    """Directories that are synced, in order."""
    seen, sync = [], commit.sync_directory
    monkeypatch.setattr(commit, "sync_directory", lambda path: [seen.append(path), sync(path)])
    return seen


def publish(*files, sync="batch"):
    """Publish files as one batch."""
    committer = Committer(sync, None)
    committer.expect(len(files))
    committer.put(list(files))
    try:
        done = []
        while committer.open:
            done += committer.published(1.0)
    finally:
        committer.close()
    return done


def test_what_is_waited_for_waits_for_no_other(whole, monkeypatch):
    monkeypatch.setattr(commit, "_SECONDS", 3600.0)
    committer, done = Committer("none", None), []
    committer.expect(1)
    committer.put([whole("a")])
    waiting = threading.Thread(target=lambda: done.extend(committer.published(3600.0)), daemon=True)
    waiting.start()
    waiting.join(30)
    assert [one.error for one in done] == [None]
    committer.close()


def test_what_comes_while_others_are_published_is_waited_for_again(whole, monkeypatch):
    monkeypatch.setattr(commit, "_SECONDS", 3600.0)
    committer, write, late = Committer("none", None), commit.settle, whole("late")

    def put_more(one):
        write(one)
        if one is not late:
            committer.put([late])

    monkeypatch.setattr(commit, "settle", put_more)
    committer.expect(2)
    committer.put([whole("first")])
    done = []

    def wait():
        while committer.open:
            done.extend(committer.published(1.0))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(30)
    assert sorted(Path(one.path).name for one in done) == ["first", "late"]
    committer.close()


def test_a_directory_that_a_refused_file_brought_is_synced_for_the_others(whole, tmp_path, synced):
    refused = whole("new/deep/bad", checksum="1220" + "00" * 32)
    good = whole("new/deep/good")
    assert (list(good.made), len(refused.made)) == ([], 2)
    done = publish(refused, good)
    assert [one.named for one in done] == [False, True]
    assert set(synced) == {tmp_path, tmp_path / "new", tmp_path / "new" / "deep"}


def test_a_directory_that_came_with_nothing_else_is_synced_too(whole, tmp_path, synced):
    publish(whole("new/bad", checksum="1220" + "00" * 32))
    publish(whole("new/good"))
    assert set(synced) == {tmp_path, tmp_path / "new"}


@pytest.mark.skipif(calls.syncfs is None, reason="this system syncs no whole file system")
def test_many_names_are_synced_by_file_system(whole, synced, monkeypatch):
    seen, syncfs = [], calls.syncfs
    monkeypatch.setattr(
        calls, "syncfs", lambda one: [seen.append(os.fstat(one).st_dev), syncfs(one)]
    )
    files = [whole(f"d{n}/a") for n in range(20)]
    assert all(one.named for one in publish(*files))
    assert (len(seen), len(set(seen)), synced) == (2, 1, [])


def test_only_a_part_that_is_gone_is_lost(whole, tmp_path, monkeypatch):
    write = commit.settle

    def spoil(one):
        if one.request.path.name == "gone":
            shutil.rmtree(one.request.path.parent)
        write(one)
        if one.request.path.name == "taken":
            Path(one.part.path).unlink()

    monkeypatch.setattr(commit, "settle", spoil)
    done = publish(whole("a/gone"), whole("b/taken"), whole("b/fine"))
    found = {one.request.path.name: (one.lost, one.named) for one in done}
    assert found == {"gone": (False, False), "taken": (True, False), "fine": (False, True)}
    assert isinstance(next(one.error for one in done if one.path.endswith("gone")), OSError)


def test_a_part_that_lacks_bytes_is_the_disks_fault_whatever_it_hashes_to(whole, tmp_path):
    one = whole("a", checksum="1220" + "00" * 32)
    one.part.error = OSError(errno.ENOSPC, "No space left on device")
    publish(one)
    assert (one.error, one.wrong) == (one.part.error, None)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_sync_says_so_though_its_parts_cannot_be_removed(whole, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StorageError, match="publish files in"):
        publish(whole("a"))
    assert not (tmp_path / "a").exists()
