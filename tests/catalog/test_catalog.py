"""A catalog tells what it holds, compares it with what is here, and becomes pystac's."""

import hashlib
import json

import pystac
import pytest

from haversack.catalog import read_catalog
from haversack.errors import PositionError, UnsupportedError

REMOTE = "https://data.example/a.tif"


@pytest.fixture
def small(tree, farms, item):
    content = b"pixels"
    known = {
        "href": "./red.tif",
        "type": "image/tiff",
        "file:size": len(content),
        "file:checksum": "1220" + hashlib.sha256(content).hexdigest(),
    }
    one = item("one", assets={"red": known, "far": REMOTE}, point=(1, 2))
    two = item("two", assets={"red": "./red.tif"}, when="2020-06-01T00:00:00Z", point=(3, 4))
    files = farms([one, two]) | {
        "farms/fields/one/red.tif": content,
        "farms/fields/two/red.tif": b"others",
    }
    return tree(files) / "farms"


def test_info_counts_and_describes(small):
    info = read_catalog(small).info()
    assert json.loads(json.dumps(info)) == info
    assert (info["items"], info["assets"], info["known bytes"]) == (2, 3, 12)
    assert (info["files"], info["files of unknown size"]) == (3, 1)
    assert info["assets here"] == 2
    assert info["bbox"] == [1, 2, 3, 4]
    assert (info["first"], info["last"]) == ("2020-05-17T10:00:00Z", "2020-06-01T00:00:00Z")
    [fields] = info["collections"]
    assert (fields["id"], fields["items"], fields["assets"]) == ("fields", 2, 3)
    assert {row["key"]: (row["assets"], row["types"]) for row in info["asset keys"]} == {
        "red": (2, ["image/tiff", "unknown"]),
        "far": (1, ["unknown"]),
    }


def test_info_counts_what_lies_in_an_archive(archive, farms, item):
    one = item("one", assets={"a": "./a.tif", "b": "./nowhere.tif", "c": REMOTE})
    info = read_catalog(archive(farms([one]) | {"farms/fields/one/a.tif": b"pixels"})).info()
    assert (info["assets here"], info["known bytes"], info["files of unknown size"]) == (1, 6, 2)


def test_info_of_an_empty_catalog(tree, root):
    info = read_catalog(tree({"catalog.json": root(children=())})).info()
    assert (info["items"], info["bbox"], info["first"]) == (0, None, None)


def test_verify_of_a_whole_tree_finds_nothing(small):
    seen = []
    assert read_catalog(small).verify(progress=seen.append) == []
    assert seen[-1].done == 3


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"pixel", "5 bytes, not 6"), (b"pixelz", "checksum"), (None, "missing")],
)
def test_verify_names_the_file_and_what_is_wrong(small, content, what):
    file = small / "fields/one/red.tif"
    file.unlink() if content is None else file.write_bytes(content)
    [damage] = read_catalog(small).verify()
    assert damage.path == file
    assert what in damage.what


@pytest.mark.parametrize("checksum", ["zz", "1220", "1220" + "00" * 31, "d50101ff", "no hash"])
def test_a_checksum_that_cannot_be_read_is_named(tree, farms, item, checksum):
    assets = {"red": {"href": "./red.tif", "file:checksum": checksum}}
    files = farms([item("one", assets=assets)]) | {"farms/fields/one/red.tif": b"pixels"}
    [damage] = read_catalog(tree(files) / "farms").verify()
    assert damage.path.name == "red.tif"
    assert f"its checksum {checksum!r} in the catalog is no multihash" in damage.what


def test_a_checksum_of_an_algorithm_that_is_not_known_is_no_damage(tree, farms, item):
    assets = {"red": {"href": "./red.tif", "file:checksum": "1e20" + "00" * 32}}
    files = farms([item("one", assets=assets)]) | {"farms/fields/one/red.tif": b"pixels"}
    assert read_catalog(tree(files) / "farms").verify() == []


def test_files_beside_the_directory_are_verified_too(tree, farms, item):
    assets = {"x": {"href": "../../../beside.csv", "file:size": 4}, "y": "../../../nowhere.csv"}
    folder = tree(farms([item("one", assets=assets)]) | {"beside.csv": b"a,b"}) / "farms"
    found = read_catalog(folder).verify()
    assert [damage.what for damage in found] == ["it has 3 bytes, not 4", "the file is missing"]


def test_pystac_gets_everything(small):
    catalog = read_catalog(small).to_pystac()
    assert isinstance(catalog, pystac.Catalog)
    items = {item.id: item for item in catalog.get_items(recursive=True)}
    assert sorted(items) == ["one", "two"]
    assert items["one"].assets["far"].href == REMOTE
    assert items["one"].assets["red"].href == str(small / "fields/one/red.tif")
    assert items["one"].collection_id == "fields"


def test_texts_for_people_are_short_and_escaped(tree, root, collection):
    files = {
        "catalog.json": root("<b>bold</b>"),
        "fields/collection.json": collection("<script>"),
    }
    catalog = read_catalog(tree(files))
    assert repr(catalog) == "<Catalog '<b>bold</b>': 1 collections, 0 items, 0 assets>"
    assert "<b>" not in catalog._repr_html_()
    assert "<script>" not in catalog._repr_html_()


@pytest.mark.parametrize("row", [-1, 2, 1000])
def test_a_row_that_is_not_there_is_named_with_how_many_there_are(small, row):
    catalog = read_catalog(small)
    for look, count in (
        (catalog.item, 2),
        (catalog.items.assets_of, 2),
        (catalog.items.id.__getitem__, 2),
    ):
        with pytest.raises(PositionError, match=f"no row {row}: there are {count}, numbered"):
            look(row)


def test_an_asset_or_collection_that_is_not_there_is_named_too(small):
    catalog = read_catalog(small)
    count = len(catalog.assets)
    for look in (catalog.target, catalog.local_file, catalog.assets.key.__getitem__):
        with pytest.raises(PositionError, match=f"no row 1000: there are {count}"):
            look(1000)
    with pytest.raises(IndexError, match="no row -1"):
        catalog.target(-1)
    for row in (-1, 1000):
        with pytest.raises(PositionError, match=f"no row {row}: there are 1"):
            catalog.collection(row)
    with pytest.raises(PositionError, match="no row 1000: there are 2"):
        catalog.items.collection[1000]


def test_an_address_is_no_path():
    with pytest.raises(
        UnsupportedError, match=r"an address \(http://\.\.\.\) is no path: .*download"
    ):
        read_catalog("http://a.example/y?token=secret")
