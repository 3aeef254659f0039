"""A name never stands for half a file."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from haversack.errors import ExistsError, StorageError
from haversack.storage import publish
from haversack.storage.calls import calls


@pytest.fixture(params=["all calls", "no optional calls"])
def platform(request, monkeypatch):
    if request.param == "no optional calls":
        for name in vars(calls):
            monkeypatch.setattr(calls, name, None)
    return request.param


def test_replace_publishes_the_whole_content(tmp_path, platform):
    path = tmp_path / "file"
    publish.replace(path, b"old")
    publish.replace(path, b"new" * 100_000)
    assert path.read_bytes() == b"new" * 100_000
    assert os.listdir(tmp_path) == ["file"]


def test_create_never_replaces(tmp_path, platform):
    path = tmp_path / "file"
    publish.create(path, b"first")
    with pytest.raises(ExistsError, match="already exists"):
        publish.create(path, b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


def test_of_many_creators_one_wins(tmp_path, platform):
    path, winners = tmp_path / "file", []

    def create(number):
        try:
            publish.create(path, str(number).encode())
            winners.append(number)
        except ExistsError:
            pass

    threads = [threading.Thread(target=create, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert path.read_bytes() == str(winners[0]).encode()
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_failing_disk_leaves_what_was_there(tmp_path, monkeypatch, code, call):
    path = tmp_path / "file"
    publish.replace(path, b"old")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(publish, "writing", _failing_writer(fail))
    with pytest.raises(StorageError, match="cannot write .*file") as caught:
        publish.replace(path, b"new")
    assert (code != errno.ENOSPC) or "disk is full" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def _failing_writer(fail):
    real = publish.writing

    class Writer:
        def __init__(self, path):
            self._context = real(path)

        def __enter__(self):
            file = self._context.__enter__()
            file.write = fail
            return file

        def __exit__(self, *error):
            return self._context.__exit__(*error)

    return Writer


def test_data_is_synced_before_its_name_and_the_name_before_the_answer(tmp_path, monkeypatch):
    order = []
    fsync, rename = os.fsync, os.replace

    def tell_fsync(descriptor):
        order.append("directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", tell_fsync)
    monkeypatch.setattr(
        publish.Path, "replace", lambda self, to: (order.append("rename"), rename(self, to))
    )
    publish.replace(tmp_path / "file", b"content")
    assert order == ["file", "rename", "directory"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    publish.replace(path, b"old")
    program = (
        "import os, signal, sys; from pathlib import Path; from haversack.storage import publish\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "publish.replace(Path(sys.argv[1]), b'new')"
    )
    died = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert died.returncode == -9
    assert path.read_bytes() == b"old"


def test_mode_is_set_before_the_content_can_be_read(tmp_path):
    publish.replace(tmp_path / "secret", b"key", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_created_file_can_be_secret_too(tmp_path):
    publish.create(tmp_path / "secret", b"key", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_published_files_are_not_executable(tmp_path):
    publish.create(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o111 == 0


def test_make_directory_makes_parents(tmp_path):
    publish.make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_make_directory_over_a_file_says_so(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    for name in ("a", "a/b", "a/b/c"):
        with pytest.raises(ExistsError, match="a is a file, not a directory"):
            publish.make_directory(tmp_path / name)


def test_a_directory_made_for_what_fails_goes_again_but_for_what_others_put_there(tmp_path):
    (tmp_path / "old").mkdir()
    for path, left in (
        ("a/b", []),
        ("old/a", []),
        ("old", []),
        ("shared/a", ["shared", "shared/a"]),
    ):
        with pytest.raises(KeyError), publish.directory(tmp_path / path):
            assert (tmp_path / path).is_dir()
            if left:
                (tmp_path / "shared" / "a" / "mine").touch()
            raise KeyError
        there = {each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*")}
        assert there == {"old", *left, *(f"{each}/mine" for each in left[1:])}
    with publish.directory(tmp_path / "kept"):
        pass
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize("older_than", [0, 3600])
def test_temporaries_of_killed_writers_are_swept_and_what_cannot_be_removed_stays(
    tmp_path, older_than
):
    old, young, stuck = (publish.temporary_beside(tmp_path / "file") for _ in range(3))
    other = tmp_path / ".mine.partial"
    for path in (old, young, other):
        path.write_bytes(b"half")
    stuck.mkdir()
    for path in (old, other, stuck):
        os.utime(path, (1, 1))
    publish.sweep(tmp_path, older_than=older_than)
    left = {other, stuck} if older_than == 0 else {other, stuck, young}
    assert set(tmp_path.iterdir()) == left
    publish.sweep(tmp_path / "nothing here")
    publish.sweep(other)
