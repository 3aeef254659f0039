"""The generated hub is valid STAC, whole, and the same for the same seed."""

import hashlib
import json
from pathlib import Path

import pystac
import pytest

from haversack.demo import make_hub
from haversack.errors import ExistsError
from haversack.storage.checksum import sha256_multihash

IDS = ["demo_crop_seasons", "demo_flood_events", "demo_soil_moisture_points"]


def documents(hub):
    return [p for p in sorted(hub.rglob("*.json")) if p.name != "dataset.json"]


def references(path):
    document = json.loads(path.read_text())
    yield from (link["href"] for link in document["links"])
    yield from (asset["href"] for asset in document.get("assets", {}).values())


def test_pystac_reads_every_item(small_hub):
    for name in IDS:
        catalog = pystac.Catalog.from_file(str(small_hub / name / "catalog.json"))
        items = list(catalog.get_items(recursive=True))
        assert len(items) == len({item.id for item in items}) >= 8
        for item in items:
            parent = item.get_collection()
            assert parent is not None
            assert parent.id == item.collection_id
            again = pystac.Item.from_dict(item.to_dict(transform_hrefs=False))
            assert again.bbox == item.bbox


def test_every_link_is_relative_and_leads_somewhere(small_hub):
    for path in documents(small_hub):
        for href in references(path):
            assert "://" not in href
            assert not href.startswith("/")
            assert (path.parent / href).resolve().is_file(), (path, href)


def test_sizes_and_checksums_are_those_of_the_files(small_hub):
    for path in documents(small_hub):
        for asset in json.loads(path.read_text()).get("assets", {}).values():
            file = path.parent / asset["href"]
            assert asset["file:size"] == file.stat().st_size
            assert asset["file:checksum"] == sha256_multihash(file)


def test_a_footprint_fills_its_box_and_lies_in_its_collection(small_hub):
    for path in small_hub.glob("*/*/collection.json"):
        west, south, east, north = json.loads(path.read_text())["extent"]["spatial"]["bbox"][0]
        for item in path.parent.glob("*/*.json"):
            box = json.loads(item.read_text())["bbox"]
            assert west <= box[0] <= box[2] <= east
            assert south <= box[1] <= box[3] <= north


def test_the_hub_describes_each_dataset(small_hub):
    for name in IDS:
        about = json.loads((small_hub / name / "dataset.json").read_text())
        assert about["id"] == name
        assert about["doi"].startswith("10.5555/")
        assert about["tags"]
        for collection in about["collections"]:
            assert (small_hub / name / collection["id"] / "collection.json").exists()


def test_the_hub_has_times_shapes_and_shared_files_of_every_kind(small_hub):
    items = [json.loads(p.read_text()) for p in small_hub.glob("*/*/*/*.json")]
    assert {item["geometry"]["type"] for item in items} == {"Point", "Polygon"}
    assert {item["properties"]["datetime"] is None for item in items} == {True, False}
    assert {p.suffix for p in small_hub.rglob("*") if p.is_file()} == {
        ".json", ".tif", ".png", ".geojson", ".csv", ".pdf", ".md",
    }  # fmt: skip
    for item in items:
        assert item["assets"]["documentation"]["href"] == "../../_common/documentation.pdf"


def digest(hub):
    whole = hashlib.sha256()
    for path in sorted(p for p in Path(hub).rglob("*") if p.is_file()):
        whole.update(str(path.relative_to(hub)).encode() + path.read_bytes())
    return whole.hexdigest()


def test_the_same_seed_gives_the_same_hub_and_another_does_not(small_hub, tmp_path):
    make_hub(tmp_path / "again", small=True)
    make_hub(tmp_path / "other", small=True, seed=1)
    assert digest(tmp_path / "again") == digest(small_hub)
    assert digest(tmp_path / "other") != digest(small_hub)


def test_a_dataset_that_is_there_is_never_overwritten(small_hub):
    before = digest(small_hub)
    with pytest.raises(ExistsError, match="demo_crop_seasons already exists"):
        make_hub(small_hub, small=True)
    assert digest(small_hub) == before


@pytest.mark.slow
def test_the_full_hub_has_the_size_that_its_page_tells(tmp_path):
    seen = []
    make_hub(tmp_path, progress=seen.append)
    files = [p.stat().st_size for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".json"]
    assert len(files) == seen[-1].total == 1271
    assert 75e6 < sum(files) < 90e6


def test_progress_counts_every_asset(tmp_path):
    seen = []
    make_hub(tmp_path, small=True, progress=seen.append)
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".json"]
    assert seen[-1].state == "end"
    assert seen[-1].done == seen[-1].total
    assert seen[-1].done == len(files)
