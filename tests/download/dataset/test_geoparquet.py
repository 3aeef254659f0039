"""A downloaded catalog goes to stac-geoparquet and comes back whole, wherever the file lies."""

from pathlib import Path
from typing import Any

import pytest

from haversack.catalog import read_catalog
from haversack.download import download

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


@pytest.fixture
def labelled(farms, server):
    """Items with images, and labels that name one of them as their source."""
    links = [
        {"rel": "root", "href": "../../catalog.json"},
        {"rel": "source", "href": "../../fields/item1/item1.json"},
        {"rel": "about", "href": "https://a.example/about"},
    ]
    assets = {"labels": {"href": server.file("/labels.csv", b"1,2"), "roles": ["labels"]}}
    farms.add_item("marks1", assets, "marks", links=links)
    return farms


@pytest.fixture
def here(labelled, source, out):
    download(labelled.archive(source), out, **LOCAL)
    return read_catalog(out / "farms")


@pytest.fixture
def back(here, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    here.to_geoparquet(tmp_path / "elsewhere" / "items.parquet")
    return read_catalog(tmp_path / "elsewhere" / "items.parquet")


def _items(catalog):
    rows = range(len(catalog.items))
    return {catalog.items.id[row]: catalog.item(row) for row in rows}


def _files(catalog):
    return {
        (catalog.items.id[row], catalog.assets.key[asset]): catalog.local_file(asset).resolve()
        for row in range(len(catalog.items))
        for asset in catalog.items.assets_of(row)
    }


def test_items_and_all_that_is_said_of_their_assets_come_back(here, back):
    before, after = _items(here), _items(back)
    assert before.keys() == after.keys()
    for name, item in before.items():
        for field in ("type", "collection", "properties", "geometry", "bbox", "stac_version"):
            assert after[name][field] == item[field]
        assert after[name]["assets"].keys() == item["assets"].keys()
        for key, asset in item["assets"].items():
            assert {"file:size", "file:checksum", "alternate"} <= asset.keys()
            assert after[name]["assets"][key] | {"href": asset["href"]} == asset
    assert _files(back) == _files(here)
    assert back.verify() == []


def test_links_lead_where_they_led_and_those_of_the_tree_are_left_out(here, back):
    links = {link["rel"]: link["href"] for link in _items(back)["marks1"]["links"]}
    assert links.keys() == {"source", "about"}
    assert Path(links["source"]).samefile(here.path / "fields/item1/item1.json")
    assert links["about"] == "https://a.example/about"


def test_pystac_takes_it_from_there(back):
    items = {item.id: item for item in back.to_pystac().get_items(recursive=True)}
    assert items.keys() == {"item0", "item1", "item2", "marks1"}
    red = items["item0"].assets["red"]
    assert Path(red.href).read_bytes() == b"image 0" * 100
    assert red.extra_fields["file:size"] == 700
    assert red.extra_fields["alternate"]["remote"]["href"].endswith("/0/red.tif")


def test_a_download_from_it_has_relative_references_and_the_sources_of_labels(
    here, tmp_path, server
):
    table = tmp_path / "items.parquet"  # above the files: a catalog gives those below it only
    here.to_geoparquet(table)
    asked, chosen = len(server.asked), {"marks": []}
    report = download(
        table, tmp_path / "again", name="farms", collection_filter=chosen, with_sources=True
    )
    assert (report.failed, len(server.asked)) == (0, asked)
    again = _items(read_catalog(report.path))
    assert again["marks1"]["assets"]["labels"]["href"] == "./labels.csv"
    assert again["item1"]["assets"]["red"]["href"] == "./red.tif"
    assert (tmp_path / "again/farms/fields/item1/red.tif").read_bytes() == b"image 1" * 100


def test_files_that_do_not_lie_below_it_come_from_where_they_came_from(back, tmp_path):
    report = download(back.source.path / "items.parquet", tmp_path / "again", **LOCAL)
    assert (report.failed, report.fetched) == (0, 8)
    assert (report.path / "fields/item2/red.tif").read_bytes() == b"image 2" * 100
