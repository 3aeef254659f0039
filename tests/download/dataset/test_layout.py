"""Every document and every asset has its own name, whatever ids and keys there are."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.catalog import read_catalog
from haversack.download.layout import Layout, extension
from haversack.storage.names import fold

ODD = (
    "a A b a.json a~1 é e\u0301 .. a/b a%2Fb _common collection catalog.json collection.json "
    "err_report.csv mlhub_stac_assets.db"
)
NAMES = st.sampled_from([*ODD.split(), "x" * 300]) | st.text(min_size=1, max_size=3).filter(
    lambda text: text.isprintable()
)


def _layout(farms, source):
    return Layout(read_catalog(farms.archive(source)))


@pytest.mark.parametrize(
    ("href", "kind", "expected"),
    [
        ("https://e.org/my.tif.csv", None, ".csv"),
        ("https://e.org/x.tiff?sig=a.png", "image/png", ".tiff"),
        ("https://e.org/a%2Ejp2", None, ".jp2"),
        ("https://e.org/plain", "image/tiff; application=geotiff", ".tif"),
        ("https://e.org/plain", "application/geo+json", ".geojson"),
        ("https://e.org/plain", "made/up", ""),
        ("https://e.org/.hidden", None, ""),
        ("https://e.org/", None, ""),
        ("./dir.d/file", None, ""),
    ],
)
def test_extensions_follow_the_address_then_the_type(href, kind, expected):
    assert extension(href, kind) == expected


def test_one_address_is_one_file(empty, source):
    for n in range(2):
        empty.add_item(f"item{n}", {"a": "https://e.org/shared.csv", "b": f"https://e.org/{n}.tif"})
    empty.add_item("twice", {"c": "https://e.org/t.tif", "d": "https://e.org/t.tif"})
    paths = [path for _, path in _layout(empty, source).assets()]
    assert paths == [
        "_common/a.csv",
        "fields/item0/b.tif",
        "_common/a.csv",
        "fields/item1/b.tif",
        "fields/twice/c.tif",
        "fields/twice/c.tif",
    ]


def test_the_same_relative_reference_in_two_items_is_two_files(empty, source):
    for n in range(2):
        empty.add_item(f"item{n}", {"a": "./image.tif"})
    paths = [path for _, path in _layout(empty, source).assets()]
    assert paths == ["fields/item0/a.tif", "fields/item1/a.tif"]


def test_different_files_of_one_common_name_are_all_kept(empty, source):
    for n in range(3):
        empty.add_item(f"item{n}", {"documentation": f"https://e.org/{n}.pdf"})
    paths = [path for _, path in _layout(empty, source).assets()]
    assert paths[:2] == ["_common/documentation.pdf", "fields/_common/documentation.pdf"]
    assert paths[2].startswith("fields/_common/documentation~")
    assert paths[2].endswith(".pdf")


def test_paths_are_the_same_every_time(empty, source):
    for n in range(3):
        empty.add_item(f"Item{n}", {"readme": f"https://e.org/{n}", "a": f"https://e.org/{n}.A"})
        empty.add_item(f"item{n}", {"readme": f"https://e.org/{n}x"})
    first, second = _layout(empty, source), _layout(empty, source)
    assert list(first.assets()) == list(second.assets())
    assert list(first.own()) == list(second.own())


def test_long_keys_and_ids_keep_the_suffixes_of_their_files(empty, source):
    long = "band" * 60
    empty.add_item("one", {long + "1": "https://e.org/a.tif", long + "2": "https://e.org/b.tif"})
    empty.files["farms/fields/one/one.json"]["id"] = "item" * 60
    layout = _layout(empty, source)
    paths = [path for _, path in layout.assets()]
    assert len(set(paths)) == 2
    for path, suffix in ((paths[0], ".tif"), (paths[1], ".tif"), (layout.item_file(0), ".json")):
        assert path.endswith(suffix)
        assert all(len(part.encode()) <= 200 for part in path.split("/"))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        NAMES,
        st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True), max_size=3),
        min_size=1,
        max_size=3,
    )
)
def test_no_two_things_ever_share_a_name(empty, source, spec):
    farms = type(empty)()
    for c, (collection, items) in enumerate(spec.items()):
        farms.add_collection(f"c{c}")["id"] = collection
        for i, (name, keys) in enumerate(items.items()):
            assets = {key: f"https://e.org/{c}/{i}/{k}.json" for k, key in enumerate(keys)}
            item = farms.add_item(f"i{i}", assets, f"c{c}")
            item["id"], item["collection"] = name, collection
    layout = _layout(farms, source)
    paths = [path for _, path in layout.assets()] + list(layout.own())
    folded = [fold(path) for path in paths]
    assert len(set(folded)) == len(folded)
    folders = {fold(path.rpartition("/")[0]) for path in paths}
    assert not folders & set(folded)
    for path in paths:
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(path.split("/"))
        assert all(len(part.encode()) <= 220 for part in path.split("/"))
