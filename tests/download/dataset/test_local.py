"""The catalog that a download leaves opens as it lies, here or moved elsewhere."""

import hashlib
import json
from typing import Any

import pystac
import pytest

from haversack.catalog import read_catalog
from haversack.download import download, local

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


def _load(path):
    return json.loads(path.read_text())


def test_pystac_opens_it_as_it_lies(farms, source, out, tmp_path):
    download(farms.archive(source), out, **LOCAL)
    moved = (out / "farms").rename(tmp_path / "moved")
    catalog = pystac.Catalog.from_file(str(moved / "catalog.json"))
    items = list(catalog.get_items(recursive=True))
    assert sorted(item.id for item in items) == ["item0", "item1", "item2"]
    for item in items:
        assert item.get_collection() is not None
        image = item.assets["red"].get_absolute_href()
        assert image is not None
        assert image.startswith(str(moved))
        with open(image, "rb") as file:
            assert file.read(5) == b"image"


def test_what_is_here_has_size_checksum_and_where_it_came_from(farms, source, out, server):
    download(farms.archive(source), out, **LOCAL)
    item = _load(out / "farms/fields/item0/item0.json")
    content = b"image 0" * 100
    assert item["assets"]["red"] == {
        "href": "./red.tif",
        "alternate": {"remote": {"href": server.url("/0/red.tif")}},
        "file:size": len(content),
        "file:checksum": "1220" + hashlib.sha256(content).hexdigest(),
    }
    assert item["assets"]["documentation"]["href"] == "../../_common/documentation.pdf"
    assert [url.split("/")[3] for url in item["stac_extensions"]] == ["alternate-assets", "file"]
    assert read_catalog(out / "farms").verify() == []


@pytest.mark.parametrize("links", [1, 2, 1000])
def test_a_collection_is_the_same_in_however_many_pieces(farms, source, out, monkeypatch, links):
    monkeypatch.setattr(local, "_LINKS", links)
    download(farms.archive(source), out, **LOCAL)
    text = (out / "farms/fields/collection.json").read_text()
    found = json.loads(text)
    assert text == json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    assert [link["rel"] for link in found["links"]][-3:] == ["item"] * 3
    assert [link["href"] for link in found["links"]][-3:] == [
        f"./item{n}/item{n}.json" for n in range(3)
    ]


def test_what_is_not_here_keeps_its_address(farms, source, out, server):
    download(farms.archive(source), out, collection_filter={"fields": ["red"]}, **LOCAL)
    item = _load(out / "farms/fields/item0/item0.json")
    assert item["assets"]["documentation"] == {"href": server.url("/about/manual.pdf")}


def test_links_are_relative_where_their_target_is_here(empty, source, out):
    links = [
        {"rel": "source", "href": "../two/two.json"},
        {"rel": "derived_from", "href": "https://e.org/other.json"},
        {"rel": "self", "href": "https://e.org/one.json"},
        {"rel": "license", "href": "https://e.org/license"},
    ]
    empty.add_item("one", {}, links=links)
    empty.add_item("two", {}, collection="marks")
    links[0]["href"] = "../../marks/two/two.json"
    download(empty.archive(source), out)
    found = {
        link["rel"]: link["href"] for link in _load(out / "farms/fields/one/one.json")["links"]
    }
    assert found == {
        "source": "../../marks/two/two.json",
        "derived_from": "https://e.org/other.json",
        "canonical": "https://e.org/one.json",
        "license": "https://e.org/license",
        "root": "../../catalog.json",
        "parent": "../collection.json",
        "collection": "../collection.json",
    }


def test_everything_else_in_a_document_is_kept(empty, source, out):
    item = empty.add_item("one", {"a": {"href": "https://e.org/a", "eo:bands": [{"name": "B1"}]}})
    item["properties"] |= {"gsd": 0.1, "big": 2**60, "text": "ünïcode", "none": None}
    item["extra:field"] = {"nested": [1, 2.5, True]}
    download(empty.archive(source), out, catalog_only=True)
    written = _load(out / "farms/fields/one/one.json")
    del item["links"], written["links"]
    assert written == item


def test_items_of_no_collection_get_one(empty, source, out):
    empty.add_item("one", {})
    empty.files = {"one/one.json": empty.files["farms/fields/one/one.json"]}
    del empty.files["one/one.json"]["collection"]
    download(empty.archive(source), out)
    assert (out / "farms/items/one/one.json").is_file()
    catalog = pystac.Catalog.from_file(str(out / "farms/catalog.json"))
    assert [item.collection_id for item in catalog.get_items(recursive=True)] == ["items"]


def test_an_archive_of_one_collection_gets_a_catalog(empty, source, out):
    empty.add_item("one", {})
    del empty.files["farms/catalog.json"]
    report = download(empty.archive(source), out)
    assert report.dataset_id == "fields"
    root = _load(out / "fields/catalog.json")
    assert (root["type"], root["id"]) == ("Catalog", "fields")
    assert len(read_catalog(out / "fields").items) == 1


def test_a_download_of_a_download_is_the_same_tree(farms, source, out, tmp_path, listing):
    download(farms.archive(source), out, **LOCAL)
    download(out / "farms", tmp_path / "again", **LOCAL)
    first, second = listing(out / "farms"), listing(tmp_path / "again/farms")
    assert list(first) == list(second)
    assert [n for n in first if not n.endswith(".json") and first[n] != second[n]] == []


# Where an asset came from


def test_where_it_came_from_is_kept_beside_other_places_of_it(empty, source, out, server):
    red, other = server.file("/red.tif", b"red"), {"href": "s3://bucket/red.tif", "name": "store"}
    old = {"href": "ftp://a.example/red.tif"}
    alternates = {"remote": other, "remote-1": old}
    empty.add_item("one", {"red": {"href": red, "alternate": alternates}})
    archive = empty.archive(source)
    for _ in range(2):
        report = download(archive, out, **LOCAL)
        asset = _load(report.path / "fields/one/one.json")["assets"]["red"]
        assert asset["alternate"] == {
            "remote": {"href": red},
            "remote-2": other,
            "remote-1": old,
        }


def test_where_it_came_from_is_told_once(empty, source, out, server):
    red = server.file("/red.tif", b"red")
    remote = {"href": red, "name": "the same"}
    empty.add_item("one", {"red": {"href": red, "alternate": {"remote": remote}}})
    report = download(empty.archive(source), out, **LOCAL)
    asset = _load(report.path / "fields/one/one.json")["assets"]["red"]
    assert asset["alternate"] == {"remote": remote}


@pytest.mark.parametrize("chosen", [{"fields": []}, {"marks": []}])
def test_signatures_of_addresses_are_not_in_the_local_catalog(empty, source, out, server, chosen):
    sas = "?band=2&sv=1&sig=s3cret"
    red = {"href": server.file("/red.tif", b"red") + sas}
    red["alternate"] = {"s3": {"href": "https://a.example/red?X-Amz-Signature=s3cret"}}
    link = {"rel": "thumbnail", "href": "https://a.example/t.png" + sas}
    itself = {"rel": "self", "href": "https://a.example/one.json?token=s3cret"}
    empty.add_item("one", {"red": red}, links=[link, itself])
    empty.add_item("two", {"red": server.file("/two.tif", b"two")}, "marks")
    own = {"table": {"href": server.file("/table.csv", b"a,b") + sas}}
    empty.add_collection()["assets"] = own
    archive = empty.archive(source)
    report = download(archive, out, collection_filter=chosen, **LOCAL)
    texts = [path.read_text() for path in report.path.rglob("*.json")]
    assert [text for text in texts if "s3cret" in text] == []
    assert "red.tif?band=2" in (report.path / "fields/one/one.json").read_text()
    # What is missing still comes: the archive has it with its signature.
    assert download(archive, out, **LOCAL).failed == 0
    assert {asked.path for asked in server.asked if asked.path.startswith("/red")} == {
        "/red.tif" + sas
    }


def test_a_checksum_that_cannot_be_read_is_told_and_vouches_for_nothing(
    empty, source, out, server, caplog
):
    def asset(name, checksum):
        return {"href": server.file(f"/{name}.tif", name.encode()), "file:checksum": checksum}

    whole = "1220" + hashlib.sha256(b"nir").hexdigest()
    empty.add_item("one", {"red": asset("red", "zz"), "nir": asset("nir", whole)})
    archive = empty.archive(source)
    place = out / "farms/fields/one/red.tif"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"other")
    report = download(archive, out, if_exists="skip", **LOCAL)
    assert (report.fetched, report.unverified) == (1, 1)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["1 assets have a file:checksum" in text and "'zz'" in text for text in told] == [True]
    caplog.clear()
    report = download(archive, out, collection_filter={"fields": ["nir"]}, **LOCAL)
    assert "file:checksum" not in caplog.text


def test_what_stands_here_is_not_taken_for_whole_by_a_checksum_that_nobody_can_read(
    empty, source, out, server
):
    red = {"href": server.file("/red.tif", b"red pixels"), "file:checksum": "zz"}
    empty.add_item("one", {"red": red})
    place = out / "farms/fields/one/red.tif"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half")
    assert download(empty.archive(source), out, **LOCAL).fetched == 1
    assert place.read_bytes() == b"red pixels"
