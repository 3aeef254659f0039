"""Whatever is asked of a server has its line at DEBUG: what the server was asked is the oracle."""

import json
import logging
from collections import Counter
from typing import Any

import pytest

from haversack.download import StacApi, download

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


@pytest.fixture
def logged(server, caplog):
    """Run something; give what was asked while it ran, and what the log says was asked."""

    def run(call, *arguments, **options):
        since = len(server.asked)
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "haversack"):
            call(*arguments, **options)
        asked = server.asked[since:]
        lines = [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]
        told = [line for line in lines if line.split(" ")[0] in {"GET", "HEAD", "POST"}]
        return Counter(f"{a.method} {server.url(_shown(a.path))}" for a in asked), Counter(told)

    return run


def _shown(path):
    """Write a path as a log does, without its query, which may be a signature."""
    base, question, _ = path.partition("?")
    return f"{base}?…" if question else base


def test_documents_of_a_static_catalog(farms, server, out, make_answer, logged):
    for path, document in farms.files.items():
        server.answer(f"/{path}", make_answer(200, json.dumps(document).encode()))
    asked, told = logged(download, server.url("/farms/catalog.json"), out)
    assert asked == told
    assert f"GET {server.url('/farms/fields/item0/item0.json')}" in told


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_a_search_and_its_collections(server, out, make_answer, logged, method):
    link = {"rel": "search", "href": "./search", "method": method}
    root = {"type": "Catalog", "id": "api", "links": [link]}
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "one",
        "collection": "fields",
        "geometry": None,
        "properties": {"datetime": "2020-05-01T00:00:00Z"},
        "links": [],
        "assets": {"red": {"href": server.file("/red.tif", b"red")}},
    }
    more = {"rel": "next", "href": "./more?token=secret"}
    server.answer("/v1/", make_answer(200, json.dumps(root).encode()))
    page = {"type": "FeatureCollection", "features": [item], "links": [more]}
    server.answer("/v1/search", make_answer(200, json.dumps(page).encode()))
    last = {"type": "FeatureCollection", "features": [], "links": []}
    server.answer("/v1/more", make_answer(200, json.dumps(last).encode()))
    asked, told = logged(download, StacApi(server.url("/v1/")), out, name="found")
    assert asked == told
    assert sum(asked.values()) == 5
    assert "secret" not in str(told)


def test_listings_of_a_folder(server, out, make_answer, logged):
    page = b'<a href="a.tif">a</a><a href="below/">b</a>'
    url = server.answer("/files/", make_answer(200, page, {"Content-Type": "text/html"}))
    server.answer("/files/below/", make_answer(200, b"", {"Content-Type": "text/html"}))
    server.file("/files/a.tif", b"a")
    asked, told = logged(download, url, out)
    assert asked == told
    assert f"GET {server.url('/files/below/')}" in told


def test_lengths_of_what_is_here(farms, server, source, out, logged):
    place = out / "farms/fields/item0/red.tif"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"image 0" * 100)
    asked, told = logged(download, farms.archive(source), out, **LOCAL)
    assert asked == told
    assert f"HEAD {server.url('/0/red.tif')}" in told


def test_redirects_and_tries(empty, server, source, out, make_answer, logged):
    def busy(asked):
        return make_answer(503 if asked.times == 1 else 200, b"red")

    server.answer("/busy.tif", busy)
    moved = make_answer(302, b"", {"Location": server.url("/busy.tif")})
    empty.add_item("one", {"red": server.answer("/moved.tif", moved)})
    archive = make_answer(200, empty.packed())
    server.answer("/farms.tar.gz", lambda a: archive if a.times > 1 else make_answer(503))
    document = json.dumps(empty.files["farms/fields/one/one.json"]).encode()
    server.answer("/one.json", lambda a: make_answer(200 if a.times > 1 else 503, document))
    server.answer("/moved.json", make_answer(302, b"", {"Location": server.url("/one.json")}))
    for url in (server.url("/farms.tar.gz"), server.url("/moved.json")):
        asked, told = logged(download, url, out)
        assert asked == told
        assert max(asked.values()) == 2
