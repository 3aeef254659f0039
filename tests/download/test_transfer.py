"""Files come whole, once, and never half under their final names, whatever the server does."""

import base64
import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from haversack.download import body as bytes_here
from haversack.download import commit, mover, parts, syncing
from haversack.download.digest import Digest
from haversack.download.ledger import Ledger
from haversack.download.secrets import Secrets
from haversack.download.transfer import Request, transfer
from haversack.errors import StorageError, UsageError
from haversack.storage.calls import calls

BODY = bytes(range(256)) * 4000  # about 1 MB: several buffers


def multihash(body):
    return "1220" + hashlib.sha256(body).hexdigest()


def wait_for_part(directory):
    """Wait until the first buffer of a big file is on disk."""
    while not any(p.stat().st_size >= 250_000 for p in directory.iterdir()):
        time.sleep(0.01)


@pytest.mark.parametrize("sync", ["batch", "each", "none"])
@pytest.mark.parametrize("platform", ["all calls", "no optional calls"])
def test_files_come_whole_with_their_checksums(server, get, here, sync, platform, monkeypatch):
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


# Cut short, changed, wrong


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_body_cut_short_goes_on_where_it_ended(server, get, here, serve_ranges, end):
    def route(asked):
        answer = serve_ranges(asked, BODY)
        if asked.times == 1:
            answer.cut, answer.end = 600_000, end
        return answer

    server.answer("/a", route)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.tries) == (None, 2)
    assert here() == {"a": BODY}
    # After a reset the kernel may drop what it has not delivered.
    if end == "close":
        assert server.asked[1].headers["if-range"] == '"1"'
        assert server.asked[1].headers["range"] == "bytes=600000-"


def test_a_body_that_is_always_cut_short_is_never_published(server, get, here, make_answer):
    server.answer("/a", make_answer(200, BODY, cut=600_000))
    outcome = get("/a", retries=2)["/a"]
    assert "broke off" in outcome.error
    assert outcome.size == 0
    # Without a validator not even a part is worth keeping.
    assert here() == {}


def test_a_chunked_body_cut_short_is_never_published(server, get, here, make_answer):
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n"
    server.answer("/a", make_answer(raw=raw))
    assert get("/a", retries=1)["/a"].error is not None
    assert here() == {}


def test_a_server_that_starts_anew_each_time_and_cuts_is_given_up(server, get, make_answer):
    body = bytes(3_000_000)
    server.answer("/a", make_answer(200, body, {"ETag": '"1"'}, cut=2_000_000))
    outcome = get("/a", retries=2)["/a"]
    assert "tried 4 times" in outcome.error
    # The first brought something new, the others nothing.
    assert outcome.tries == len(server.asked) == 4


def test_a_server_that_gives_little_at_once_is_asked_for_the_rest(server, get, here, serve_ranges):
    body = os.urandom(1_500_000)

    def route(asked):
        answer = serve_ranges(asked, body)
        if asked.times == 1:
            answer.cut = 100_000
        else:
            start = int(asked.headers["range"][6:-1])
            answer.body = body[start : start + 100_000]
            last = start + len(answer.body) - 1
            answer.headers["Content-Range"] = f"bytes {start}-{last}/{len(body)}"
        return answer

    server.answer("/a", route)
    outcome = get("/a", retries=0)["/a"]
    assert (outcome.error, outcome.tries, here()) == (None, 15, {"a": body})


def test_a_server_that_gives_a_byte_at_once_is_given_up(server, get, serve_ranges):
    def route(asked):
        answer = serve_ranges(asked, BODY)
        answer.cut = 1
        return answer

    server.answer("/a", route)
    assert "broke off" in get("/a", retries=3)["/a"].error
    assert len(server.asked) == 4


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_a_small_file_may_come_in_pieces_but_not_in_endless_ones(server, get, serve_ranges, size):
    def route(asked):
        answer = serve_ranges(asked, bytes(size))
        answer.cut = 0
        return answer

    server.answer("/a", route)
    outcome = get("/a", retries=1)["/a"]
    assert outcome.error is not None
    assert outcome.tries == len(server.asked) == 2


def test_a_range_that_was_not_asked_for_is_called_that(server, get, make_answer):
    headers = {"ETag": '"1"', "Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}
    server.answer("/a", make_answer(206, BODY, headers))
    assert "none was asked for" in get("/a", retries=1)["/a"].error


@pytest.mark.parametrize("etag", ['"1"', '"other"', ""])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_part_that_is_whole_already_is_published_where_something_vouches_for_it(
    server, get, here, serve_ranges, tmp_path, etag, is_known
):
    (tmp_path / "out").mkdir()
    part = parts.Parts("0123abcd", synced=True).new(
        "a", parts.validator({"etag": '"1"'}, len(BODY))
    )
    (tmp_path / "out" / part.path).write_bytes(BODY)
    server.file("/a", BODY, etag=etag)
    outcome = get("/a", checksum=multihash(BODY) if is_known else None)["/a"]
    assert (outcome.error, outcome.checksum, here()) == (None, multihash(BODY), {"a": BODY})
    assert len(server.asked) == (1 if is_known or etag == '"1"' else 2)


def test_a_part_that_is_not_what_the_catalog_means_is_not_taken_for_the_whole(
    server, get, here, tmp_path
):
    (tmp_path / "out").mkdir()
    part = parts.Parts("0123abcd", synced=True).new("a", "0123456789ab")
    (tmp_path / "out" / part.path).write_bytes(bytes(len(BODY)))
    server.file("/a", BODY, etag="")
    assert get("/a", checksum=multihash(BODY))["/a"].error is None
    assert here() == {"a": BODY}


def test_a_slow_big_file_gets_as_many_tries_as_it_needs(server, get, here, serve_ranges):
    body = os.urandom(6 << 20)

    def route(asked):
        answer = serve_ranges(asked, body)
        answer.cut = (1 << 20) + 300_000
        return answer if answer.cut < len(answer.body) else serve_ranges(asked, body)

    server.answer("/a", route)
    outcome = get("/a", retries=1)["/a"]
    assert (outcome.error, here()) == (None, {"a": body})
    assert outcome.tries >= 4


@pytest.mark.parametrize("etag", ['"1"', ""])
def test_a_file_that_changes_between_tries_is_never_spliced(server, get, here, serve_ranges, etag):
    old, new = b"old " * 200_000, b"new " * 200_000

    def route(asked):
        if asked.times == 1:
            answer = serve_ranges(asked, old, etag, {"Last-Modified": "Mon"})
            answer.cut = 500_000
            return answer
        # This server ignores If-Range, as some do.
        asked.headers.pop("if-range", None)
        return serve_ranges(asked, new, etag and '"2"', {"Last-Modified": "Tue"})

    server.answer("/a", route)
    assert get("/a")["/a"].error is None
    assert here() == {"a": new}


@pytest.mark.parametrize("fault", ["200", "wrong start", "no content-range", "no etag", "416"])
def test_a_bad_answer_to_a_range_starts_from_zero(
    server, get, here, serve_ranges, make_answer, fault
):
    def route(asked):
        answer = serve_ranges(asked, BODY)
        if asked.times == 1:
            answer.cut = 600_000
        elif asked.headers.get("range"):
            if fault == "200":
                return make_answer(200, BODY, {"ETag": '"1"'})
            if fault == "416":
                return make_answer(416, b"", {"Content-Range": f"bytes */{len(BODY)}"})
            if fault == "wrong start":
                answer.headers["Content-Range"] = f"bytes 5-{len(BODY) - 1}/{len(BODY)}"
            if fault == "no content-range":
                answer.headers["Content-Range"] = ""
            if fault == "no etag":
                answer.headers["ETag"] = ""
        return answer

    server.answer("/a", route)
    assert get("/a")["/a"].error is None
    assert here() == {"a": BODY}


def test_a_wrong_checksum_is_tried_once_more_and_never_published(server, get, here):
    server.file("/a", BODY)
    outcome = get("/a", checksum=multihash(b"other"))["/a"]
    assert "sha256 is not that of the catalog" in outcome.error
    assert len(server.asked) == 2
    assert here() == {}
    assert get("/a", checksum=multihash(BODY))["/a"].error is None


def test_a_checksum_of_another_kind_is_checked_too(server, get, here):
    server.file("/a", BODY)
    good = "d50110" + hashlib.md5(BODY).hexdigest()
    assert get("/a", checksum="d50110" + "00" * 16)["/a"].error is not None
    assert get("/a", checksum=good)["/a"].error is None


def test_the_servers_own_md5_is_checked(server, get, here):
    def md5(body):
        return base64.b64encode(hashlib.md5(body).digest()).decode()

    server.file("/bad", BODY, **{"Content-MD5": md5(b"other")})
    server.file("/good", BODY, **{"Content-MD5": md5(BODY)})
    found = get("/bad", "/good")
    assert "content-md5" in found["/bad"].error
    assert found["/good"].error is None
    assert here() == {"good": BODY}


def test_a_wrong_size_is_refused_before_the_body_comes(server, get, here):
    server.file("/a", BODY)
    assert "the catalog says 5" in get("/a", size=5)["/a"].error
    assert here() == {}
    assert len(server.asked) == 1


def test_a_compressed_body_is_not_taken_for_the_file(server, get, here):
    server.file("/a.tif", b"packed", **{"Content-Encoding": "gzip"})
    server.file("/a.tar.gz", b"packed", **{"Content-Encoding": "x-gzip"})
    found = get("/a.tif", "/a.tar.gz")
    assert "sent as gzip" in found["/a.tif"].error
    assert here() == {"a.tar.gz": b"packed"}


def test_a_web_page_is_not_taken_for_an_image(server, get, here):
    page = {"Content-Type": "text/html; charset=utf-8"}
    server.file("/a.tif", b"<html>please log in", **page)
    server.file("/a.html", b"<html>asked for", **page)
    found = get("/a.tif", "/a.html")
    assert "web page" in found["/a.tif"].error
    assert here() == {"a.html": b"<html>asked for"}


def test_a_web_page_at_an_address_that_says_nothing_is_taken_where_the_catalog_says_so(
    server, get, tmp_path
):
    url = server.file("/a", b"<html>please log in", **{"Content-Type": "text/html"})
    assert "web page" in get("/a")["/a"].error
    wanted = [Request(url, tmp_path / "page", media_type="text/html")]
    assert [o.error for o in transfer(wanted, source_origin=url)] == [None]


# Refusals and patience


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_answer_is_asked_for_once(server, get, make_answer, status):
    server.answer("/a", make_answer(status, b"no"))
    outcome = get("/a")["/a"]
    assert f"HTTP {status}" in outcome.error
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, get, here, make_answer, status):
    def route(asked):
        after = {"Retry-After": "0"}
        return make_answer(status, b"busy", after) if asked.times < 3 else make_answer(200, b"x")

    server.answer("/a", route)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.tries, here()) == (None, 3, {"a": b"x"})


def test_a_server_that_stays_busy_is_given_up(server, get, make_answer):
    server.answer("/a", make_answer(503, b"busy"))
    outcome = get("/a", retries=2)["/a"]
    assert "HTTP 503" in outcome.error
    assert len(server.asked) == 3


def test_a_server_that_says_to_come_back_much_later_is_not_waited_for(server, get, make_answer):
    for n in range(10):
        server.answer(f"/{n}", make_answer(503, b"busy", {"Retry-After": "3600"}))
    found = get(*(f"/{n}" for n in range(10)), concurrency=1)
    assert all("asks to wait 3,600 s" in outcome.error for outcome in found.values())
    assert len(server.asked) == 3


def test_a_stalled_transfer_is_given_up_and_others_go_on(server, get, here, make_answer):
    server.answer("/slow", make_answer(200, BODY, cut=10, end="stall"))
    server.file("/a", b"x")
    found = get("/slow", "/a", timeout=1, retries=0)
    assert "sent nothing" in found["/slow"].error
    assert here() == {"a": b"x"}


def test_redirects_are_followed_and_secrets_stay_home(
    server, second_server, get, here, make_answer
):
    second_server.file("/b", BODY)
    server.answer("/a", make_answer(303, b"", {"Location": second_server.url("/b?sig=1")}))
    outcome = get("/a", secrets=Secrets.bearer(server.url("/"), "my-key"))["/a"]
    assert (outcome.error, here()) == (None, {"a": BODY})
    assert server.asked[0].headers["authorization"] == "Bearer my-key"
    assert "my-key" not in str(second_server.asked)


def test_an_expired_signature_is_signed_anew(server, second_server, get, here, make_answer):
    second_server.answer(
        "/b", lambda asked: make_answer(503 if "old" in asked.path else 200, b"body")
    )
    server.answer(
        "/a",
        lambda asked: make_answer(
            302, b"", {"Location": second_server.url(f"/b?{'old' if asked.times == 1 else 'new'}")}
        ),
    )
    assert get("/a")["/a"].error is None
    assert here() == {"a": b"body"}


def test_redirect_loops_end(server, get, make_answer):
    server.answer("/a", make_answer(302, b"", {"Location": "/a"}))
    assert "more than 5 redirects" in get("/a")["/a"].error


def test_a_public_source_does_not_lead_to_loopback(server, tmp_path):
    server.file("/a", b"private")
    wanted = [Request(server.url("/a"), tmp_path / "a")]
    [refused] = transfer(wanted)
    assert "--allow-host 127.0.0.1" in str(refused.error)
    assert server.asked == []
    [allowed] = transfer(wanted, allow_hosts=[f"127.0.0.1:{server.port}"])
    assert allowed.error is None


@pytest.mark.parametrize("url", ["ftp://a.example/x", "file:///etc/passwd", "s3://bucket/key", ""])
def test_other_urls_are_an_error_of_their_own_asset(server, tmp_path, url):
    server.file("/a", b"x")
    wanted = [Request(url, tmp_path / "b"), Request(server.url("/a"), tmp_path / "a")]
    found = list(transfer(wanted, source_origin=server.url("/")))
    assert sorted(outcome.error is None for outcome in found) == [False, True]


def test_assets_of_a_dead_host_fail_together(server, get, here, tmp_path):
    server.file("/a", b"x")
    wanted = [Request(f"http://127.0.0.1:1/{n}", tmp_path / str(n)) for n in range(500)]
    wanted.insert(250, Request(server.url("/a"), tmp_path / "out" / "a"))
    found = list(transfer(wanted, source_origin=server.url("/")))
    assert sum(o.error is None for o in found) == 1
    assert all(o.error.startswith("cannot reach http://127.0.0.1:1:") for o in found if o.error)


def test_a_name_that_does_not_resolve_is_an_error(tmp_path):
    wanted = [Request(f"http://no-such-host.invalid/{n}", tmp_path / str(n)) for n in range(20)]
    found = list(transfer(wanted))
    assert all("does not resolve" in str(outcome.error) for outcome in found)


# Between runs


def test_what_is_left_of_an_earlier_run_is_gone_on_with(server, get, here, serve_ranges):
    def route(asked):
        answer = serve_ranges(asked, BODY)
        answer.cut = {1: 600_000, 2: 0, 3: 0}.get(asked.times)
        return answer

    server.answer("/a", route)
    assert get("/a", retries=0)["/a"].error is not None
    (left,) = here()
    assert left.startswith(parts.PREFIX)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.checksum) == (None, multihash(BODY))
    assert here() == {"a": BODY}
    assert int(server.asked[-1].headers["range"][6:-1]) >= 500_000


def test_a_part_of_an_older_version_is_not_gone_on_with(server, get, here, serve_ranges):
    def old(asked):
        answer = serve_ranges(asked, b"old " * 200_000, '"old"')
        answer.cut = 600_000
        return answer

    server.answer("/a", old)
    get("/a", retries=0)
    assert len(here()) == 1
    server.file("/a", BODY, etag='"new"')
    assert get("/a")["/a"].error is None
    assert here() == {"a": BODY}


def test_parts_that_cannot_be_gone_on_with_are_cleared_away(server, get, here, tmp_path):
    server.file("/a", b"x")
    get("/a")
    stem = parts._hash("a", 16)
    (tmp_path / "out" / f".part-{stem}-0-{parts.SYNCED}-dead.1").write_bytes(b"y" * 100_000)
    (tmp_path / "out" / f".part-{stem}-abc-{parts.SYNCED}-dead.2").write_bytes(b"y")
    get("/a")
    assert here() == {"a": b"x"}


def test_the_kept_part_of_another_run_counts_once(server, tmp_path):
    server.file("/a", BODY)
    stem, version = parts._hash("a", 16), parts.validator({"etag": '""'}, 0)
    kept = tmp_path / f".part-{stem}-{version}-{parts.SYNCED}-x"
    kept.write_bytes(b"y" * 100_000)
    wanted = [Request(server.url("/a"), tmp_path / "a")]
    [outcome] = transfer(wanted, source_origin=server.url("/"))
    assert outcome.error is None
    assert (tmp_path / "a").read_bytes() == BODY
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("sync", "is_trusted"),
    [("synced", True), ("this boot", True), ("cafecafe", False), ("0", False), ("none", False)],
)
def test_a_part_that_a_power_cut_may_have_spoilt_is_not_gone_on_with(
    server, tmp_path, sync, is_trusted
):
    server.file("/a", BODY)
    fields = [parts._hash("a", 16), parts.validator({"etag": '"1"'}, 0)]
    fields += {"this boot": [parts.boot()], "none": []}.get(sync, [sync])
    (tmp_path / f".part-{'-'.join(fields)}-dead.1").write_bytes(BODY[:100_000])
    wanted = [Request(server.url("/a"), tmp_path / "a")]
    [outcome] = transfer(wanted, source_origin=server.url("/"))
    assert outcome.error is None
    assert ("range" in server.asked[0].headers) == is_trusted
    assert (os.listdir(tmp_path), (tmp_path / "a").read_bytes()) == (["a"], BODY)


def test_without_boots_to_tell_apart_only_synced_parts_are_gone_on_with(monkeypatch, tmp_path):
    monkeypatch.setattr(parts, "_BOOT_ID", tmp_path / "missing")
    assert parts.boot() == "0"
    first = parts.Parts("0123abcd", synced=True)
    for one in (first.new(str(tmp_path / "a"), "ab"), first.new(str(tmp_path / "b"), "ab")):
        one.write(bytes(100_000))
        one.close()
    one.keep_or_remove(sync=True)
    later = parts.Parts("89abcdef", synced=True)
    found = [
        later.adopt(name, later.prepare(name), Digest([]))
        for name in (str(tmp_path / "a"), str(tmp_path / "b"))
    ]
    assert [part and part.size for part in found] == [None, 100_000]


@pytest.mark.parametrize("fsync", ["batch", "none"])
def test_a_part_is_called_synced_only_after_its_sync(
    server, get, here, make_answer, monkeypatch, fsync
):
    order, sync, rename = [], os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda one: [order.append("sync"), sync(one)])
    monkeypatch.setattr(os, "rename", lambda *names: [order.append("rename"), rename(*names)])
    server.answer("/a", make_answer(200, BODY, {"ETag": '"1"'}, cut=600_000))
    assert get("/a", retries=0, fsync=fsync)["/a"].error is not None
    (left,) = here()
    assert left.split("-")[3] == ("synced" if fsync == "batch" else parts.boot())
    assert order == (["sync", "rename"] if fsync == "batch" else [])


def test_a_part_whose_sync_fails_is_not_kept(server, get, here, make_answer, monkeypatch):
    def refuse(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    server.answer("/a", make_answer(200, BODY, {"ETag": '"1"'}, cut=600_000))
    assert "broke off" in get("/a", retries=0)["/a"].error
    assert here() == {}


def test_a_synced_part_loses_that_name_for_good_before_more_is_written(
    server, get, here, make_answer, tmp_path, monkeypatch
):
    server.answer("/a", make_answer(200, BODY, {"ETag": '"1"'}, cut=600_000))
    get("/a", retries=0)
    server.file("/a", BODY)
    order, sync, write = [], parts.sync_directory, parts.Part.write
    monkeypatch.setattr(parts, "sync_directory", lambda path: [order.append(path), sync(path)])
    monkeypatch.setattr(
        parts.Part, "write", lambda self, data: [order.append("write"), write(self, data)]
    )
    assert get("/a")["/a"].error is None
    assert order[:2] == [tmp_path / "out", "write"]


def test_two_runs_at_once_do_no_harm(server, tmp_path):
    files = {str(n): os.urandom(50_000) for n in range(60)}
    for name, body in files.items():
        server.file(f"/{name}", body)
    wanted = [Request(server.url(f"/{name}"), tmp_path / name) for name in files]
    errors = []

    def run():
        found = transfer(wanted, source_origin=server.url("/"))
        errors.extend(outcome.error for outcome in found)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [None] * 120
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == files


def test_a_file_whose_part_was_taken_away_is_fetched_again(server, get, here, monkeypatch):
    server.file("/a", b"x" * 1000)
    replace, taken = os.replace, []

    def take_away(part, final):
        if not taken:
            taken.append(part)
            Path(part).unlink()
        replace(part, final)

    monkeypatch.setattr(os, "replace", take_away)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.tries) == (None, 2)
    assert outcome.checksum == multihash(b"x" * 1000)
    assert here() == {"a": b"x" * 1000}


def test_what_earlier_runs_left_is_gone_before_the_name_is_there(
    server, get, here, tmp_path, monkeypatch
):
    server.file("/a", b"x")
    (tmp_path / "out").mkdir()
    left = tmp_path / "out" / parts.Parts("0123abcd", synced=True).new("a", parts.NO_VALIDATOR).path
    left.write_bytes(b"half")
    replace, seen = os.replace, []
    monkeypatch.setattr(
        os, "replace", lambda part, final: [seen.append(left.exists()), replace(part, final)]
    )
    get("/a")
    assert (seen, here()) == ([False], {"a": b"x"})


def test_stopping_early_leaves_parts_and_no_threads(server, get, here, make_answer, tmp_path):
    server.file("/a", b"x")
    etag = {"ETag": '"1"'}
    server.answer("/slow", make_answer(200, BODY, etag, cut=600_000, end="stall"))
    wanted = [Request(server.url(f"/{name}"), tmp_path / "out" / name) for name in ("slow", "a")]
    running = transfer(wanted, source_origin=server.url("/"))
    assert next(running).request.url.endswith("/a")
    wait_for_part(tmp_path / "out")
    running.close()
    ours = ("haversack-move", "haversack-commit")
    assert not [t for t in threading.enumerate() if t.name.startswith(ours)]
    kept = here()
    assert kept.pop("a") == b"x"
    ((name, content),) = kept.items()
    assert name.startswith(parts.PREFIX)
    assert BODY.startswith(content)


def test_ctrl_c_ends_soon_and_leaves_a_part(server, make_answer, tmp_path):
    etag = {"ETag": '"1"'}
    url = server.answer("/slow", make_answer(200, BODY, etag, cut=600_000, end="stall"))
    program = f"""
import sys, pathlib
from haversack.download.transfer import Request, transfer
wanted = [Request({url!r}, pathlib.Path({str(tmp_path)!r}) / "slow")]
try:
    list(transfer(wanted, source_origin={url!r}))
except KeyboardInterrupt:
    sys.exit(77)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    wait_for_part(tmp_path)
    child.send_signal(2)
    _, said = child.communicate(timeout=20)
    assert (child.returncode, said) == (77, b"")
    ((name, size),) = [(p.name, p.stat().st_size) for p in tmp_path.iterdir()]
    assert name.startswith(parts.PREFIX)
    assert 250_000 <= size <= 600_000


def test_a_killed_run_leaves_no_half_file_and_is_gone_on_with(server, make_answer, tmp_path, get):
    for n in range(200):
        server.file(f"/{n}", bytes([n]) * 30_000)
    url = server.url("/")
    program = f"""
import pathlib
from haversack.download.transfer import Request, transfer
out = pathlib.Path({str(tmp_path)!r}, "out")
wanted = [Request({url!r} + str(n), out / str(n)) for n in range(200)]
for outcome in transfer(wanted, source_origin={url!r}, fsync="each"):
    print(outcome.request.path.name, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    told = {child.stdout.readline().strip().decode() for _ in range(20)}
    child.kill()
    child.communicate()
    whole = {p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".part")}
    assert told <= whole
    for name in whole:
        assert (tmp_path / "out" / name).read_bytes() == bytes([int(name)]) * 30_000
    assert all(o.error is None for o in get(*(f"/{n}" for n in range(200))).values())
    assert {p.name for p in (tmp_path / "out").iterdir()} == {str(n) for n in range(200)}


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


# The disk


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
    server, get, here, make_answer, monkeypatch
):
    etag = {"ETag": '"1"'}
    server.answer("/a", make_answer(200, BODY, etag, cut=200_000))
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
    server, get, here, monkeypatch, make_answer, call
):
    server.answer("/a", make_answer(200, BODY, cut=600_000))
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
    server, get, here, monkeypatch, sync
):
    ranges = []
    monkeypatch.setattr(calls, "write_back", lambda _, begin, size: ranges.append((begin, size)))
    server.file("/a", BODY)
    get("/a", fsync=sync)
    assert here() == {"a": BODY}
    assert bool(ranges) == (sync == "batch")
    assert all(size > 0 and begin + size <= len(BODY) for begin, size in ranges)


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


def test_an_error_of_the_requests_is_raised(server, tmp_path):
    def requests():
        yield Request(server.file("/a", b"x"), tmp_path / "a")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(transfer(requests(), source_origin=server.url("/")))


def test_bytes_are_counted_as_they_come(server, get):
    server.file("/a", BODY)
    server.file("/b", BODY)
    told = []
    get("/a", "/b", on_bytes=told.append)
    assert sum(told) == 2 * len(BODY)


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


@pytest.mark.parametrize(("retries", "told"), [(0, "tried once"), (1, "tried 2 times")])
def test_how_often_a_file_was_tried_is_told_as_people_say_it(
    server, get, make_answer, retries, told
):
    server.answer("/a", make_answer(500))
    assert get("/a", retries=retries)["/a"].error.endswith(f"; {told}")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_an_error_whose_body_breaks_off_is_final_all_the_same(server, get, make_answer, end):
    server.answer("/a", make_answer(403, b"x" * 1000, cut=0, end=end))
    outcome = get("/a")["/a"]
    assert "HTTP 403, access is refused" in outcome.error
    assert (outcome.tries, len(server.asked)) == (1, 1)


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
