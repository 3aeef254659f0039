"""Large files are written beside the network, in order, and a disk that refuses is told."""

import errno
import hashlib
import threading
import time
from pathlib import Path

import pytest

from haversack.download import writer as writing
from haversack.download.digest import Digest
from haversack.download.ending import Ending
from haversack.download.parts import Part, Parts
from haversack.download.writer import Writer
from haversack.errors import StorageError

BIG = bytes(range(256)) * 8192  # 2 MB: several pieces of what is handed over at once


def test_a_disk_that_refuses_a_part_midway_fails_that_file_alone(server, get, here, monkeypatch):
    write = Part.write

    def refuse(self, data):
        if self.path.rpartition("/")[2].startswith(marked) and self.size:
            raise OSError(errno.EACCES, "Permission denied")
        write(self, data)

    marked = ".part-" + Parts("0", synced=True).new("bad", "0").path.split("-")[1]
    monkeypatch.setattr(Part, "write", refuse)
    for name in ("/bad", "/good", "/other"):
        server.file(name, BIG)
    found = get("/bad", "/good", "/other")
    assert "permission denied" in found["/bad"].error
    assert found["/good"].error is found["/other"].error is None
    published = {name: data for name, data in here().items() if not name.startswith(".part-")}
    assert published == {"good": BIG, "other": BIG}


def test_a_disk_that_is_full_is_never_told_as_a_wrong_digest(server, get, here, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Part, "write", refuse)
    body = BIG[:700_000]  # flushed once, and then it is whole
    server.file("/a", body)
    with pytest.raises(StorageError, match="the disk is full") as told:
        get("/a", checksum="1220" + hashlib.sha256(body).hexdigest())
    assert told.value.exit_code == 8
    assert len(server.asked) == 1
    assert here() == {}


def test_a_slow_disk_is_not_taken_for_a_silent_server(server, get, here, monkeypatch):
    monkeypatch.setattr(writing, "_BEHIND", 256 << 10)
    write, slow = Part.write, []

    def wait(self, data):
        if not slow:
            slow.append(time.sleep(3))
        write(self, data)

    monkeypatch.setattr(Part, "write", wait)
    server.file("/a", BIG * 8)
    outcome = get("/a", timeout=1, retries=0)["/a"]
    assert (outcome.error, outcome.tries, here()) == (None, 1, {"a": BIG * 8})


def test_a_large_file_with_a_wrong_digest_is_asked_for_once_more_and_never_published(
    server, get, here
):
    server.file("/a", BIG)
    outcome = get("/a", checksum="1220" + "00" * 32)["/a"]
    assert "sha256 is not that of the catalog" in outcome.error
    assert here() == {}
    assert len(server.asked) == 2


def test_a_slow_disk_holds_large_files_back(server, get, here, monkeypatch):
    monkeypatch.setattr(writing, "_BEHIND", 1 << 20)
    write, given, most = Part.write, Writer.write, []
    monkeypatch.setattr(Part, "write", lambda self, data: [time.sleep(0.01), write(self, data)])

    def note(self, part, digest, chunks, size):
        given(self, part, digest, chunks, size)
        most.append(self._given - self._written)

    monkeypatch.setattr(Writer, "write", note)
    names = [server.file(f"/{n}", BIG) and f"/{n}" for n in range(8)]
    assert all(outcome.error is None for outcome in get(*names, concurrency=2).values())
    # What curl has taken from its sockets by then still comes.
    assert max(most) < 6 << 20
    assert here() == {f"{n}": BIG for n in range(8)}


def test_a_writer_that_breaks_raises_and_hangs_nobody(tmp_path, monkeypatch):
    writer = Writer(lambda _: None, Ending())
    monkeypatch.setattr(Part, "write", lambda *_: 1 / 0)
    writer.write(Part(str(tmp_path / "part"), "0"), Digest([]), [b"x"], 1)
    waiting = threading.Thread(target=writer.wait, daemon=True)
    waiting.start()
    waiting.join(30)
    assert not waiting.is_alive()
    with pytest.raises(ZeroDivisionError):
        writer.is_behind()
    writer.close()
    assert not Path(tmp_path / "part").exists()
