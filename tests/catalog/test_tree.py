"""Static catalogs are read by their links, as the old client's trees are by their places."""

import json
import os

import pytest

from haversack.catalog import is_catalog, read_catalog
from haversack.errors import FormatError, PathNotFoundError


def test_a_tree_reads_like_its_archive(archive, tree, farms, item):
    files = farms([item("one", assets={"red": "./red.tif"}), item("two")])
    packed, folder = read_catalog(archive(files)), tree(files) / "farms"
    for path in (folder, folder / "catalog.json"):
        catalog = read_catalog(path)
        assert list(catalog.items.id) == list(packed.items.id)
        assert [catalog.item(row) for row in range(2)] == [packed.item(row) for row in range(2)]
        assert catalog.target(0) == "fields/one/red.tif"
        assert is_catalog(path)


def test_json_that_no_link_names_is_not_read(tree, farms, item):
    files = farms([item("one")])
    files |= {"farms/broken.json": b"{", "farms/fields/one/labels.json": item("labels")}
    assert list(read_catalog(tree(files) / "farms").items.id) == ["one"]


def test_a_tree_without_links_is_read_by_the_hubs_places(tree, farms, item):
    files = farms([item("one"), item("two")])
    files["farms/catalog.json"]["links"] = []
    files["farms/fields/collection.json"]["links"] = []
    assert sorted(read_catalog(tree(files) / "farms").items.id) == ["one", "two"]


def test_links_in_a_circle_end(tree, farms, item):
    files = farms([item("one")])
    up = {"rel": "child", "href": "../catalog.json"}
    files["farms/fields/collection.json"]["links"].append(up)
    assert len(read_catalog(tree(files) / "farms").items) == 1


def test_links_may_be_percent_encoded(tree, farms, item):
    files = farms([item("a b")])
    files["farms/fields/collection.json"]["links"] = [{"rel": "item", "href": "a%20b/a%20b.json"}]
    assert list(read_catalog(tree(files) / "farms").items.id) == ["a b"]


def test_missing_documents_are_told_and_do_not_hide_the_rest(tree, farms, item):
    files = farms([item("one"), item("two")])
    del files["farms/fields/two/two.json"]
    catalog = read_catalog(tree(files) / "farms")
    assert list(catalog.items.id) == ["one"]
    assert catalog.info()["documents missing"] == 1
    assert [damage.path.name for damage in catalog.verify()] == ["two.json"]


def test_a_document_that_is_not_there_is_named_with_the_one_that_links_to_it(
    tree, farms, item, caplog
):
    files = farms([item("one"), item("two")])
    del files["farms/fields/two/two.json"]
    read_catalog(tree(files) / "farms")
    assert "two.json is not there" in caplog.text
    assert "fields/collection.json leads there" in caplog.text


@pytest.mark.parametrize("way", ["../outside.json", "absolute", "file", "link", "folder"])
def test_no_document_outside_of_the_catalogs_directory_is_read(
    tree, farms, item, tmp_path, caplog, way
):
    folder = tree(farms([item("one")])) / "farms"
    (tmp_path / "tree/outside.json").write_text(json.dumps(item("outside")))
    outside = (tmp_path / "tree/outside.json").as_posix()
    os.symlink("../outside.json", folder / "link.json")
    os.symlink("..", folder / "folder")
    href = {
        "absolute": outside,
        "file": f"file://{outside}",
        "link": "./link.json",
        "folder": "./folder/outside.json",
    }.get(way, way)
    root = json.loads((folder / "catalog.json").read_text())
    root["links"].append({"rel": "item", "href": href})
    (folder / "catalog.json").write_text(json.dumps(root))
    catalog = read_catalog(folder)
    assert list(catalog.items.id) == ["one"]
    assert f"not in the catalog's directory: a link of {folder}/catalog.json" in caplog.text
    assert [damage.what for damage in catalog.verify()] == [
        "a linked document is not in the catalog's directory"
    ]


@pytest.mark.parametrize("href", ["/etc/passwd", "file:///etc/passwd", "../" * 40 + "etc/passwd"])
def test_a_link_to_a_file_of_this_machine_is_passed_over(tree, farms, item, href):
    files = farms([item("one")])
    files["farms/catalog.json"]["links"].append({"rel": "child", "href": href})
    assert list(read_catalog(tree(files) / "farms").items.id) == ["one"]


def test_links_within_the_catalogs_directory_are_followed_however_they_lead_there(
    tree, farms, item, tmp_path
):
    folder = tree(farms([item("one"), item("two"), item("three")])) / "farms"
    os.rename(folder / "fields/one/one.json", folder / "kept.json")
    os.symlink("../../kept.json", folder / "fields/one/one.json")
    collection = json.loads((folder / "fields/collection.json").read_text())
    collection["links"][1]["href"] = (folder / "fields/two/two.json").as_posix()
    collection["links"][2]["href"] = "../../farms/fields/three/three.json"
    (folder / "fields/collection.json").write_text(json.dumps(collection))
    os.symlink(folder, tmp_path / "linked")
    for path in (folder, tmp_path / "linked", tmp_path / "linked/catalog.json"):
        assert sorted(read_catalog(path).items.id) == ["one", "three", "two"]


def test_links_to_other_machines_are_counted_and_not_followed(tree, farms, item, caplog):
    files = farms([item("one")])
    links = [{"rel": "item", "href": f"https://u:secret@a.example/{n}"} for n in range(3)]
    files["farms/catalog.json"]["links"] += links
    assert list(read_catalog(tree(files) / "farms").items.id) == ["one"]
    assert "farms/catalog.json: 3 of its links" in caplog.text
    assert "secret" not in caplog.text


def test_an_asset_that_is_a_link_out_of_the_catalog_is_damage(tree, farms, item, tmp_path):
    files = farms([item("one", assets={"red": "./red.tif", "apart": "../../../apart.tif"})])
    folder = tree(files | {"apart.tif": b"apart"}) / "farms"
    os.symlink("/etc/passwd", folder / "fields/one/red.tif")
    (damage,) = read_catalog(folder).verify()
    assert damage.path == folder / "fields/one/red.tif"
    assert "link to a file outside" in damage.what


def test_a_damaged_document_is_named(tree, farms, item):
    path = tree(farms([item("one")]) | {"farms/fields/one/one.json": b"{"}) / "farms"
    with pytest.raises(FormatError, match=r"one/one\.json"):
        read_catalog(path)


def test_a_directory_without_a_catalog_is_refused(tmp_path):
    assert not is_catalog(tmp_path)
    with pytest.raises(PathNotFoundError, match="no catalog.json"):
        read_catalog(tmp_path)
