"""Files come whole, each once, as many as are asked for, in little memory."""

import os
from pathlib import Path

import pytest

from haversack.download import body as bytes_here
from haversack.download import commit, mover
from haversack.download.ledger import Ledger
from haversack.download.transfer import Request, transfer
from haversack.errors import UsageError
from haversack.storage.calls import calls


@pytest.mark.parametrize("sync", ["batch", "each", "none"])
@pytest.mark.parametrize("platform", ["all calls", "no optional calls"])
def test_files_come_whole_with_their_checksums(
    server, get, here, sync, platform, monkeypatch, multihash
):
    if platform == "no optional calls":
        monkeypatch.setattr(calls, "syncfs", None)
    files = {f"d{n % 3}/{n}.tif": os.urandom(n * 100) for n in range(40)}
    for name, body in files.items():
        server.file(f"/{name}", body)
    found = get(*(f"/{name}" for name in files), fsync=sync)
    assert here() == files
    for name, body in files.items():
        outcome = found[f"/{name}"]
        assert (outcome.error, outcome.size, outcome.etag) == (None, len(body), '"1"')
        assert outcome.checksum == multihash(body)


def test_nothing_is_asked_for_nothing(get):
    assert get() == {}


def test_an_empty_file_is_a_file(server, get, here):
    server.file("/empty", b"")
    assert get("/empty")["/empty"].error is None
    assert here() == {"empty": b""}


def test_connections_are_kept(server, get):
    for n in range(50):
        server.file(f"/{n}", b"x")
    get(*(f"/{n}" for n in range(50)), concurrency=2)
    assert len(server._connections) <= 2


def test_the_whole_is_asked_for_as_it_is(server, get):
    server.file("/a", b"x")
    get("/a")
    assert server.asked[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.asked[0].headers


def test_a_host_with_much_to_give_does_not_keep_others_waiting(
    server, second_server, tmp_path, make_answer
):
    order = []

    def route(asked):
        order.append(asked.path)
        return make_answer(200, b"x")

    urls = [
        one.answer(f"/{name}{n}", route)
        for one, name in ((server, "a"), (second_server, "b"))
        for n in range(6)
    ]
    wanted = [Request(url, tmp_path / str(n)) for n, url in enumerate(urls)]
    found = list(transfer(wanted, source_origin=urls[0], concurrency=1))
    assert [one.error for one in found] == [None] * 12
    assert order == [f"/{name}{n}" for n in range(6) for name in "ab"]


def test_published_files_are_in_the_ledger(server, get, tmp_path):
    server.file("/a/b.tif", b"pixels")
    (tmp_path / "out").mkdir()
    with Ledger(tmp_path / "out" / "ledger.db") as ledger:
        outcome = get("/a/b.tif", ledger=ledger)["/a/b.tif"]
        entry = ledger.whole(tmp_path / "out" / "a" / "b.tif")
    assert entry is not None
    assert (entry.path, entry.size, entry.checksum) == ("a/b.tif", 6, outcome.checksum)
    assert entry.etag == '"1"'


def test_memory_stays_flat_while_requests_stream(server, tmp_path, monkeypatch):
    monkeypatch.setattr(mover, "_UNTAKEN", 100)
    monkeypatch.setattr(commit, "_QUEUED", 100)
    server.file("/a", b"x")
    taken = []

    def requests():
        for n in range(1000):
            taken.append(n)
            yield Request(server.url("/a"), tmp_path / str(n))

    running = transfer(requests(), source_origin=server.url("/"), concurrency=2, fsync="none")
    for given, _ in enumerate(running):
        assert len(taken) - given <= 300
    assert len(taken) == 1000


def test_an_error_of_the_requests_is_raised(server, tmp_path):
    def requests():
        yield Request(server.file("/a", b"x"), tmp_path / "a")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(transfer(requests(), source_origin=server.url("/")))


def test_bytes_are_counted_as_they_come(server, get, megabyte):
    server.file("/a", megabyte)
    server.file("/b", megabyte)
    told = []
    get("/a", "/b", on_bytes=told.append)
    assert sum(told) == 2 * len(megabyte)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("concurrency", one) for one in (0, -1, 1.5, True, "4", None, 10**9)),
        *(("retries", one) for one in (-1, 1.5, True, "4", None)),
        *(("timeout", one) for one in (0, -1, float("nan"), True, "4", None)),
        *(("fsync", one) for one in ("all", "", None, True, [])),
        *(("max_bytes_per_second", one) for one in (0, -1, float("nan"), "4")),
        *(("max_requests_per_second", one) for one in (0, -1, float("nan"), "4")),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_begins(
    server, get, tmp_path, name, value
):
    server.file("/a", b"x")
    with pytest.raises(UsageError, match=f"^{name} is "):
        get("/a", **{name: value})
    assert server.asked == []
    assert not (tmp_path / "out").exists()


def test_a_buffer_is_small():
    assert bytes_here._BUFFER <= 1 << 20


def test_a_bare_name_is_fetched_into_the_current_directory(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.file("/bare", b"content")
    wanted = [Request(server.url("/bare"), Path("bare"))]
    assert [o.error for o in transfer(wanted, source_origin=server.url("/"))] == [None]
    assert (tmp_path / "bare").read_bytes() == b"content"
