"""Archives become the table, whatever mess they hold, and damage is named."""

import pytest

from haversack.catalog import is_catalog, read_catalog, stac
from haversack.catalog.table import UNKNOWN_SIZE
from haversack.errors import FormatError, PathNotFoundError, UnsupportedError

REMOTE = "https://data.example/a.tif"


def test_items_assets_and_texts_of_an_archive(archive, farms, item):
    one = item("one", assets={"red": {"href": REMOTE, "type": "image/tiff", "roles": ["data"]}})
    two = item("two", assets={"red": {"href": "./red.tif", "file:size": 7}})
    catalog = read_catalog(archive(farms([one, two])))
    assert (catalog.id, catalog.description) == ("farms", "farms")
    assert [row.id for row in catalog.collections] == ["fields"]
    assert list(catalog.items.id) == ["one", "two"]
    assert list(catalog.assets.key) == ["red", "red"]
    assert list(catalog.assets.type) == ["image/tiff", None]
    assert catalog.assets.roles[0] == ("data",)
    assert catalog.assets.size.tolist() == [-1, 7]
    assert catalog.target(0) == REMOTE
    assert catalog.target(1) == "farms/fields/two/red.tif"
    assert catalog.item(1) == two


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.0.0-rc.2"])
def test_every_version_of_stac_one_is_read(archive, farms, item, version):
    catalog = read_catalog(archive(farms([item("one", stac_version=version)])))
    assert len(catalog.items) == 1


def test_items_are_found_without_links(archive, farms, item):
    files = farms([item("one")])
    files["farms/fields/collection.json"]["links"] = []
    files["farms/catalog.json"]["links"] = []
    assert list(read_catalog(archive(files)).items.id) == ["one"]


def test_items_of_any_name_count_where_a_link_leads_to_them(archive, farms, item):
    files = farms([])
    files["farms/fields/collection.json"]["links"] = [{"rel": "item", "href": "./x.json"}]
    files |= {"farms/fields/x.json": item("one"), "farms/fields/stray.json": item("two")}
    catalog = read_catalog(archive(files))
    assert list(catalog.items.id) == ["one"]
    assert catalog.source.size_of("farms/fields/stray.json")


def test_assets_that_are_json_are_no_documents(archive, farms, item):
    files = farms([item("one", assets={"labels": "./labels.json"})])
    files |= {
        "farms/fields/one/labels.json": {"type": "FeatureCollection", "features": []},
        "farms/fields/one/broken.json": b"{not json",
        "farms/fields/one/binary.json": b"\xff\xfe\x00",
    }
    catalog = read_catalog(archive(files))
    assert len(catalog.items) == 1
    assert catalog.source.size_of("farms/fields/one/labels.json")


def test_items_that_name_no_collection_belong_to_where_they_lie(archive, farms, item):
    catalog = read_catalog(archive(farms([item("one", collection=None)])))
    assert catalog.items.collection[0] == "fields"


def test_items_of_no_collection_at_all_are_kept(archive, item):
    catalog = read_catalog(archive({"one/one.json": item("one", collection=None)}))
    assert (catalog.id, catalog.items.collection[0]) == ("farms", "items")
    assert catalog.collection(0)["type"] == "Collection"


def test_an_archive_of_one_collection_has_it_as_root(archive, collection, item):
    files = {
        "fields/collection.json": collection(items=["one"]),
        "fields/one/one.json": item("one"),
    }
    catalog = read_catalog(archive(files))
    assert (catalog.id, len(catalog.items)) == ("fields", 1)


def test_collections_own_assets_come_last(archive, farms, item):
    files = farms([item("one", assets={"red": REMOTE})], assets={"table": {"href": "./t.csv"}})
    catalog = read_catalog(archive(files))
    assert list(catalog.assets.key) == ["red", "table"]
    assert catalog.assets.item.tolist() == [0, -1]
    assert catalog.target(1) == "farms/fields/t.csv"


def test_every_item_reads_back_in_any_order(archive, farms, item):
    items = [item(f"item{n}", title="x" * 5000) for n in range(200)]
    catalog = read_catalog(archive(farms(items)))
    for row in [199, 0, 57, 56, 120, 3]:
        assert catalog.item(row) == items[row]


@pytest.mark.parametrize(
    ("place", "content", "reason"),
    [
        ("farms/fields/one/one.json", b'{"type": "Feature", "id"', "truncated"),
        ("farms/fields/one/one.json", {"type": "Feature", "id": "one"}, "stac_version"),
        ("farms/fields/one/one.json", b'{"a": "\xff"}', "one.json"),
        ("farms/fields/collection.json", {"type": "Collection", "stac_version": "1.0.0"}, "`id`"),
        ("farms/catalog.json", [], "farms/catalog.json"),
        ("farms/fields/one/one.json", b'{"x":' * 100_000, "one.json"),
        ("farms/fields/one/one.json", b'{"x": [NaN, ' + b"[" * 100_000, "one.json"),
        ("farms/fields/one/one.json", b'{"type": NaN}', "one.json"),
    ],
)
def test_damaged_documents_are_named(archive, farms, item, place, content, reason):
    path = archive(farms([item("one")]) | {place: content})
    with pytest.raises(FormatError, match=reason) as caught:
        read_catalog(path)
    assert place in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"x":' * 100_000])
def test_deep_nesting_is_damage(archive, farms, item, tree, content):
    folder = tree({"catalog.json": content})
    assert not is_catalog(folder)
    with pytest.raises(FormatError, match="catalog.json"):
        read_catalog(folder)
    with pytest.raises(FormatError, match="here"):
        stac.parse(content, "here")


@pytest.mark.parametrize("size", [-5, 2**63, 2**70, 10**30])
def test_sizes_that_no_file_has_are_unknown(archive, farms, item, size):
    one = item("one", assets={"red": {"href": REMOTE, "file:size": size}})
    catalog = read_catalog(archive(farms([one])))
    assert catalog.assets.size.tolist() == [UNKNOWN_SIZE]


def test_what_python_writes_for_no_number_is_read_as_null(archive, farms, item, tree):
    nan = float("nan")
    one = item("one", properties={"datetime": "2020-05-17T10:00:00Z", "cloud": nan})
    two = item("two", point=(3, 4)) | {"bbox": [nan, nan, nan, float("-inf")]}
    files = farms([one, two])
    for path in (archive(files), tree(files) / "farms"):
        catalog = read_catalog(path)
        assert catalog.item(0)["properties"]["cloud"] is None
        assert catalog.items.box(1)[:2] == (3, 4)


def test_what_is_no_path_is_refused():
    with pytest.raises(UnsupportedError, match="None"):
        read_catalog(None)  # type: ignore[arg-type]


def test_a_damaged_archive_is_named(archive, farms, item):
    path = archive(farms([item("one")]))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FormatError, match=str(path)):
        read_catalog(path)


def test_files_that_are_no_catalog_are_refused(tmp_path, archive):
    plain = tmp_path / "notes.txt"
    plain.write_text("notes")
    assert not is_catalog(plain)
    with pytest.raises(FormatError, match="not gzip"):
        read_catalog(plain)
    with pytest.raises(FormatError, match="holds no STAC"):
        read_catalog(archive({"a.txt": b"x"}))
    with pytest.raises(PathNotFoundError):
        read_catalog(tmp_path / "nowhere")
