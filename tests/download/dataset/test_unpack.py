"""Files inside an archive, and those that an older client left, are used where they lie."""

import json
from typing import Any

from haversack.catalog import read_catalog
from haversack.download import download

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


def test_assets_inside_the_archive_are_kept_and_asked_of_nobody(empty, source, out, server):
    dead = "https://dead.invalid/shared.csv"
    for n in range(2):
        empty.add_item(f"item{n}", {"labels": f"https://dead.invalid/{n}.geojson", "table": dead})
        empty.files[f"farms/fields/item{n}/labels.geojson"] = f"labels {n}".encode()
        empty.files[f"farms/fields/item{n}/table.csv"] = b"a,b"
    empty.files["farms/fields/._rubbish"] = b"rubbish"
    archive = empty.archive(source)
    for _ in range(2):
        report = download(archive, out)
        assert (report.present, report.failed) == (4, 0)
    assert (out / "farms/fields/item1/labels.geojson").read_bytes() == b"labels 1"
    assert not list((out / "farms").rglob("._*"))
    item = json.loads((out / "farms/fields/item1/item1.json").read_text())
    assert item["assets"]["table"]["href"] == "./table.csv"
    assert item["assets"]["table"]["file:size"] == 3
    assert read_catalog(out / "farms").verify() == []


def test_files_named_by_a_reference_go_to_their_assets_place(empty, source, out):
    empty.add_item("one", {"red": "./B04.tif", "blue": "../../images/B02%20x.tif"})
    empty.files["farms/fields/one/B04.tif"] = b"red"
    empty.files["farms/images/B02 x.tif"] = b"blue"
    assert download(empty.archive(source), out).present == 2
    assert (out / "farms/fields/one/red.tif").read_bytes() == b"red"
    assert (out / "farms/fields/one/blue.tif").read_bytes() == b"blue"


def test_other_files_of_the_archive_are_extracted_too(empty, source, out, listing):
    empty.add_item("one", {})
    empty.files |= {
        "farms/README.md": b"read me",
        "farms/fields/one/notes.json": b"{}",
        "farms/extra/deep/data.bin": bytes(3 << 20),
        "farms/err_report.csv": b"hostile",
        "farms/a:b": b"colon",
    }
    download(empty.archive(source), out)
    found = listing(out / "farms")
    assert found["README.md"] == b"read me"
    assert found["fields/one/notes.json"] == b"{}"
    assert found["extra/deep/data.bin"] == bytes(3 << 20)
    assert found["a%3Ab"] == b"colon"
    assert found["err_report.csv"] != b"hostile"


def test_a_folder_that_is_not_named_like_its_item_is_found(empty, source, out):
    item = empty.add_item("folder", {"labels": "https://dead.invalid/x.csv"})
    item["id"] = "other"
    empty.files["farms/fields/folder/labels.csv"] = b"labels"
    assert download(empty.archive(source), out).present == 1
    assert (out / "farms/fields/other/labels.csv").read_bytes() == b"labels"


def test_a_file_inside_the_archive_that_is_not_the_catalogs_is_fetched(empty, source, out, server):
    known = {"href": server.file("/a.csv", b"longer"), "file:size": 6}
    empty.add_item("one", {"a": known})
    empty.files["farms/fields/one/a.csv"] = b"short"
    assert download(empty.archive(source), out, **LOCAL).fetched == 1
    assert (out / "farms/fields/one/a.csv").read_bytes() == b"longer"


def test_the_old_clients_common_assets_are_found(farms, source, out, server):
    archive = farms.archive(source)
    place = out / "farms/fields/_common/documentation.pdf"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"how to farm")
    report = download(archive, out, **LOCAL)
    assert (report.fetched, report.present) == (4, 3)
    assert not (out / "farms/_common/documentation.pdf").exists()
    item = json.loads((out / "farms/fields/item2/item2.json").read_text())
    assert item["assets"]["documentation"]["href"] == "../_common/documentation.pdf"


def test_the_old_place_of_the_archive_is_found(farms, out, server):
    url = server.url("/farms.tar.gz")
    (out / "farms").mkdir(parents=True)
    (out / "farms/farms.tar.gz").write_bytes(farms.packed())
    assert download(url, out).fetched == 7
    assert "/farms.tar.gz" not in server.paths()


def test_what_was_extracted_and_changed_comes_back(empty, source, out):
    empty.add_item("one", {"a": "./a.csv"})
    empty.files["farms/fields/one/a.csv"] = b"content"
    archive = empty.archive(source)
    download(archive, out)
    (out / "farms/fields/one/a.csv").write_bytes(b"cut")
    download(archive, out, if_exists="skip")
    assert (out / "farms/fields/one/a.csv").read_bytes() == b"cut"
    download(archive, out)
    assert (out / "farms/fields/one/a.csv").read_bytes() == b"content"


def test_a_file_and_a_folder_of_one_name_both_come(empty, source, out, listing):
    empty.add_item("one", {"a": "./pixels.tif"})
    inside = {
        "fields/one/pixels.tif": b"the asset",
        "fields/one/a.tif/b": b"below the asset's place",
        "notes": b"a file",
        "notes/first": b"below the file",
        "notes/second": b"and another",
        "Pictures/x": b"below a folder",
        "pictures": b"a file named like the folder",
        "fields": b"a file named like a collection",
        "catalog.json/x": b"below a document of ours",
        "README": b"one",
        "readme": b"another",
    }
    empty.files |= {f"farms/{path}": content for path, content in inside.items()}
    archive = empty.archive(source)
    for _ in range(2):
        assert download(archive, out).failed == 0
        found = listing(out / "farms")
        assert set(inside.values()) <= set(found.values())
        assert found["fields/one/a.tif"] == b"the asset"
        assert len({path.split("/")[0] for path in found if path.startswith("notes~")}) == 1
        assert found["notes"] == b"a file"
        assert not list(out.rglob("*.partial"))
    assert read_catalog(out / "farms").verify() == []
