"""A source that is whole and empty is told as that, whatever its kind, and leaves nothing here."""

import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from haversack.cli.main import run
from haversack.download import StacApi, download
from haversack.errors import EmptySelectionError, EmptySourceError

PAGE = b'{"type": "FeatureCollection", "features": []}'
CATALOG = json.dumps(
    {"type": "Catalog", "stac_version": "1.0.0", "id": "farms", "description": "d", "links": []}
).encode()


def _refused(source, out, **options):
    with pytest.raises(EmptySourceError, match=" is empty") as caught:
        download(source, out, allow_hosts=["127.0.0.1"], **options)
    assert caught.value.exit_code == 3
    assert [path for path in out.rglob("*") if path.name != "farms.tar.gz"] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("items.json", PAGE),
        ("items.geojson", PAGE),
        ("items.ndjson", b""),
        ("items.ndjson", b"\n\n"),
        ("items.ndjson", PAGE + b"\n" + PAGE),
        ("list.txt", b""),
        ("list.txt", b"# none yet\n\n"),
        ("catalog.json", CATALOG),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_empty_file_of_items_or_urls_is_empty(tmp_path, out, name, content, dry_run):
    (tmp_path / name).write_bytes(content)
    _refused(tmp_path / name, out, dry_run=dry_run)


def test_an_empty_list_is_empty(out):
    _refused([], out)
    _refused((), out)


def test_an_empty_geoparquet_is_empty(tmp_path, out):
    names = ("id", "assets", "geometry")
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in names}), tmp_path / "a")
    _refused(tmp_path / "a", out)


def test_an_empty_tree_and_an_empty_archive_are_empty(source, out, empty, server):
    empty.add_collection()
    root = empty.files["farms/catalog.json"]
    root["links"], empty.files = [], {"farms/catalog.json": root}
    _refused(empty.tree(source / "tree"), out)
    _refused(empty.archive(source), out)
    url = server.file("/farms.tar.gz", empty.packed())
    _refused(url, out)
    # It is asked for again: by then there may be something in it.
    empty.add_item("one", {"red": server.file("/red.tif", b"pixels")})
    root["links"].append({"rel": "child", "href": "./fields/collection.json"})
    server.file("/farms.tar.gz", empty.packed(), etag='"2"')
    assert download(url, out).fetched == 1


def test_an_archive_without_a_file_is_empty(source, out):
    source.mkdir(exist_ok=True)
    with tarfile.open(source / "farms.tar.gz", "w:gz"):
        pass
    _refused(source / "farms.tar.gz", out)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/items.json", PAGE, "application/geo+json"),
        ("/items.ndjson", b"\n", "application/x-ndjson"),
        ("/collection/items", PAGE, "application/geo+json"),
        ("/farms/catalog.json", CATALOG, "application/json"),
        ("/folder/", b"<html>no file here", "text/html"),
    ],
)
def test_an_empty_source_on_the_web_is_empty(server, out, make_answer, path, body, kind):
    url = server.answer(path, make_answer(200, body, {"Content-Type": kind}))
    _refused(url, out)
    assert not list(out.rglob("*"))


def test_an_api_without_items_is_empty_and_a_search_that_finds_none_a_selection(
    server, out, make_answer
):
    links = [{"rel": "search", "href": server.url("/search")}]
    root = json.dumps(json.loads(CATALOG) | {"links": links}).encode()
    url = server.answer("/api", make_answer(200, root))
    server.answer("/search", make_answer(200, PAGE))
    _refused(StacApi(url), out)
    _refused(url, out)
    told = "/api finds no item with these filters: collections, datetime"
    with pytest.raises(EmptySelectionError, match=told) as caught:
        download(StacApi(url), out, datetime="2020-05-17", collection_filter={"fields": []})
    assert caught.value.exit_code == 3
    assert not list(out.rglob("*"))


def test_an_empty_source_leaves_what_came_of_it_before(server, out, farms, make_answer, listing):
    items = [d for d in farms.files.values() if d["type"] == "Feature"]
    page = json.dumps({"type": "FeatureCollection", "features": items}).encode()
    url = server.answer("/items.json", make_answer(200, page))
    download(url, out)
    before = listing(out)
    server.answer("/items.json", make_answer(200, PAGE))
    with pytest.raises(EmptySourceError):
        download(url, out, if_exists="sync")
    assert listing(out) == before


@pytest.mark.parametrize("verb", ["download", "info"])
def test_the_command_line_ends_with_3(tmp_path, monkeypatch, capfd, verb):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items.json").write_bytes(PAGE)
    assert run([verb, "items.json"]) == 3
    assert capfd.readouterr().err == "haversack: items.json is empty: there is no item in it\n"
