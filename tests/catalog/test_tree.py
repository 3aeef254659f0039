"""Static catalogs are read by their links, as the old client's trees are by their places."""

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


def test_a_damaged_document_is_named(tree, farms, item):
    path = tree(farms([item("one")]) | {"farms/fields/one/one.json": b"{"}) / "farms"
    with pytest.raises(FormatError, match=r"one/one\.json"):
        read_catalog(path)


def test_a_directory_without_a_catalog_is_refused(tmp_path):
    assert not is_catalog(tmp_path)
    with pytest.raises(PathNotFoundError, match="no catalog.json"):
        read_catalog(tmp_path)
