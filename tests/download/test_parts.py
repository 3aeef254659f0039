"""A part is gone on with only where all its bytes are those of the version that its name says."""

import errno
import os

import pytest

from haversack.download import parts
from haversack.download.digest import Digest
from haversack.download.transfer import Request, transfer


def test_what_is_left_of_an_earlier_run_is_gone_on_with(
    server, get, here, serve_ranges, megabyte, multihash
):
    def route(asked):
        answer = serve_ranges(asked, megabyte)
        answer.cut = {1: 600_000, 2: 0, 3: 0}.get(asked.times)
        return answer

    server.answer("/a", route)
    assert get("/a", retries=0)["/a"].error is not None
    (left,) = here()
    assert left.startswith(parts.PREFIX)
    outcome = get("/a")["/a"]
    assert (outcome.error, outcome.checksum) == (None, multihash(megabyte))
    assert here() == {"a": megabyte}
    assert int(server.asked[-1].headers["range"][6:-1]) >= 500_000


def test_a_part_of_an_older_version_is_not_gone_on_with(server, get, here, serve_ranges, megabyte):
    def old(asked):
        answer = serve_ranges(asked, b"old " * 200_000, '"old"')
        answer.cut = 600_000
        return answer

    server.answer("/a", old)
    get("/a", retries=0)
    assert len(here()) == 1
    server.file("/a", megabyte, etag='"new"')
    assert get("/a")["/a"].error is None
    assert here() == {"a": megabyte}


def test_parts_that_cannot_be_gone_on_with_are_cleared_away(server, get, here, tmp_path):
    server.file("/a", b"x")
    get("/a")
    stem = parts._hash("a", 16)
    (tmp_path / "out" / f".part-{stem}-0-{parts.SYNCED}-deadbeef.1").write_bytes(b"y" * 100_000)
    (tmp_path / "out" / f".part-{stem}-0123456789ab-{parts.SYNCED}-deadbeef.2").write_bytes(b"y")
    get("/a")
    assert here() == {"a": b"x"}


def test_the_kept_part_of_another_run_counts_once(server, tmp_path, megabyte):
    server.file("/a", megabyte)
    stem, version = parts._hash("a", 16), parts.validator({"etag": '""'}, 0)
    kept = tmp_path / f".part-{stem}-{version}-{parts.SYNCED}-deadbeef.1"
    kept.write_bytes(b"y" * 100_000)
    wanted = [Request(server.url("/a"), tmp_path / "a")]
    [outcome] = transfer(wanted, source_origin=server.url("/"))
    assert outcome.error is None
    assert (tmp_path / "a").read_bytes() == megabyte
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("sync", "is_trusted"),
    [("synced", True), ("this boot", True), ("cafecafe", False), ("0", False), ("none", False)],
)
def test_a_part_that_a_power_cut_may_have_spoilt_is_not_gone_on_with(
    server, tmp_path, sync, is_trusted, megabyte
):
    server.file("/a", megabyte)
    fields = [parts._hash("a", 16), parts.validator({"etag": '"1"'}, 0)]
    fields += {"this boot": [parts.boot()], "none": []}.get(sync, [sync])
    (tmp_path / f".part-{'-'.join(fields)}-deadbeef.1").write_bytes(megabyte[:100_000])
    wanted = [Request(server.url("/a"), tmp_path / "a")]
    [outcome] = transfer(wanted, source_origin=server.url("/"))
    assert outcome.error is None
    assert ("range" in server.asked[0].headers) == is_trusted
    assert (os.listdir(tmp_path), (tmp_path / "a").read_bytes()) == (["a"], megabyte)


def test_without_boots_to_tell_apart_only_synced_parts_are_gone_on_with(monkeypatch, tmp_path):
    monkeypatch.setattr(parts, "_BOOT_ID", tmp_path / "missing")
    assert parts.boot() == "0"
    first = parts.Parts("0123abcd", synced=True)
    for one in (
        first.new(str(tmp_path / "a"), "0123456789ab"),
        first.new(str(tmp_path / "b"), "0123456789ab"),
    ):
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
    server, get, here, make_answer, monkeypatch, fsync, megabyte
):
    order, sync, rename = [], os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda one: [order.append("sync"), sync(one)])
    monkeypatch.setattr(os, "rename", lambda *names: [order.append("rename"), rename(*names)])
    server.answer("/a", make_answer(200, megabyte, {"ETag": '"1"'}, cut=600_000))
    assert get("/a", retries=0, fsync=fsync)["/a"].error is not None
    (left,) = here()
    assert left.split("-")[3] == ("synced" if fsync == "batch" else parts.boot())
    assert order == (["sync", "rename"] if fsync == "batch" else [])


def test_a_part_whose_sync_fails_is_not_kept(server, get, here, make_answer, monkeypatch, megabyte):
    def refuse(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    server.answer("/a", make_answer(200, megabyte, {"ETag": '"1"'}, cut=600_000))
    assert "broke off" in get("/a", retries=0)["/a"].error
    assert here() == {}


def test_a_synced_part_loses_that_name_for_good_before_more_is_written(
    server, get, here, make_answer, tmp_path, monkeypatch, megabyte
):
    server.answer("/a", make_answer(200, megabyte, {"ETag": '"1"'}, cut=600_000))
    get("/a", retries=0)
    server.file("/a", megabyte)
    order, sync, write = [], parts.sync_directory, parts.Part.write
    monkeypatch.setattr(parts, "sync_directory", lambda path: [order.append(path), sync(path)])
    monkeypatch.setattr(
        parts.Part, "write", lambda self, data: [order.append("write"), write(self, data)]
    )
    assert get("/a")["/a"].error is None
    assert order[:2] == [tmp_path / "out", "write"]


@pytest.mark.parametrize("etag", ['"1"', '"other"', ""])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_part_that_is_whole_already_is_published_where_something_vouches_for_it(
    server, get, here, serve_ranges, tmp_path, etag, is_known, megabyte, multihash
):
    (tmp_path / "out").mkdir()
    part = parts.Parts("0123abcd", synced=True).new(
        "a", parts.validator({"etag": '"1"'}, len(megabyte))
    )
    (tmp_path / "out" / part.path).write_bytes(megabyte)
    server.file("/a", megabyte, etag=etag)
    outcome = get("/a", checksum=multihash(megabyte) if is_known else None)["/a"]
    assert (outcome.error, outcome.checksum, here()) == (None, multihash(megabyte), {"a": megabyte})
    assert len(server.asked) == (1 if is_known or etag == '"1"' else 2)


def test_a_part_that_is_not_what_the_catalog_means_is_not_taken_for_the_whole(
    server, get, here, tmp_path, megabyte, multihash
):
    (tmp_path / "out").mkdir()
    part = parts.Parts("0123abcd", synced=True).new("a", "0123456789ab")
    (tmp_path / "out" / part.path).write_bytes(bytes(len(megabyte)))
    server.file("/a", megabyte, etag="")
    assert get("/a", checksum=multihash(megabyte))["/a"].error is None
    assert here() == {"a": megabyte}


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
