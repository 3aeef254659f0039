"""A run that is ended waits for no slow disk, and the next one goes on from what is there."""

import threading
import time

import pytest

from haversack.download import ending
from haversack.download.commit import Committer
from haversack.download.digest import Digest
from haversack.download.ending import Ending
from haversack.download.parts import PREFIX, Part, Parts
from haversack.download.syncing import Disk
from haversack.download.transfer import Request, transfer
from haversack.download.whole import Whole

PIECE = 512 << 10  # what is handed to the disk at once
BIG = bytes(range(256)) * 8192
SMALL = b"small" * 1000


@pytest.fixture
def disk(monkeypatch):
    """Give a disk that is stuck, but for ``/first``, until the run ends; and what comes then."""
    stuck, gate, late = threading.Event(), threading.Event(), []
    write, begin = Part.write, Ending.begin
    first = Parts("0", synced=True).new("first", "0").path.split("-")[1]

    def slowly(self, data):
        if f"-{first}-" not in self.path and (len(data) < PIECE or self.size):
            if gate.is_set():
                late.append(self.path)
            stuck.set()
            gate.wait(30)
        write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(ending, "_SECONDS", 0.0)
        patch.setattr(Part, "write", slowly)
        patch.setattr(Ending, "begin", lambda self: [begin(self), gate.set()])
        yield patch, stuck, late


@pytest.fixture
def end_and_go_on(server, tmp_path, disk, here, serve_ranges):
    """End a run whose disk is stuck, let another finish; give what the first left."""
    published = threading.Event()

    def run(names):
        wanted = [Request(server.url(name), tmp_path / "out" / name[1:]) for name in names]
        return transfer(wanted, source_origin=server.url("/"), concurrency=4)

    def end_and_go_on(count, body, *, all_asked):
        names = [f"/{n}" for n in range(count)]
        for name in names:
            server.answer(name, lambda asked: [published.wait(30), serve_ranges(asked, body)][1])
        running = run(["/first", *names])
        assert next(running).request.path.name == "first"
        published.set()
        assert disk[1].wait(30)
        deadline = time.monotonic() + 30
        while all_asked and not set(names) <= set(server.paths()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.close()
        left = here()
        disk[0].undo()
        assert all(outcome.error is None for outcome in run(["/first", *names]))
        assert here() == {"first": b"first"} | {name[1:]: body for name in names}
        return left

    server.file("/first", b"first")
    return end_and_go_on


def test_small_files_that_a_slow_disk_has_not_taken_at_the_end_come_again(end_and_go_on, disk):
    left = end_and_go_on(60, SMALL, all_asked=False)
    assert left["first"] == b"first"
    assert len(disk[2]) <= 1  # what was begun as the run ended
    assert not [name for name in left if name.startswith(PREFIX)]


def test_a_large_file_goes_on_from_what_a_slow_disk_has_taken_at_the_end(
    server, end_and_go_on, disk
):
    left = end_and_go_on(4, BIG, all_asked=True)
    assert len(disk[2]) <= 1
    assert "first" in left
    parts = [data for name, data in left.items() if name != "first"]
    assert parts
    assert all(len(data) < len(BIG) and BIG.startswith(data) for data in parts)
    resumed = [asked for asked in server.asked if "range" in asked.headers]
    assert len(resumed) == len(parts)


@pytest.mark.parametrize("size", [len(SMALL), PIECE])
def test_no_file_is_synced_once_the_end_is_over(tmp_path, size):
    over, parts = Ending(), Parts("0", synced=True)
    committer = Committer(Disk("each", over), None, over)
    path = tmp_path / "a"
    part, wanted = parts.new(str(path), "0123456789ab"), Request("http://a.example/a", path)
    committer.put(Whole(wanted, str(path), part, bytes(size), Digest([]), None, None, [], None))
    over._until = 0.0
    committer.close()
    assert not path.exists()
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [size] * (size == PIECE)
