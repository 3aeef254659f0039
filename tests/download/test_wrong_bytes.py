"""What a server sends is the file only where its checksum, size, coding and type say so."""

import base64
import hashlib

import pytest

from haversack.download.transfer import Request, transfer


def test_a_wrong_checksum_is_tried_once_more_and_never_published(
    server, get, here, megabyte, multihash
):
    server.file("/a", megabyte)
    outcome = get("/a", checksum=multihash(b"other"))["/a"]
    assert "sha256 is not that of the catalog" in outcome.error
    assert len(server.asked) == 2
    assert here() == {}
    assert get("/a", checksum=multihash(megabyte))["/a"].error is None


def test_a_checksum_of_another_kind_is_checked_too(server, get, here, megabyte):
    server.file("/a", megabyte)
    good = "d50110" + hashlib.md5(megabyte).hexdigest()
    assert get("/a", checksum="d50110" + "00" * 16)["/a"].error is not None
    assert get("/a", checksum=good)["/a"].error is None


def test_the_servers_own_md5_is_checked(server, get, here, megabyte):
    def md5(body):
        return base64.b64encode(hashlib.md5(body).digest()).decode()

    server.file("/bad", megabyte, **{"Content-MD5": md5(b"other")})
    server.file("/good", megabyte, **{"Content-MD5": md5(megabyte)})
    found = get("/bad", "/good")
    assert "content-md5" in found["/bad"].error
    assert found["/good"].error is None
    assert here() == {"good": megabyte}


def test_the_etag_of_s3_is_checked(server, get, here, megabyte):
    def etag(body):
        return f'"{hashlib.md5(body).hexdigest()}"'

    ours = {"Server": "AmazonS3", "x-amz-request-id": "4442587FB7D0A2F9"}
    server.file("/bad", megabyte, etag(b"other"), **ours)
    server.file("/good", megabyte, etag(megabyte), **ours)
    server.file("/elsewhere", b"body", etag(b"other"), Server="nginx")
    key = {"x-amz-server-side-encryption": "aws:kms"}
    server.file("/encrypted", b"body", etag(b"other"), **ours, **key)
    server.file("/pieces", b"body", f'{etag(b"other")[:-1]}-2"', **ours)
    found = get("/bad", "/good", "/elsewhere", "/encrypted", "/pieces")
    assert "md5 is not that of S3's etag" in found.pop("/bad").error
    assert [outcome.error for outcome in found.values()] == [None] * 4
    assert here() == {"good": megabyte} | dict.fromkeys(
        ["elsewhere", "encrypted", "pieces"], b"body"
    )
    assert server.paths().count("/bad") == 2


def test_a_wrong_size_is_refused_before_the_body_comes(server, get, here, megabyte):
    server.file("/a", megabyte)
    assert "the catalog says 5" in get("/a", size=5)["/a"].error
    assert here() == {}
    assert len(server.asked) == 1


@pytest.mark.parametrize("size", [0, 1000, 900_000])
def test_a_body_without_an_end_is_cut_off_at_the_size_that_the_catalog_says(
    server, get, here, make_answer, megabyte, size
):
    endless = make_answer(200, megabyte, {"Content-Length": ""}, cut=len(megabyte), end="stall")
    server.answer("/a", endless)
    error = get("/a", size=size, timeout=60)["/a"].error
    assert f"has more than {size} bytes, the catalog says {size}" in error
    assert here() == {}
    assert len(server.asked) == 1


@pytest.mark.parametrize("total", ["1024000", "*"])
def test_a_part_is_not_gone_on_with_beyond_the_size_that_the_catalog_says(
    server, get, here, make_answer, megabyte, total
):
    def route(asked):
        if asked.times == 1:
            headers = {"ETag": '"1"', "Content-Length": ""}
            return make_answer(200, megabyte, headers, cut=600_000, end="reset")
        begin = int(asked.headers["range"][6:-1])
        extent = {"ETag": '"1"', "Content-Range": f"bytes {begin}-1023999/{total}"}
        return make_answer(206, megabyte[begin:], extent | {"Content-Length": ""}, 1 << 20, "stall")

    server.answer("/a", route)
    error = get("/a", size=900_000, timeout=60)["/a"].error
    assert "the catalog says 900000" in error
    assert here() == {}
    assert len(server.asked) == 2


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
