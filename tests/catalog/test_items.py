"""Items come from an ItemCollection, from lines, and from stac-geoparquet, and go there too."""

import json

import pytest

from haversack.catalog import is_catalog, read_catalog
from haversack.download import download
from haversack.errors import EmptySourceError, FormatError


@pytest.fixture
def items(item):
    return [
        item(
            f"item{n}",
            collection="fields" if n % 2 else "marks",
            assets={"red": f"./{n}.tif", "far": "https://a.example/far.tif"},
            properties={
                "datetime": f"2020-05-1{n}T10:00:00Z",
                "eo:cloud_cover": n or 0.5,
                **({"odd": {"deep": [n]}} if n == 2 else {}),
            },
        )
        for n in range(5)
    ]


@pytest.fixture
def write(tmp_path):
    def write(name, items, *others):
        path = tmp_path / name
        if path.suffix == ".json":
            path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
        elif path.suffix == ".ndjson":
            path.write_text("\n\n".join(json.dumps(each) for each in [*others, *items]) + "\n")
        else:
            write("source.ndjson", items, *others)
            read_catalog(tmp_path / "source.ndjson").to_geoparquet(path)
        return path

    return write


FORMS = ["all.json", "all.ndjson", "all.parquet"]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_table_and_documents(write, items, name, tmp_path):
    catalog = read_catalog(write(name, items))
    assert catalog.id == "all"
    assert list(catalog.items.id) == [each["id"] for each in items]
    assert [catalog.items.collection[n] for n in range(2)] == ["marks", "fields"]
    assert len(catalog.assets) == 10
    for row, each in enumerate(items):
        found = catalog.item(row)
        assert found["properties"] == each["properties"]
        assert (found["geometry"], found["bbox"]) == (each["geometry"], each["bbox"])
        assert found["assets"]["far"]["href"] == "https://a.example/far.tif"
        place = tmp_path / f"{row}.tif"
        assert str(catalog.path / catalog.target(row * 2)) == str(place)
    assert list(catalog.select(datetime="2020-05-12").items) == [2]
    assert is_catalog(tmp_path / name)


def test_collections_among_the_lines_are_kept_through_geoparquet(write, items, collection):
    read = read_catalog(write("all.parquet", items, collection("fields", assets={})))
    titles = {row.id: row.title for row in read.collections}
    assert titles == {"fields": "Fields", "marks": None} or titles["fields"] == "Fields"


@pytest.mark.parametrize("name", FORMS)
def test_items_are_downloaded_from_every_form(write, items, name, tmp_path):
    for each in items:
        del each["assets"]["far"]
        (tmp_path / f"{each['id'][-1]}.tif").write_bytes(each["id"].encode())
    report = download(write(name, items), tmp_path / "out")
    assert (report.fetched, report.failed) == (5, 0)
    here = tmp_path / "out/all/fields/item1/red.tif"
    assert here.read_bytes() == b"item1"
    assert read_catalog(tmp_path / "out/all").verify() == []
    assert download(tmp_path / name, tmp_path / "out").present == 5


def test_pages_among_the_lines_are_taken_apart(tmp_path, items):
    pages = [{"type": "FeatureCollection", "features": items[at : at + 2]} for at in (0, 2, 4)]
    path = tmp_path / "pages.ndjson"
    path.write_text("\n".join(map(json.dumps, pages)))
    assert list(read_catalog(path).items.id) == [each["id"] for each in items]


def test_items_of_one_id_are_both_kept(write, items, tmp_path):
    twice = [items[0], items[0] | {"bbox": [1, 1, 1, 1]}, items[0]]
    for each in twice:
        each["assets"] = {}
    report = download(write("all.ndjson", twice), tmp_path / "out")
    assert len(read_catalog(report.path).items) == 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.ndjson", b'{"type": "Feature"}', "line 1"),
        ("a.ndjson", b'\n\n{"type"', "line 3"),
        ("a.json", b'{"type": "FeatureCollection", "features": [{}]}', "feature 0"),
        ("a.json", b'{"type": "Features", "features": []}', "Features"),
        ("a.parquet", b"PAR1 and no more", "stac-geoparquet"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FormatError, match=reason) as caught:
        read_catalog(path)
    assert str(path) in str(caught.value)


def test_a_parquet_file_that_is_no_stac_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "other.parquet"
    for columns, why in (
        ({"a": [1]}, "no column 'id'"),
        ({}, "no column 'id'"),
        ({"id": [1]}, "row 0"),
    ):
        pq.write_table(pa.table(columns), path)
        with pytest.raises(FormatError, match=why):
            read_catalog(path)


def test_an_item_collection_without_items_is_named_in_the_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.json").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(EmptySourceError, match=r"^none\.json is empty"):
        read_catalog("none.json")
