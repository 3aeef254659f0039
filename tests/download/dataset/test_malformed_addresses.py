"""One malformed address fails by itself, and is told without what may be secret in it."""

import json
from typing import Any

import pytest

from haversack.download import StacApi, download
from haversack.errors import DownloadError, UnexpectedAnswerError, UsageError

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}
HREFS = {
    "bracket": "http://[bad/x?sig=SECRET",
    "port": "http://u:SECRET@h:99999/x",
    "word": "http://u:SECRET@h:port/x?sig=SECRET",
    "slashes": "//u:SECRET@[bad/x",
    "backslashes": r"http:\\u:SECRET@h\x",
    "store": "s3://[/?SECRET",
    "hadoop": "abfs://c:SECRET@a:1/x",
    "relative": "x?sig=SECRET",
    "above": "../y?sig=SECRET",
    "data": "data:x?sig=SECRET",
    "user": "http://u:SECRET@a.example/x",
    "text": "http://127.0.0.1/\udc80",
}


@pytest.fixture
def spoilt(empty, server):
    """One item with a good asset and many bad ones, and a bad link."""
    good = {"good": server.file("/good.tif", b"good")}
    links = [{"rel": "source", "href": href} for href in ("http://[bad/x", "file://[bad/x")]
    hrefs = {key: href.encode("utf-8", "replace").decode() for key, href in HREFS.items()}
    empty.add_item("one", good | hrefs, links=links)
    return empty


def _check(report):
    assert (report.fetched, report.failed) == (1, len(HREFS))
    told = json.dumps(report.to_dict()) + report.report.read_text("utf-8")
    assert "SECRET" not in told


def test_in_an_archive_here(spoilt, source, out, caplog):
    caplog.set_level("DEBUG")
    _check(download(spoilt.archive(source), out, raise_errors=False, **LOCAL))
    assert "SECRET" not in caplog.text


def test_in_an_archive_of_a_server(spoilt, out, server, make_answer):
    server.answer("/farms.tar.gz", make_answer(200, spoilt.packed()))
    _check(download(server.url("/farms.tar.gz"), out, raise_errors=False))


@pytest.mark.parametrize("with_sources", [False, True])
def test_in_a_catalog_here(spoilt, source, out, with_sources):
    place = spoilt.files["farms/fields/collection.json"]
    place["links"] += [
        {"rel": "item", "href": href} for href in ("file://[bad/x.json", "http://[bad/y.json")
    ]
    tree = spoilt.tree(source)
    _check(download(tree, out, raise_errors=False, with_sources=with_sources, **LOCAL))


@pytest.mark.parametrize("here", [True, False])
def test_in_an_item_collection(spoilt, source, out, server, make_answer, here):
    item = spoilt.files["farms/fields/one/one.json"]
    item["links"] += [{"rel": "self", "href": "http://[bad/one.json"}]
    content = json.dumps({"type": "FeatureCollection", "features": [item]}).encode()
    source.mkdir(exist_ok=True)
    (source / "items.json").write_bytes(content)
    url = server.answer("/items.json", make_answer(200, content))
    given = source / "items.json" if here else url
    # What is relative in a document of a server is an address too, and there is nothing at it.
    _check(download(given, out, raise_errors=False, **LOCAL))


def _document(server, make_answer, path, **fields):
    return server.answer(path, make_answer(200, json.dumps(fields).encode()))


@pytest.mark.parametrize("href", ["http://[bad/x?SECRET", "http://u:SECRET@h:99999/x"])
def test_as_the_next_page_it_is_told_as_the_servers_mistake(server, out, make_answer, href):
    link = {"rel": "next", "href": href}
    kind = "FeatureCollection"
    url = _document(server, make_answer, "/items.json", type=kind, features=[], links=[link])
    with pytest.raises(UnexpectedAnswerError, match=f"^{url}: its link 'next': ") as error:
        download(url, out)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("rel", ["search", "data"])
def test_as_a_link_of_an_api(server, out, make_answer, rel):
    item = {"type": "Feature", "id": "a", "collection": "c", "stac_version": "1.0.0", "links": []}
    page = {"type": "FeatureCollection", "features": [item], "links": []}
    _document(server, make_answer, "/search", **page)
    hrefs = {"search": "./search", "data": "./data"} | {rel: "http://[bad/x"}
    links = [{"rel": name, "href": href} for name, href in hrefs.items()]
    url = _document(server, make_answer, "/", type="Catalog", id="api", links=links)
    with pytest.raises(UnexpectedAnswerError, match=f"its link '{rel}'"):
        download(StacApi(url), out, name="found")


def test_as_a_link_of_a_folder_it_is_passed_over(server, out, make_answer):
    page = b'<a href="http://[bad/x">x</a><a href="//h:99999/">y</a><a href="good.tif">z</a>'
    url = server.answer("/files/", make_answer(200, page, {"Content-Type": "text/html"}))
    server.file("/files/good.tif", b"good")
    assert download(url, out).fetched == 1


@pytest.mark.parametrize("location", ["http://[bad/x?SECRET", "http://u:SECRET@h:port/x"])
def test_as_where_a_document_is_redirected_to(server, out, make_answer, location):
    url = server.answer("/items.json", make_answer(302, b"", {"Location": location}))
    with pytest.raises(DownloadError, match="is no URL") as error:
        download(url, out)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("source", ["http://[bad/x", "http://h:99999/x", "s3://[/", "http://h:0/"])
@pytest.mark.parametrize("name", [None, "farms"])
def test_as_the_source(source, out, name):
    for given in (source, StacApi(source), [source]):
        with pytest.raises(UsageError):
            download(given, out, name=name)
    assert not out.exists()


def test_a_user_in_an_address_is_told_what_fits_a_hub_and_any_other_host(empty, source, out):
    empty.add_item("one", {"red": "http://me:SECRET@a.example/red.tif"})
    [failed] = download(empty.archive(source), out, raise_errors=False).failures
    assert "api_key=" in failed.error
    assert "secrets=" in failed.error
    assert "SECRET" not in failed.error + failed.asset_url


@pytest.mark.parametrize("packed", [True, False])
def test_no_secret_of_an_address_is_in_the_local_catalog(empty, source, out, server, packed):
    held = {
        "user": "http://user:SECRET@a.example/x",
        "fragment": "http://a.example/x#token=SECRET",
        "password": "http://a.example/x?password=SECRET",
        "relative": "x?sig=SECRET",
        "below": "x#token=SECRET",
        "came": server.file("/came.tif", b"x") + "?pwd=SECRET&band=1#token=SECRET",
    }
    other = {"href": "gone?sig=SECRET", "alternate": {"remote": {"href": "//u:SECRET@h/x"}}}
    item = empty.add_item("one", held | {"kept": other})
    item["links"] += [{"rel": "license", "href": href} for href in held.values()]
    given = empty.archive(source) if packed else empty.tree(source)
    report = download(given, out, raise_errors=False, asset_keys=["came"], **LOCAL)
    assert report.fetched == 1
    texts = [path.read_text() for path in report.path.rglob("*.json")]
    assert [text for text in texts if "SECRET" in text] == []
    assert "came.tif?band=1" in (report.path / "fields/one/one.json").read_text()
