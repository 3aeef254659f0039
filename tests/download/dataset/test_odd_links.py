"""A link that leads nowhere good says where it stands; what has no end is given up."""

import json
import logging
from typing import Any

import pytest

from haversack.catalog import read_catalog
from haversack.download import StacApi, download
from haversack.download.sources import endless
from haversack.download.stores import Stores
from haversack.errors import (
    AccessRefusedError,
    NetworkError,
    UnexpectedAnswerError,
)


@pytest.fixture
def serve(server, make_answer):
    """Serve JSON at a path."""

    def serve(path, document):
        kind = {"Content-Type": "application/json"}
        return server.answer(path, make_answer(200, json.dumps(document).encode(), kind))

    return serve


@pytest.fixture
def catalog(empty, serve, server):
    """Serve a catalog of one item, and another link of its root."""

    def catalog(href, rel="item"):
        empty.add_item("one", {})
        empty.files["farms/catalog.json"]["links"].append({"rel": rel, "href": href})
        for path, document in empty.files.items():
            serve(f"/{path}", document)
        return server.url("/farms/catalog.json")

    return catalog


@pytest.mark.parametrize("rel", ["child", "item", "items"])
@pytest.mark.parametrize(
    "href",
    [
        "file:///etc/hostname",
        "data:application/json,{}",
        "s3://bucket/item.json",
        "http://user:sesame@127.0.0.1/item.json",
        "http://[::1/item.json",
        "http://127.0.0.1:99999/item.json",
        "//[/item.json",
        "mailto:me@a.example",
    ],
)
def test_a_link_that_is_no_web_address_is_passed_over_and_told(catalog, out, caplog, href, rel):
    report = download(catalog(href, rel), out)
    assert list(read_catalog(report.path).items.id) == ["one"]
    assert f"/farms/catalog.json: its link {rel!r}: " in caplog.text
    assert "passed over" in caplog.text
    assert "sesame" not in caplog.text


def test_a_link_to_nothing_is_told_with_the_document_that_has_it(catalog, out, caplog):
    download(catalog("./gone.json"), out)
    assert "a link of http://127.0.0.1" in caplog.text
    assert "/farms/catalog.json leads there" in caplog.text


@pytest.mark.parametrize(
    ("status", "body", "headers", "error"),
    [
        (200, b"<html>", {"Content-Type": "text/html"}, UnexpectedAnswerError),
        (200, b'{"type": "Topology"}', {}, UnexpectedAnswerError),
        (200, b"[]", {}, UnexpectedAnswerError),
        (403, b"", {}, AccessRefusedError),
        (302, b"", {"Location": "file:///etc/hostname"}, NetworkError),
        (302, b"", {"Location": "http://169.254.169.254/x.json"}, NetworkError),
        (500, b"", {}, NetworkError),
    ],
)
def test_a_wrong_answer_names_the_link_and_the_document_that_has_it(
    catalog, server, make_answer, out, status, body, headers, error
):
    wrong = server.answer("/odd.json", make_answer(status, body, headers))
    url = catalog("../odd.json")
    with pytest.raises(error) as caught:
        download(url, out)
    assert f"({url} links to {wrong})" in str(caught.value)
    assert type(caught.value) is error
    assert not (out / "farms.tar.gz").exists()


def test_a_link_to_a_more_private_host_names_the_document_that_has_it(catalog, out):
    url = catalog("http://169.254.169.254/x.json")
    with pytest.raises(NetworkError) as caught:
        download(url, out, retries=0)
    assert f"({url} links to http://169.254.169.254/x.json)" in str(caught.value)


@pytest.mark.parametrize("href", ["file:///etc/hostname", "http://u:sesame@127.0.0.1/2.json"])
def test_a_next_page_that_nobody_can_fetch_is_an_error(serve, out, href):
    page = {"type": "FeatureCollection", "links": [{"rel": "next", "href": href}], "features": []}
    with pytest.raises(UnexpectedAnswerError, match=r"/items\.json: its link 'next'") as caught:
        download(serve("/items.json", page), out)
    assert "sesame" not in str(caught.value)


def test_a_search_at_no_web_address_is_an_error(serve, out):
    links = [{"rel": "search", "href": "file:///etc/hostname"}]
    root = serve("/v1", {"type": "Catalog", "id": "api", "links": links})
    with pytest.raises(UnexpectedAnswerError, match="its link 'search'"):
        download(StacApi(root), out)


def test_odd_references_of_an_item_are_kept_as_they_are(catalog, empty, out):
    links = [{"rel": "self", "href": "http://[bad"}, {"rel": "about", "href": "//[bad"}]
    empty.add_item("two", {"a": "//[bad"}, links=links)
    report = download(catalog("./one.json"), out, catalog_only=True)
    assert sorted(read_catalog(report.path).items.id) == ["one", "two"]


# Without an end


@pytest.fixture
def few(monkeypatch):
    """So many are as many as can be asked for in a moment."""
    monkeypatch.setattr(endless, "_IDLE", 60)
    monkeypatch.setattr(endless, "_TOLD", 20)


def _endless(server, make_answer, path, features):
    def page(asked):
        following = {"rel": "next", "href": f"{path}?page={asked_at(asked) + 1}"}
        found = {"type": "FeatureCollection", "features": features(asked_at(asked))}
        return make_answer(200, json.dumps(found | {"links": [following]}).encode())

    def asked_at(asked):
        return int(asked.path.partition("page=")[2] or 0)

    return server.answer(path, page)


def _one(number):
    times: dict[str, Any] = {"datetime": "2020-05-17T10:00:00Z"}
    return {"type": "Feature", "stac_version": "1.0.0", "id": f"i{number}", "collection": "c",
            "geometry": None, "properties": times, "links": [], "assets": {}}  # fmt: skip


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("features", [lambda at: [], lambda at: [_one(0)]], ids=["empty", "same"])
def test_pages_that_bring_nothing_end_with_an_error(server, make_answer, out, caplog, features):
    caplog.set_level(logging.INFO, "haversack.download")
    url = _endless(server, make_answer, "/items.json", features)
    with pytest.raises(UnexpectedAnswerError, match=r"items\.json.*60 pages in a row"):
        download(url, out)
    assert 60 <= len(server.asked) <= 62
    assert "20 pages read" in caplog.text
    assert not (out / "items.tar.gz").exists()


@pytest.mark.usefixtures("few")
def test_a_search_whose_pages_repeat_ends_with_an_error(server, serve, make_answer, out):
    _endless(server, make_answer, "/search", lambda at: [_one(0)])
    links = [{"rel": "search", "href": "/search"}]
    root = serve("/v1", {"type": "Catalog", "id": "api", "links": links})
    with pytest.raises(UnexpectedAnswerError, match="60 pages in a row"):
        download(StacApi(root), out)
    assert server.paths().count("/v1") == 1
    assert len(server.asked) < 70


@pytest.mark.usefixtures("few")
def test_pages_with_items_among_empty_ones_all_come(server, make_answer, out):
    def page(asked):
        at = int(asked.path.partition("page=")[2] or 0)
        links = [{"rel": "next", "href": f"/items.json?page={at + 1}"}] if at < 130 else []
        features = [_one(at)] if at % 50 == 0 else []
        found = {"type": "FeatureCollection", "features": features, "links": links}
        return make_answer(200, json.dumps(found).encode())

    report = download(server.answer("/items.json", page), out)
    assert sorted(read_catalog(report.path).items.id) == ["i0", "i100", "i50"]


def test_folders_in_each_other_without_an_end_are_an_error(server, make_answer, out):
    page = make_answer(200, b'<a href="inf/">inf/</a>', {"Content-Type": "text/html"})
    for depth in range(80):
        server.answer("/dir/" + "inf/" * depth, page)
    with pytest.raises(UnexpectedAnswerError, match=r"/dir/inf/inf/.* more than 64 levels below"):
        download(server.url("/dir/"), out)
    assert len(server.asked) < 70


def test_catalogs_in_each_other_without_an_end_are_an_error(serve, server, out):
    for depth in range(80):
        links = [{"rel": "child", "href": f"{depth + 1}.json"}]
        document = {"type": "Catalog", "stac_version": "1.0.0", "id": "c", "links": links}
        serve(f"/{depth}.json", document)
    with pytest.raises(UnexpectedAnswerError, match=r"65\.json is more than 64 levels below"):
        download(server.url("/0.json"), out)


def test_an_odd_link_in_a_web_folder_is_passed_over(server, make_answer, out):
    page = b'<a href="http://[x">a</a><a href="//[">b</a><a href="a.bin">a.bin</a>'
    server.answer("/dir/", make_answer(200, page, {"Content-Type": "text/html"}))
    server.file("/dir/a.bin", b"AAA")
    assert download(server.url("/dir/"), out).fetched == 1


@pytest.mark.usefixtures("few")
def test_a_stores_listing_that_brings_nothing_ends_with_an_error(server, make_answer, out):
    def page(_):
        more = f"<NextContinuationToken>{len(server.asked)}</NextContinuationToken>"
        return make_answer(200, f"<ListBucketResult>{more}</ListBucketResult>".encode())

    server.answer("/bucket/", page)
    with pytest.raises(UnexpectedAnswerError, match="60 pages in a row"):
        download("s3://bucket/x/", out, stores=Stores(s3_endpoint=server.url("/")))
    assert len(server.asked) == 60
