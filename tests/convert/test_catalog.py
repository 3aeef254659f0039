"""Every image of a downloaded catalog becomes one record, with what STAC says of it."""

import json
import re
import shutil

import numpy as np
import pytest

from haversack.catalog import read_catalog
from haversack.convert import pack_catalog, read_image
from haversack.errors import EmptySelectionError, ExistsError, IntegrityError, UsageError

SOURCE, LABELS = "demo_crop_seasons_source", "demo_crop_seasons_labels"


@pytest.fixture
def crops(small_hub, tmp_path):
    return shutil.copytree(small_hub / "demo_crop_seasons", tmp_path / "demo_crop_seasons")


def image_files(tree):
    return {
        f"{path.parent.parent.name}/{path.parent.name}/{path.stem}": path
        for path in tree.rglob("*")
        if path.suffix in {".tif", ".png"}
    }


def test_every_image_is_a_record_equal_to_its_file(small_hub, tmp_path):
    for tree in small_hub.iterdir():
        files = image_files(tree)
        if not files:
            continue
        with pack_catalog(tree, tmp_path / tree.name) as packed:
            assert set(packed.keys()) == set(files)
            for key, path in files.items():
                np.testing.assert_array_equal(packed.record(key).data, read_image(path))


def test_metadata_are_the_properties_of_the_item(crops, tmp_path):
    with pack_catalog(crops, tmp_path / "packed", collections=[SOURCE]) as packed:
        for record in packed:
            found = record.metadata
            name = found["item"]
            item = json.loads((crops / SOURCE / name / f"{name}.json").read_text())
            assert {key: found[key] for key in item["properties"]} == item["properties"]
            assert found["bbox"] == item["bbox"]
            assert (found["collection"], found["item"]) == (SOURCE, name)
            assert ("proj:transform" in found) == (found["asset"] == "image")


def test_labels_of_a_place_are_found_by_place_and_by_source(crops, tmp_path):
    with pack_catalog(crops, tmp_path / "packed") as packed:
        images = packed.filter("asset = 'image' AND place = '0001'")
        labels = packed.filter("asset = 'labels' AND place = '0001'")
        assert len(images) == 3
        assert len(labels) == 1
        assert set(labels[0].metadata["sources"]) == {r.metadata["item"] for r in images}
        cloudy = packed.filter("asset = 'image' AND \"eo:cloud_cover\" > 10")
        assert all(record.metadata["eo:cloud_cover"] > 10 for record in cloudy)


def test_collections_and_keys_choose(crops, tmp_path):
    with pack_catalog(crops, tmp_path / "one", collections=[LABELS]) as packed:
        assert {record.metadata["asset"] for record in packed} == {"labels"}
    with pack_catalog(crops, tmp_path / "two", asset_keys=["cloud_mask", "labels"]) as packed:
        assert {record.metadata["asset"] for record in packed} == {"cloud_mask", "labels"}


def test_threads_and_a_read_catalog_give_the_same(crops, tmp_path):
    seen = []
    with (
        pack_catalog(crops, tmp_path / "one") as one,
        pack_catalog(
            read_catalog(crops),
            tmp_path / "two",
            codec="blosc-lz4",
            workers=3,
            progress=seen.append,
        ) as two,
    ):
        assert list(one.keys()) == list(two.keys())
        for left, right in zip(one, two, strict=True):
            np.testing.assert_array_equal(left.data, right.data)
            assert left.metadata == right.metadata
        assert seen[-1].state == "end"
        assert seen[-1].done == len(one)


def test_assets_that_are_not_here_are_left_out(crops, tmp_path):
    items = sorted((crops / SOURCE).glob("*/*.json"))
    gone = json.loads(items[0].read_text())
    gone["assets"]["image"]["href"] = "https://example.org/image.tif"
    items[0].write_text(json.dumps(gone))
    (items[1].parent / "image.tif").unlink()
    with pack_catalog(crops, tmp_path / "packed", asset_keys=["image"]) as packed:
        assert len(packed) == len(items) - 2


def test_a_property_that_bears_our_name_is_kept_beside_ours(crops, tmp_path):
    path = next((crops / LABELS).glob("*/*.json"))
    item = json.loads(path.read_text())
    item["properties"] |= {"item": "theirs", "asset": 7, "key": "k", "array": [1]}
    path.write_text(json.dumps(item))
    with pack_catalog(crops, tmp_path / "packed", collections=[LABELS]) as packed:
        found = packed.record(f"{LABELS}/{item['id']}/labels").metadata
    assert (found["item"], found["stac:item"]) == (item["id"], "theirs")
    assert (found["asset"], found["stac:asset"]) == ("labels", 7)
    assert (found["key"], found["array"]) == ("k", [1])


def test_ids_with_separators_do_not_collide(crops, tmp_path):
    paths = sorted((crops / LABELS).glob("*/*.json"))[:2]
    for path, name in zip(paths, ["a/b", "a%2Fb"], strict=True):
        item = json.loads(path.read_text())
        path.write_text(json.dumps(item | {"id": name}))
    with pack_catalog(crops, tmp_path / "packed", collections=[LABELS]) as packed:
        assert len(set(packed.keys())) == len(packed) == 4


def test_nothing_to_pack_is_said(small_hub, crops, tmp_path):
    with pytest.raises(EmptySelectionError, match="no image"):
        pack_catalog(small_hub / "demo_soil_moisture_points", tmp_path / "packed")
    with pytest.raises(EmptySelectionError, match=f"no image of {LABELS} with key fields"):
        pack_catalog(crops, tmp_path / "packed", collections=[LABELS], asset_keys=["fields"])
    with pytest.raises(UsageError, match="nonsense"):
        pack_catalog(crops, tmp_path / "packed", collections=["nonsense"])
    assert not (tmp_path / "packed").exists()


def test_an_existing_output_is_refused(crops, tmp_path):
    pack_catalog(crops, tmp_path / "packed").close()
    with pytest.raises(ExistsError):
        pack_catalog(crops, tmp_path / "packed")


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_image_is_named_and_nothing_is_packed(crops, tmp_path, damage):
    image = next((crops / SOURCE).glob("*/image.tif"))
    content = bytearray(image.read_bytes())
    content[-100] ^= 1
    image.write_bytes(content[:200] if damage == "cut" else content)
    with pytest.raises(IntegrityError, match=re.escape(f"{image} disagrees with the checksum")):
        pack_catalog(crops, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_an_archive_is_to_be_downloaded_first(crops, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "crops"), "gztar", crops.parent, crops.name)
    with pytest.raises(UsageError, match="download it first"):
        pack_catalog(archive, tmp_path / "packed")
