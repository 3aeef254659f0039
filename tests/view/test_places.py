"""A map shows the footprints of every collection, their dates, and what was chosen."""

import json

import numpy as np
import pytest

from haversack.catalog import read_catalog
from haversack.convert import read_image
from haversack.errors import EmptySelectionError
from haversack.view import footprints
from haversack.view.mapping import frame_of

pytest.importorskip("matplotlib")
shapely = pytest.importorskip("shapely")


@pytest.fixture
def crops(small_hub):
    return read_catalog(small_hub / "demo_crop_seasons")


@pytest.mark.parametrize("name", ["crop_seasons", "flood_events", "soil_moisture_points"])
def test_every_dataset_gives_a_map(small_hub, tmp_path, name):
    path = footprints(read_catalog(small_hub / f"demo_{name}"), tmp_path / "maps" / "a.png")
    picture = read_image(path)
    assert 600 <= picture.shape[2] <= 1600
    assert (picture.max(0) - picture.min(0) > 60).mean() > 0.005


def coloured(path):
    picture = read_image(path).astype(int)
    # The colour bar at the foot is always coloured.
    body = picture[:, : -picture.shape[1] // 6]
    return (body.max(0) - body.min(0) > 100).mean()


def test_only_what_was_chosen_is_coloured(crops, tmp_path):
    everything = coloured(footprints(crops, tmp_path / "a.png"))
    some = crops.select(bbox=crops.items.bbox[0][[0, 1, 3, 4]])
    part = coloured(footprints(crops, tmp_path / "b.png", chosen=some))
    nothing = coloured(footprints(crops, tmp_path / "c.png", chosen=[]))
    assert everything > part > nothing


@pytest.mark.parametrize("as_box", [True, False])
def test_an_area_is_outlined_and_lies_on_the_map(crops, tmp_path, as_box):
    west, south, _, east, north, _ = crops.items.bbox[0].tolist()
    box = [west - 0.1, south, east, north]
    ring = [[box[0], south], [east, south], [east, north], [box[0], north], [box[0], south]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    area = box if as_box else {"type": "Feature", "geometry": geometry, "properties": {}}
    with_area = footprints(crops, tmp_path / "a.png", area=area).read_bytes()
    assert with_area != footprints(crops, tmp_path / "b.png").read_bytes()


def test_items_without_geometry_or_time_are_left_out_quietly(small_hub, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    shapes = [None, {"type": "Polygon", "coordinates": [ring]}]
    links = []
    for number, shape in enumerate(shapes):
        item: dict[str, object] = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": f"i{number}",
            "geometry": shape,
        }
        item |= {"properties": {"datetime": None}, "links": [], "assets": {}}
        (tree / f"i{number}.json").write_text(json.dumps(item))
        links.append({"rel": "item", "href": f"./i{number}.json"})
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "d"}
    (tree / "catalog.json").write_text(json.dumps(root | {"links": links}))
    assert footprints(read_catalog(tree), tmp_path / "a.png").exists()
    (tree / "catalog.json").write_text(json.dumps(root | {"links": links[:1]}))
    with pytest.raises(EmptySelectionError, match="no item of 'c' has a geometry"):
        footprints(read_catalog(tree), tmp_path / "b.png")


@pytest.mark.parametrize(
    "shapes",
    [[(0, 0)], [(0, 0), (40, 0)], [(0, -80), (0, 80)], [(-179, 10), (179, 11)]],
    ids=["one point", "a line east", "a line north", "the whole turn"],
)
def test_a_frame_holds_everything_and_stays_drawable(shapes):
    frame = frame_of([shapely.Point(x, y) for x, y in shapes])
    xs, ys = np.array(shapes).T
    assert frame.west < xs.min() <= xs.max() < frame.east
    assert frame.south < ys.min() <= ys.max() < frame.north
    assert 0.3 < frame.aspect < 4
