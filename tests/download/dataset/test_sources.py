"""Whatever a source is, it becomes one dataset, and a second run asks nobody."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import shapely

from haversack.catalog import read_catalog
from haversack.download import StacApi, download
from haversack.errors import DownloadError, EmptySourceError, UnexpectedAnswerError, UsageError

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


def _items(report):
    return sorted(read_catalog(report.path).items.id)


def _asks_nobody_again(server, source, out, **options):
    since = len(server.asked)
    report = download(source, out, **options)
    assert len(server.asked) == since
    assert (report.fetched, report.failed, report.waiting) == (0, 0, 0)
    assert read_catalog(report.path).verify() == []


@pytest.fixture
def publish(server, make_answer):
    """Serve the documents of a dataset where a static catalog has them."""

    def publish(farms, **changed):
        for path, document in (farms.files | changed).items():
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            kind = {"Content-Type": "application/json"}
            server.answer(f"/{path}", make_answer(200, content, kind))
        return server.url("/farms/catalog.json")

    return publish


def test_a_static_catalog_is_read_by_its_links(farms, out, server, publish):
    url = publish(farms)
    report = download(url, out)
    assert report.dataset_id == "farms"
    assert (report.fetched, report.failed) == (7, 0)
    assert (out / "farms/fields/item1/red.tif").read_bytes() == b"image 1" * 100
    assert (out / "farms/fields/table.csv").read_bytes() == b"a,b"
    _asks_nobody_again(server, url, out)


def test_relative_references_are_to_the_document(empty, out, server, publish):
    server.file("/farms/fields/one/pixels.tif", b"pixels")
    empty.add_item("one", {"red": "./pixels.tif"})
    report = download(publish(empty), out)
    assert report.fetched == 1
    item = json.loads((out / "farms/fields/one/one.json").read_text())
    assert item["assets"]["red"]["alternate"]["remote"]["href"].startswith("http://127.0.0.1")


def test_links_in_circles_and_to_nothing_end(empty, out, publish, caplog):
    empty.add_item("one", {})
    collection = empty.add_collection()
    collection["links"] += [
        {"rel": "child", "href": "../catalog.json"},
        {"rel": "item", "href": "./gone/gone.json"},
        {"rel": "item", "href": "./one/one.json"},
    ]
    assert _items(download(publish(empty), out)) == ["one"]
    assert "gone.json" in caplog.text


def test_a_document_that_is_no_stac_is_named(empty, out, publish):
    empty.add_item("one", {})
    empty.files["farms/fields/one/one.json"] = b'{"type": "Topology"}'
    with pytest.raises(DownloadError, match=r"one\.json is no STAC"):
        download(publish(empty), out)
    assert not (out / "farms.tar.gz").exists()
    assert not list(out.rglob("*.partial"))


def test_a_catalog_without_a_suffix_is_known_by_its_content(farms, out, server, make_answer):
    document = farms.files["farms/fields/item0/item0.json"]
    kind = {"Content-Type": "application/json"}
    url = server.answer("/records/first", make_answer(200, json.dumps(document).encode(), kind))
    assert _items(download(url, out)) == ["item0"]
    _asks_nobody_again(server, url, out)


def test_syncing_reads_the_catalog_anew(farms, out, server, publish):
    url = publish(farms)
    download(url, out)
    farms.add_item("late", {"red": server.file("/late.tif", b"late")})
    publish(farms)
    assert len(_items(download(url, out))) == 3
    report = download(url, out, if_exists="sync")
    assert (report.fetched, len(_items(report))) == (1, 4)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" * 100_000, "is no catalog archive, for it is not gzip-compressed, and no JSON"),
        (b'{"type": "Catalog"', "answers with what is no whole JSON: .* line 1 column 19"),
        (b"\x1f\x8b nothing", r"farms\.tar\.gz.*\(it came from"),
    ],
)
def test_what_is_no_archive_is_named_by_its_address(out, server, make_answer, body, said):
    url = server.answer("/farms.tar.gz", make_answer(200, body))
    with pytest.raises(UnexpectedAnswerError, match=said) as caught:
        download(url, out)
    assert url in str(caught.value)
    assert body.startswith(b"\x1f\x8b") == (out / "farms.tar.gz").exists()


def test_a_line_that_is_no_url_is_named(tmp_path, out):
    (tmp_path / "list.txt").write_text("# mine\n\nhttps://a.example/a.tif\na.tif\n")
    with pytest.raises(UsageError, match=r"list\.txt: line 4: .*a\.tif"):
        download(tmp_path / "list.txt", out)


# Items


def _page(features, **more):
    return {"type": "FeatureCollection", "features": features} | more


def test_an_item_collection_comes_page_after_page(farms, out, server, make_answer):
    items = [d for d in farms.files.values() if d["type"] == "Feature"]
    for n, item in enumerate(items):
        following = [{"rel": "next", "href": f"./{n + 1}.json"}] if n < 2 else []
        page = json.dumps(_page([item], links=following)).encode()
        server.answer(f"/pages/{n}.json", make_answer(200, page))
    report = download(server.url("/pages/0.json"), out, name="all")
    assert _items(report) == ["item0", "item1", "item2"]


def test_items_a_line_come_by_url(farms, out, server, make_answer):
    items = [d for d in farms.files.values() if d["type"] == "Feature"]
    url = server.answer("/all.ndjson", make_answer(200, "\n".join(map(json.dumps, items)).encode()))
    report = download(url, out)
    assert (report.dataset_id, len(_items(report)), report.failed) == ("all", 3, 0)
    _asks_nobody_again(server, url, out)


def test_a_line_may_be_a_page_of_items(farms, out, server, make_answer):
    first, *others = [d for d in farms.files.values() if d["type"] == "Feature"]
    lines = [json.dumps(first), "", json.dumps(_page(others))]
    url = server.answer("/all.ndjson", make_answer(200, "\n".join(lines).encode()))
    assert _items(download(url, out)) == ["item0", "item1", "item2"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"type": "Feature"}, "a document has no id"),
        ({"type": "Feature", "id": 5}, "a document has the id 5, which is no text"),
        (_page([{"id": ["a"]}]), "a document has the id .*, which is no text"),
    ],
)
def test_a_line_without_an_id_is_named(out, server, make_answer, document, said):
    lines = f"\n{json.dumps(document)}\n".encode()
    url = server.answer("/all.ndjson", make_answer(200, lines))
    with pytest.raises(UnexpectedAnswerError, match=rf"{url}: line 2: {said}"):
        download(url, out)
    assert not list(out.glob("*"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"id": 5}, "a document has the id 5, which is no text"),
        ({"bbox": "all"}, "item0 is not whole STAC: .*bbox"),
        ({"stac_version": None}, "item0 is not whole STAC: .*stac_version"),
    ],
)
def test_a_bad_item_is_named_by_its_address(farms, out, server, make_answer, changed, said):
    item = farms.files["farms/fields/item0/item0.json"] | changed
    url = server.answer("/pages/0.json", make_answer(200, json.dumps(_page([item])).encode()))
    with pytest.raises(UnexpectedAnswerError, match=f"{url}: {said}"):
        download(url, out)
    assert not list(out.rglob("*.tar.gz"))


@pytest.mark.parametrize("nothing", [{}, {"href": None}, {"href": 5}, {"href": ""}, None, "a.tif"])
def test_what_has_no_address_is_left_out_and_told(farms, out, server, make_answer, caplog, nothing):
    item = farms.files["farms/fields/item0/item0.json"]
    item["assets"] |= {"broken": nothing, "other": nothing}
    page = json.dumps(_page([item, None, 5])).encode()
    url = server.answer("/pages/0.json", make_answer(200, page))
    report = download(url, out, asset_keys=["red"])
    assert (report.fetched, report.failed) == (1, 0)
    assert "broken" not in read_catalog(report.path).assets.key.values
    assert f"{url}: 2 of 3 features are no objects" in caplog.text
    assert f"{url}: item0: its asset 'broken' has no address" in caplog.text
    assert "2 assets without an address are left out" in caplog.text


# A STAC API


class Api:
    """An API of 40 items, an hour apart, that gives no more than ``most`` of a search."""

    def __init__(
        self, server, make_answer, *, most=1000, page=7, post=False, refuses=False, more=0
    ):
        self.server, self.answer = server, make_answer
        self.more = more  # what it estimates beyond what there is
        self.most, self.page, self.refuses = most, page, refuses
        self.items: list[dict[str, Any]] = [
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "id": f"item{n:02}",
                "collection": "fields",
                "properties": {"datetime": f"2020-05-{1 + n // 24:02}T{n % 24:02}:00:00Z"},
                "geometry": {"type": "Point", "coordinates": [n, 0]},
                "bbox": [n, 0, n, 0],
                "links": [],
                "assets": {"red": {"href": server.file(f"/red/{n}.tif", b"%d" % n)}},
            }
            for n in range(40)
        ]
        link = {"rel": "search", "href": "./search", "method": "POST" if post else "GET"}
        data = {"rel": "data", "href": "./collections"}
        root = {"type": "Catalog", "id": "api", "links": [link, data]}
        server.answer("/v1/", self._json(root))
        fields = {"type": "Collection", "stac_version": "1.1.0", "id": "fields", "title": "Fields",
                  "description": "f", "license": "other", "links": [],
                  "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]},
                             "temporal": {"interval": [[None, None]]}}}  # fmt: skip
        server.answer("/v1/collections/fields", self._json(fields))
        server.answer("/v1/search", self._search)
        self.asked = []

    def _json(self, value):
        return self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _search(self, asked):
        query = {k: v[0] for k, v in parse_qs(urlsplit(asked.path).query).items()}
        self.asked.append(query)
        found = [item for item in self.items if self._within(item, query.get("datetime"))]
        at = int(query.get("at", 0))
        if self.refuses and at >= self.most:
            return self.answer(400, b"{}")
        page = found[: self.most][at : at + self.page]
        links = []
        if at + self.page < min(len(found), self.most) or (
            self.refuses and at + self.page < len(found)
        ):
            href = asked.path.partition("?")[0] + f"?at={at + self.page}"
            href += f"&datetime={query['datetime']}" if "datetime" in query else ""
            links = [{"rel": "next", "href": href}]
        return self._json(_page(page, links=links, numberMatched=len(found) + self.more))

    @staticmethod
    def _within(item, span):
        if span is None:
            return True
        moment = datetime.fromisoformat(item["properties"]["datetime"])
        first, last = span.split("/")
        return (first == ".." or datetime.fromisoformat(first) <= moment) and (
            last == ".." or moment <= datetime.fromisoformat(last)
        )


def test_an_api_is_searched_page_after_page(server, make_answer, out):
    api = Api(server, make_answer)
    source = StacApi(server.url("/v1/"))
    report = download(source, out, name="found")
    assert (report.fetched, len(_items(report))) == (40, 40)
    assert len(api.asked) == 6
    catalog = read_catalog(report.path)
    assert catalog.collections[0].title == "Fields"
    _asks_nobody_again(server, source, out, name="found")


@pytest.mark.parametrize("refuses", [False, True])
def test_what_a_server_caps_is_asked_for_by_time(server, make_answer, out, refuses):
    api = Api(server, make_answer, most=10, refuses=refuses)
    report = download(StacApi(server.url("/v1/")), out, name="found")
    assert len(_items(report)) == 40
    assert len(api.asked) > 6


@pytest.mark.parametrize("most", [1000, 10])
def test_a_server_that_estimates_too_many_is_believed_by_what_it_gives(
    server, make_answer, out, caplog, most
):
    api = Api(server, make_answer, most=most, more=3)
    report = download(StacApi(server.url("/v1/")), out, name="found")
    assert len(_items(report)) == 40
    assert "estimate" in caplog.text
    assert len(api.asked) < 300


def test_a_feature_that_is_left_out_is_not_asked_for_again(server, make_answer, out, caplog):
    api = Api(server, make_answer)
    page = json.dumps(_page([api.items[0], None], numberMatched=2)).encode()
    url = server.answer("/v1/search", make_answer(200, page))
    assert len(_items(download(StacApi(server.url("/v1/")), out, name="found"))) == 1
    assert [path.partition("?")[0] for path in server.paths()].count("/v1/search") == 1
    assert url in caplog.text
    assert "1 of 2 features are no objects" in caplog.text


def test_a_search_that_gives_nothing_is_over_whatever_is_estimated(server, make_answer, out):
    api = Api(server, make_answer, more=5)
    api.items.clear()
    with pytest.raises(EmptySourceError):
        download(StacApi(server.url("/v1/")), out, name="found")
    assert len(api.asked) == 1


def test_items_of_one_moment_that_a_server_cuts_off_are_never_taken_for_all(
    server, make_answer, out
):
    api = Api(server, make_answer, most=10)
    for item in api.items:
        item["properties"]["datetime"] = "2020-05-01T00:00:00Z"
    with pytest.raises(DownloadError, match="40 items match at one moment, and gives 10"):
        download(StacApi(server.url("/v1/")), out, name="found")


def test_a_collection_of_any_id_is_asked_for_by_it(server, make_answer, out):
    api = Api(server, make_answer)
    odd = "a b/c?d#e"
    for item in api.items:
        item["collection"] = odd
    document = {"type": "Collection", "stac_version": "1.1.0", "id": odd, "title": "Odd",
                "description": "f", "license": "other", "links": [],
                "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]},
                           "temporal": {"interval": [[None, None]]}}}  # fmt: skip
    path = "/v1/collections/a%20b%2Fc%3Fd%23e"
    server.answer(path, make_answer(200, json.dumps(document).encode()))
    report = download(StacApi(server.url("/v1/")), out, name="found", catalog_only=True)
    assert server.paths().count(path) == 1
    assert [row.title for row in read_catalog(report.path).collections] == ["Odd"]


def test_filters_go_to_the_server_and_decide_here_all_the_same(server, make_answer, out):
    api = Api(server, make_answer)
    filters: dict[str, Any] = {
        "datetime": "2020-05-01T05:00:00Z/2020-05-01T09:00:00Z",
        "bbox": [0, -1, 7, 1],
        "collection_filter": {"fields": ["red"]},
    }
    report = download(StacApi(server.url("/v1/")), out, name="found", **filters)
    assert report.fetched == 3
    assert api.asked[0]["collections"] == "fields"
    assert api.asked[0]["bbox"] == "0.0,-1.0,7.0,1.0"
    assert api.asked[0]["datetime"].startswith("2020-05-01T05:00:00Z/")


@pytest.mark.parametrize("where", ["bbox", "intersects"])
def test_a_server_is_asked_for_degrees_within_180(server, make_answer, out, where):
    api = Api(server, make_answer)
    box = [-359.5, -1, -352.5, 1]
    filters: dict[str, Any] = {where: box if where == "bbox" else shapely.box(*box)}
    report = download(StacApi(server.url("/v1/")), out, name="found", **filters)
    assert report.fetched == 7
    asked = api.asked[0][where]
    assert (asked == "0.5,-1.0,7.5,1.0") if where == "bbox" else ("7.5" in asked)


def test_another_search_is_asked_for_anew(server, make_answer, out):
    api = Api(server, make_answer)
    source = StacApi(server.url("/v1/"))
    download(source, out, name="found", datetime="2020-05-01")
    count = len(api.asked)
    report = download(source, out, name="found", datetime="2020-05-02")
    assert len(api.asked) > count
    assert report.fetched == 16


def test_a_page_that_is_no_api_is_said(server, farms, publish, out):
    with pytest.raises(DownloadError, match="no STAC API"):
        download(StacApi(publish(farms)), out)


# Files without a catalog


def test_a_list_of_urls_is_a_dataset(server, out, tmp_path):
    urls = [server.file(f"/{name}", name.encode()) for name in ("x/a.tif", "y/a.tif", "b.csv")]
    report = download(urls, out, name="mine", **LOCAL)
    assert (report.fetched, report.failed) == (3, 0)
    assert (out / "mine/items/a/data.tif").read_bytes() == b"x/a.tif"
    assert (out / "mine/items/b/data.csv").read_bytes() == b"b.csv"
    _asks_nobody_again(server, urls, out, name="mine", **LOCAL)
    (tmp_path / "list.txt").write_text("# mine\n\n" + "\n".join(urls) + "\n")
    assert download(tmp_path / "list.txt", out, **LOCAL).dataset_id == "list"


@pytest.mark.parametrize("urls", [["ftp://a.example/x"], ["not a url"]])
def test_a_list_with_what_is_no_url_is_refused(out, urls):
    with pytest.raises(UsageError):
        download(urls, out)
    assert not out.exists()
