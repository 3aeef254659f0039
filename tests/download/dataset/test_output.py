"""Files get their names only when they are whole, and a failing disk leaves no rubbish."""

import errno
import os
import shutil

import pytest

from haversack.download import output
from haversack.download.output import Output
from haversack.errors import StorageError


@pytest.fixture
def place(tmp_path):
    return Output(tmp_path / "out")


def _full():
    yield b"some bytes"
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_names_appear_with_the_commit(place):
    place.write("a/b/c.txt", [b"one ", b"two"])
    assert place.status("a/b/c.txt") is None
    place.commit()
    assert (place.root / "a/b/c.txt").read_bytes() == b"one two"


def test_many_files_are_published_together(place, monkeypatch):
    monkeypatch.setattr(output, "_MOST", 20)
    for n in range(45):
        place.write(f"{n}.txt", [b"x"])
    assert len([path for path in place.root.iterdir() if path.suffix == ".txt"]) == 40
    with place:
        pass
    assert len(list(place.root.iterdir())) == 45


def test_a_full_disk_is_said_and_leaves_what_was_there(place):
    place.write("a.txt", [b"before"])
    place.commit()
    with pytest.raises(StorageError, match="full"):
        place.write("a.txt", _full())
    assert [path.name for path in place.root.iterdir()] == ["a.txt"]
    assert (place.root / "a.txt").read_bytes() == b"before"


def test_what_a_killed_writer_left_is_removed_by_the_one_who_is_alone(place):
    left, others = ".0123456789abcdef.partial", [".x.partial", "0123456789abcdef.partial", "b.txt"]
    folder = place.folder("a")
    for name in (left, *others):
        (folder / name).write_bytes(b"x")
    with Output(place.root) as writer:
        writer.write("a/c.txt", [b"x"])
    assert (folder / left).exists()
    with Output(place.root, alone=True) as writer:
        writer.write("a/d.txt", [b"x"])
        writer.write("a/e.txt", [b"x"])
    assert {path.name for path in folder.iterdir()} == {*others, "c.txt", "d.txt", "e.txt"}


def test_a_block_that_fails_publishes_nothing(place):
    with pytest.raises(RuntimeError), place:
        place.write("a.txt", [b"x"])
        raise RuntimeError
    assert list(place.root.iterdir()) == []


def test_a_sync_that_fails_publishes_nothing(place, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    place.write("a.txt", [b"x"])
    monkeypatch.setattr(output.os, "fsync", fail)
    with pytest.raises(StorageError, match="I/O error"):
        place.commit()
    assert list(place.root.iterdir()) == []


def test_what_stands_there_already_is_not_written_again(place):
    with place:
        place.write_if_changed("a.txt", lambda: [b"content"])
    before = (place.root / "a.txt").stat()
    with place:
        place.write_if_changed("a.txt", lambda: [b"content"])
    assert (place.root / "a.txt").stat().st_ino == before.st_ino
    with place:
        place.write_if_changed("a.txt", lambda: [b"CONTENT"])
    assert (place.root / "a.txt").read_bytes() == b"CONTENT"


def test_a_file_where_a_directory_must_be_is_named(place):
    with place:
        place.write("a", [b"x"])
    with pytest.raises(StorageError, match="file where a directory must be"):
        place.write("a/b", [b"x"])


@pytest.mark.parametrize("count", [1, 20])  # each synced by itself, or the file system at once
def test_a_directory_that_was_removed_is_named_with_what_to_do(place, count):
    for number in range(count):
        place.write(f"a/{number}.json", [b"{}"])
    place.write("b.json", [b"{}"])
    shutil.rmtree(place.root / "a")
    with pytest.raises(StorageError, match="/out/a is gone, somebody removed it: run the same"):
        place.commit()
    assert sorted(path.name for path in place.root.iterdir()) in ([], ["b.json"])
    with Output(place.root) as again:
        again.write("a/0.json", [b"{}"])
    assert (place.root / "a/0.json").read_bytes() == b"{}"


def test_a_directory_that_a_killed_run_has_just_made_is_synced_too(place, monkeypatch):
    (place.root / "new").mkdir(parents=True)
    seen = []
    monkeypatch.setattr("haversack.download.output.sync_directory", seen.append)
    with place as writer:
        writer.write("new/a.txt", [b"content"])
    assert {place.root, place.root / "new"} <= set(seen)


def test_a_name_that_cannot_be_given_leaves_no_rubbish(place):
    (place.root / "b.txt" / "full").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "c.txt"):
        place.write(name, [b"content"])
    with pytest.raises(StorageError):
        place.commit()
    assert not list(place.root.rglob("*.partial"))
