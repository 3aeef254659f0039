"""Folders on the web become catalogs: what a listing tells is kept, what it hides is told."""

import base64
import hashlib
import json
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pystac
import pytest

from haversack.catalog import read_catalog
from haversack.catalog.times import UNKNOWN, show
from haversack.download import buckets, download
from haversack.errors import (
    AccessRefusedError,
    EmptySelectionError,
    EmptySourceError,
    UsageError,
)

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}
HTML = {"Content-Type": "text/html"}


def _files(report):
    """Ids of the items in their collections, and the addresses of their files."""
    catalog = read_catalog(report.path)
    return {
        f"{item['collection']}/{item['id']}": _address(item["assets"]["data"])
        for item in map(catalog.item, range(len(catalog.items)))
    }


def _address(asset):
    remote = asset.get("alternate", {}).get("remote", asset)["href"]
    return remote.partition("//")[2].partition("/")[2]


def _opened(report):
    """Every item, as pystac opens the catalog that lies here."""
    catalog = pystac.Catalog.from_file(str(report.catalog))
    return {item.id: item for item in catalog.get_items(recursive=True)}


def test_a_web_folder_is_listed_with_those_below(server, out, make_answer):
    html = {"Content-Type": "text/html"}
    page = """<a href="../">up</a> <a href="?C=N;O=D">Name</a> <a href="a.tif">a</a>
        <a href="2020/">2020/</a> <a href="http://elsewhere.example/x.tif">x</a>
        <a href="/files/%2e%2e/secret">s</a> <a href="a.tif#again">a</a>"""
    url = server.answer("/files/", make_answer(200, page.encode(), html))
    below = b'<a href="b%20c.tif">b</a><a href="/files/2020/may/">m</a>'
    server.answer("/files/2020/", make_answer(200, below, html))
    server.answer("/files/2020/may/", make_answer(200, b'<a href="d.tif">d</a>', html))
    for path in ("a.tif", "2020/b%20c.tif", "2020/may/d.tif"):
        server.file(f"/files/{path}", path.encode())
    report = download(url, out)
    assert (report.fetched, report.failed) == (3, 0)
    assert (out / "files/items/a/data.tif").read_bytes() == b"a.tif"
    assert (out / "files/2020/b c/data.tif").read_bytes() == b"2020/b%20c.tif"
    assert (out / "files/2020/may__d/data.tif").read_bytes() == b"2020/may/d.tif"
    asked = len(server.asked)
    assert download(url, out).present == 3
    assert len(server.asked) == asked


@pytest.fixture
def folders(server, make_answer):
    """A folder of three, of which one is closed and one is gone."""

    def closed(asked):
        if "authorization" in asked.headers:
            return make_answer(200, b'<a href="c.tif">c</a>', HTML)
        return make_answer(403, b"closed")

    page = b"".join(b'<a href="%s/">x</a>' % name for name in (b"closed", b"gone", b"open"))
    server.answer("/files/", make_answer(200, page, HTML))
    server.answer("/files/open/", make_answer(200, b'<a href="a.tif">a</a>', HTML))
    server.answer("/files/closed/", closed)
    server.file("/files/open/a.tif", b"a")
    server.file("/files/closed/c.tif", b"c")
    return server.url("/files/")


def test_a_folder_that_is_closed_is_told_and_the_others_come(folders, out, caplog):
    report = download(folders, out)
    assert (report.fetched, report.failed) == (1, 0)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [("closed/: HTTP 403" in text, "gone/: HTTP 404" in text) for text in told] == [
        (True, False),
        (False, True),
    ]


def test_a_listing_that_is_not_whole_is_never_taken_for_all(folders, out, server, caplog):
    from haversack.download.secrets import Secrets

    download(folders, out)
    caplog.clear()
    download(folders, out)
    assert "closed/: HTTP 403" in caplog.text
    key = Secrets.bearer(server.url("/"), "key")
    report = download(folders, out, secrets=key)
    assert _files(report).keys() == {"open/a", "closed/c"}


def test_a_folder_of_which_all_is_closed_is_no_empty_one(folders, out, server, make_answer):
    server.answer("/files/", make_answer(200, b'<a href="closed/">x</a>', HTML))
    with pytest.raises(AccessRefusedError, match="closed/"):
        download(folders, out)
    assert not list(out.glob("files*"))


def test_a_folder_that_is_closed_itself_is_refused(out, server, make_answer):
    with pytest.raises(AccessRefusedError):
        download(server.answer("/files/", make_answer(403, b"closed")), out)


# Stores


class Store:
    """Stands for S3, Google and Azure: gives its pages one after another, and its objects."""

    def __init__(self, server, make_answer, monkeypatch):
        self.server, self.answer, self.asked = server, make_answer, []

        def address(*names):
            return server.url("/".join(["", *filter(None, names), ""]))

        for name in ("s3", "google", "azure"):
            monkeypatch.setattr(buckets, name, address)

    def lists(self, bucket, *pages):
        """Give pages of the names that begin with the prefix that is asked for."""

        def page(asked):
            query = {k: v[0] for k, v in parse_qs(urlsplit(asked.path).query).items()}
            self.asked.append(query)
            number = len(self.asked) - 1
            page = pages[number] if number < len(pages) else "<Nothing/>"
            return self.answer(200, page.encode(), {"Content-Type": "application/xml"})

        for place in (f"/{bucket}", f"/{bucket}/"):
            self.server.answer(place, page)

    def holds(self, *keys):
        for key in keys:
            self.server.file(f"/bucket/{key}", key.encode())


@pytest.fixture
def store(server, make_answer, monkeypatch):
    return Store(server, make_answer, monkeypatch)


def _keys(*keys, more="", when="2020-05-17T10:00:00.000Z"):
    objects = "".join(
        f"<Contents><Key>{key}</Key><LastModified>{when}</LastModified><Size>{len(key)}</Size>"
        "</Contents>"
        for key in keys
    )
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return f"<ListBucketResult>{objects}{token}</ListBucketResult>"


def test_a_bucket_is_listed_page_after_page(store, out):
    pages = _keys("floods/2020/a&amp;b.tif", "floods/2020/", more="t+1"), _keys("floods/c.tif")
    store.lists("bucket", *pages)
    report = download("s3://bucket/floods/", out, catalog_only=True)
    assert _files(report) == {
        "2020/a&b": "bucket/floods/2020/a%26b.tif",
        "items/c": "bucket/floods/c.tif",
    }
    assert report.waiting_bytes == len("floods/2020/a&amp;b.tif") + len("floods/c.tif")
    assert store.asked[1]["continuation-token"] == "t+1"


def test_names_of_a_bucket_that_xml_cannot_hold_are_listed(store, out):
    encoded = _keys("odd/a%20b%2Bc%01%0A.tif", "odd/a+b.tif", "odd/x/../%C3%BC%3F%23.tif")
    store.lists("bucket", encoded.replace("<Con", "<EncodingType>url</EncodingType><Con", 1))
    report = download("s3://bucket/odd/", out, catalog_only=True)
    assert sorted(address.partition("/odd/")[2] for address in _files(report).values()) == [
        "a%20b%2Bc%01%0A.tif",
        "a%20b.tif",
        "x/../%C3%BC%3F%23.tif",
    ]
    assert store.asked[0]["encoding-type"] == "url"


@pytest.mark.parametrize("scheme", ["s3", "gs", "S3"])
def test_a_folder_without_its_slash_is_that_folder_alone(store, out, scheme):
    store.lists("bucket", _keys("floods/a.tif", "floods/b/c.tif"))
    store.holds("floods/a.tif", "floods/b/c.tif")
    report = download(f"{scheme}://bucket/floods", out)
    assert [query["prefix"] for query in store.asked] == ["floods/"]
    assert _files(report).keys() == {"items/a", "b/c"}
    assert report.fetched == 2


def test_an_object_of_a_bucket_is_a_source_of_one_file(store, out):
    store.lists("bucket", _keys(), _keys("floods/a.tif", "floods/a.tif2"))
    store.holds("floods/a.tif")
    report = download("s3://bucket/floods/a.tif", out, name="one")
    assert [query["prefix"] for query in store.asked] == ["floods/a.tif/", "floods/a.tif"]
    assert (_files(report).keys(), report.fetched) == ({"items/a"}, 1)


def test_what_only_begins_like_a_folder_is_not_in_it(store, out):
    store.lists("bucket", _keys(), _keys("floods2/a.tif"))
    with pytest.raises(EmptySourceError):
        download("s3://bucket/floods", out)


def test_a_bucket_with_dots_is_asked_where_its_certificate_holds():
    assert buckets.s3("floods.example.org") == "https://s3.amazonaws.com/floods.example.org/"
    assert buckets.s3("floods") == "https://floods.s3.amazonaws.com/"


def test_a_bucket_with_dots_is_asked_in_its_region(store, out, server, make_answer):
    header = {"x-amz-bucket-region": "eu-west-1"}
    server.answer("/a.b/", make_answer(301, b"", header))
    store.lists("a.b/eu-west-1", _keys("c.tif"))
    assert _files(download("s3://a.b/", out, catalog_only=True)) == {
        "items/c": "a.b/eu-west-1/c.tif"
    }


def _blob(name, *, properties="", rest="", encoded=False):
    mark = ' Encoded="true"' if encoded else ""
    return f"<Blob><Name{mark}>{name}</Name><Properties>{properties}</Properties>{rest}</Blob>"


def _blobs(*blobs):
    return f"\ufeff<EnumerationResults><Blobs>{''.join(blobs)}</Blobs><NextMarker/></E>"


def test_a_container_of_azure_is_listed_with_its_checksums(store, out):
    digest = hashlib.md5(b"pixels").digest()
    md5 = f"<Content-MD5>{base64.b64encode(digest).decode()}</Content-MD5>"
    length = "<Content-Length>6</Content-Length>"
    store.lists("account/box", _blobs(_blob("a.tif", properties=length + md5)))
    store.server.file("/account/box/a.tif", b"not it")
    report = download("az://account/box/", out, raise_errors=False)
    assert (report.fetched, report.failed) == (0, 1)
    assert "its md5 is not" in report.failures[0].error
    store.server.file("/account/box/a.tif", b"pixels")
    assert download("az://account/box/", out).fetched == 1


def test_names_of_a_container_that_xml_cannot_hold_are_listed(store, out):
    odd = _blob("a%01%25b.tif", encoded=True), _blob("100%25.tif")
    store.lists("account/box", _blobs(*odd))
    found = _files(download("az://account/box/", out, catalog_only=True))
    assert set(found.values()) == {"account/box/a%01%25b.tif", "account/box/100%2525.tif"}


def test_directories_of_a_container_are_no_files(store, out):
    new = _blob("2020", properties="<ResourceType>directory</ResourceType>")
    old = _blob("2021", rest="<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>")
    file = _blob("2020/a.tif", properties="<ResourceType>file</ResourceType>")
    store.lists("account/box", _blobs(new, old, file))
    assert _files(download("az://account/box/", out, catalog_only=True)).keys() == {"2020/a"}
    assert store.asked[0]["include"] == "metadata"


def test_a_bucket_without_a_name_is_refused(out):
    with pytest.raises(UsageError):
        download("s3://../x", out)


# Times

_NOON = datetime(2020, 5, 17, 12, tzinfo=UTC)


def _times(report):
    catalog = read_catalog(report.path)
    return [show(int(moment)) for moment in catalog.items.t0]


def test_a_file_has_the_time_that_a_store_tells_of_its_last_change(store, out):
    store.lists("bucket", _keys("a.tif", when="2020-05-17T12:00:00.000Z"))
    report = download("s3://bucket/", out, catalog_only=True)
    assert _opened(report)["a"].datetime == _NOON
    assert _times(report) == ["2020-05-17T12:00:00Z"]
    told = "<Last-Modified>Sun, 17 May 2020 12:00:00 GMT</Last-Modified>"
    store.lists(
        "account/box", *["<Nothing/>"] * len(store.asked), _blobs(_blob("b.tif", properties=told))
    )
    report = download("az://account/box/", out, catalog_only=True)
    assert _opened(report)["b"].datetime == _NOON


@pytest.mark.parametrize("when", ["", "yesterday", "99999-01-01"])
def test_a_time_that_a_store_does_not_tell_is_unknown(store, out, when):
    store.lists("bucket", _keys("a.tif", when=when))
    report = download("s3://bucket/", out, catalog_only=True)
    assert _opened(report)["a"].datetime is None
    assert _times(report) == [None]


def test_files_of_unknown_time_are_valid_items_that_no_filter_on_time_finds(server, out):
    urls = [server.file(f"/{name}.tif", name.encode()) for name in "ab"]
    report = download(urls, out, **LOCAL)
    times = {
        "datetime": None,
        "start_datetime": "0001-01-01T00:00:00Z",
        "end_datetime": "9999-12-31T23:59:59Z",
    }
    assert {item.to_dict()["properties"] == times for item in _opened(report).values()} == {True}
    catalog = read_catalog(report.path)
    assert (catalog.items.t0 == UNKNOWN).all()
    assert catalog.times() == (None, None)
    assert len(list(catalog.to_pystac().get_items(recursive=True))) == 2
    with pytest.raises(EmptySelectionError, match="have no time"):
        catalog.select(datetime="2020-05-17")
    catalog.to_geoparquet(out / "items.parquet")
    back = read_catalog(out / "items.parquet")
    assert (back.items.t0 == UNKNOWN).all()
    assert back.item(0)["properties"] == times


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({}, ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")),
        ({"datetime": None}, ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")),
        ({"start_datetime": "2020-01-01T00:00:00Z"}, ("2020-01-01T00:00:00Z",) * 2),
        ({"datetime": None, "end_datetime": "2020-01-01T00:00:00Z"}, ("2020-01-01T00:00:00Z",) * 2),
    ],
)
def test_items_of_any_source_without_a_time_are_opened_by_pystac(
    empty, out, source, times, expected
):
    empty.add_item("one", {})["properties"] = times
    archive = empty.archive(source)
    report = download(archive, out)
    found = _opened(report)["one"].properties
    assert (found["start_datetime"], found["end_datetime"]) == expected
    before, after = read_catalog(archive), read_catalog(report.path)
    assert [before.items.t0[0], before.items.t1[0]] == [after.items.t0[0], after.items.t1[0]]
    assert len(list(before.to_pystac().get_items(recursive=True))) == 1


# Names


def test_no_two_files_of_a_list_have_one_id(server, out):
    urls = [
        *(server.file("/a/0.tif", b"0") + f"?x={n}" for n in range(3)),
        server.file("/b/../a/0.tif", b"0"),
        server.url("/a/0.tif?x=1"),
    ]
    report = download(urls, out, **LOCAL)
    found = _files(report)
    assert list(found) == ["items/0", "items/0.tif", "items/0.tif~2", "items/0.tif~3"]
    assert report.failed == 0
    listed = json.loads((report.path / "items/collection.json").read_text())["links"]
    assert len({link["href"] for link in listed if link["rel"] == "item"}) == 4
