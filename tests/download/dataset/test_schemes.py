"""The scheme of an address is read in any case, as RFC 3986 has it."""

import json
import re
from typing import Any

import pytest

from haversack.catalog import read_catalog
from haversack.download import download
from haversack.download.planning import address
from haversack.download.stores import Stores

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


def _upper(url):
    return url.replace("http://", "HTTP://")


def test_an_asset_whose_scheme_is_in_capitals_is_fetched(empty, server, source, out):
    empty.add_item("one", {"red": _upper(server.file("/red.tif", b"red"))})
    assert download(empty.archive(source), out, **LOCAL).fetched == 1
    assert (out / "farms/fields/one/red.tif").read_bytes() == b"red"


def test_what_was_left_without_a_size_is_asked_for_too(empty, server, source, out):
    empty.add_item("one", {"red": _upper(server.file("/red.tif", b"red"))})
    place = out / "farms/fields/one/red.tif"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"red")
    report = download(empty.archive(source), out, **LOCAL)
    assert (report.present, report.unverified) == (1, 0)
    assert [asked.method for asked in server.asked] == ["HEAD"]


def test_urls_and_catalogs_in_capitals_are_sources(empty, server, source, out, make_answer):
    report = download([_upper(server.file("/red.tif", b"red"))], out, **LOCAL)
    assert (report.fetched, report.failed) == (1, 0)
    server.file("/farms/fields/one/blue.tif", b"blue")
    empty.add_item("one", {"blue": "./blue.tif"})["links"].append(
        {"rel": "self", "href": _upper(server.url("/farms/fields/one/one.json"))}
    )
    for path, document in empty.files.items():
        server.answer(f"/{path}", make_answer(200, json.dumps(document).encode()))
    report = download(_upper(server.url("/farms/catalog.json")), out)
    assert (report.dataset_id, report.fetched, report.failed) == ("farms", 1, 0)


@pytest.mark.parametrize(
    ("href", "asked"),
    [
        ("S3://Bucket/a b.tif", "https://Bucket.s3.amazonaws.com/a%20b.tif"),
        ("GS://Bucket/a.tif", "https://storage.googleapis.com/Bucket/a.tif"),
        ("HTTPS://a.example/B.tif", "https://a.example/B.tif"),
    ],
)
def test_buckets_in_capitals_are_the_same_buckets(empty, source, href, asked):
    empty.add_item("one", {"red": href})
    assert address(read_catalog(empty.archive(source)), 0, Stores()) == asked


def test_the_error_names_every_scheme_that_can_be_fetched(empty, source, out):
    empty.add_item("one", {"red": "ftp://a.example/red.tif"})
    report = download(empty.archive(source), out, raise_errors=False, **LOCAL)
    [failure] = report.failures
    assert re.search("only http, https, s3[ ,].*gs.* addresses can be fetched", failure.error)
