"""Filters choose what a look at every item by itself would choose."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.catalog import Filters, read_catalog
from haversack.catalog.boxes import read_box, read_boxes
from haversack.errors import EmptySelectionError, UsageError

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}
TRIANGLE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]}
DEGREES = "longitude/latitude (EPSG:4326)"


def _crs(name):
    return {"type": "name", "properties": {"name": name}}


@pytest.fixture
def catalog(archive, farms, item, collection):
    items = [
        item(f"day{n}", when=(FIRST + timedelta(days=n)).isoformat(), point=(n, n),
             assets={"red": f"./r{n}.tif", "nir": f"./n{n}.tif"})
        for n in range(10)
    ]  # fmt: skip
    files = farms(items, assets={"table": {"href": "./table.csv"}})
    files["farms/marks/collection.json"] = collection("marks")
    files["farms/marks/month/month.json"] = item(
        "month",
        collection="marks",
        properties={
            "datetime": None,
            "start_datetime": "2020-01-03T00:00:00Z",
            "end_datetime": "2020-02-03T00:00:00Z",
        },
        assets={"labels": "./labels.csv"},
    )
    return read_catalog(archive(files))


def _ids(selection):
    return [selection.catalog.items.id[row] for row in selection.items.tolist()]


def _keys(selection):
    assets = selection.catalog.assets
    return sorted({assets.key[row] for row in selection.assets.tolist()})


def test_without_filters_everything_is_chosen(catalog):
    selection = catalog.select()
    assert (len(selection.items), len(selection.assets)) == (11, 22)


def test_an_empty_list_is_all_keys_of_a_collection(catalog):
    selection = catalog.select(collection_filter={"fields": []})
    assert _keys(selection) == ["nir", "red", "table"]
    assert "month" not in _ids(selection)


def test_keys_choose_assets_of_their_collection_only(catalog):
    selection = catalog.select(collection_filter={"fields": ["red"], "marks": ["labels"]})
    assert _keys(selection) == ["labels", "red"]
    assert len(selection.assets) == 11
    assert _keys(catalog.select(asset_keys=["red", "labels"])) == ["labels", "red"]


def test_collections_own_assets_follow_no_time_and_no_place(catalog):
    assert "table" in _keys(catalog.select(datetime=date(2020, 1, 1)))
    assert "table" in _keys(catalog.select(bbox=[0, 0, 1, 1]))


def test_a_day_takes_single_times_and_overlapping_ranges(catalog):
    noon = datetime(2020, 1, 5, 12, tzinfo=UTC)
    assert _ids(catalog.select(datetime=noon)) == ["day4", "month"]
    assert _ids(catalog.select(datetime=noon.replace(tzinfo=None))) == ["day4", "month"]


def test_an_open_range_takes_both_its_ends(catalog):
    chosen = catalog.select(datetime=(None, "2020-01-02T00:00:00Z"))
    assert _ids(chosen) == ["day0", "day1"]
    assert _ids(catalog.select(datetime="2020-02-03T00:00:00Z/..")) == ["month"]


def test_intersects_tests_the_geometry_and_bbox_the_box(archive, farms, item):
    corner = item("corner", geometry=TRIANGLE, bbox=[0, 0, 10, 10])
    catalog = read_catalog(archive(farms([corner])))
    far = {"type": "Point", "coordinates": [9, 9]}
    assert len(catalog.select(bbox=[8, 8, 9, 9]).items) == 1
    with pytest.raises(EmptySelectionError, match="intersects"):
        catalog.select(intersects=far)
    assert len(catalog.select(intersects={"type": "Point", "coordinates": [1, 1]}).items) == 1


@pytest.mark.parametrize(
    "area",
    [
        SQUARE,
        {"type": "Feature", "geometry": SQUARE, "properties": {}},
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": SQUARE}]},
        {"type": "GeometryCollection", "geometries": [SQUARE]},
        shapely.box(0, 0, 10, 10),
    ],
)
def test_an_area_may_come_in_every_form_of_geojson(catalog, area):
    assert len(catalog.select(intersects=area).items) == 10


def test_an_item_across_the_antimeridian_is_found_from_both_sides(archive, farms, item):
    wide = item("wide", bbox=[175, -5, -175, 5], geometry=None)
    catalog = read_catalog(archive(farms([wide, item("far", point=(0, 0))])))
    for box in ([176, 0, 177, 1], [-177, 0, -176, 1], [170, 0, -170, 1], [-180, -1, 0, -0.5]):
        assert _ids(catalog.select(bbox=box)) == ["wide"]
    point = {"type": "Point", "coordinates": [-179, 0]}
    assert _ids(catalog.select(intersects=point)) == ["wide"]
    with pytest.raises(EmptySelectionError):
        catalog.select(bbox=[100, 0, 120, 1])


def _square(west, east):
    return shapely.box(west, -1, east, 1)


@pytest.mark.parametrize(
    ("west", "east", "found"),
    [
        (170, 190, ["across", "beyond", "east", "west"]),
        (-190, -170, ["across", "beyond", "east", "west"]),
        (183, 187, ["beyond", "west"]),
        (-177, -173, ["beyond", "west"]),
        (-187, -183, ["east"]),
        (355, 360, ["zero"]),
        (-360, 360, ["across", "beyond", "east", "west", "zero"]),
    ],
)
def test_degrees_beyond_180_mean_the_same_place(archive, farms, item, west, east, found):
    def box(name, west, east, geometry=None):
        shape = geometry and shapely.geometry.mapping(geometry)
        return item(name, bbox=[west, -1, east, 1], geometry=shape)

    items = [
        box("across", 179, -179),
        box("beyond", 184, 186, _square(184, 186)),
        box("east", 174, 176, _square(174, 176)),
        box("west", -176, -174),
        box("zero", -1, 1, _square(-1, 1)),
    ]
    catalog = read_catalog(archive(farms(items)))
    assert sorted(_ids(catalog.select(bbox=[west, -1, east, 1]))) == found
    assert sorted(_ids(catalog.select(intersects=_square(west, east)))) == found
    area = shapely.geometry.mapping(_square(west, east))
    assert sorted(_ids(catalog.select(intersects=area, match="bbox"))) == found


_turned = st.tuples(st.integers(-179, 178), st.integers(1, 170), st.sampled_from([-360, 0, 360]))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(_turned, min_size=1, max_size=10), _turned)
def test_whole_turns_make_no_difference(archive, farms, item, boxes, wanted):
    def ends(first, wide, turn, shift):
        west = first + shift + turn
        east = west + wide
        # The box that is wanted lies within 360 degrees to either side.
        return (west, east) if shift or max(abs(west), abs(east)) <= 360 else (first, first + wide)

    places = [ends(first, wide, turn, 0.25) for first, wide, turn in boxes]
    items = [item(f"i{n}", bbox=[w, 0, e, 1], geometry=None) for n, (w, e) in enumerate(places)]
    catalog = read_catalog(archive(farms(items)))
    begin, wide, turn = wanted
    first, last = ends(begin, wide, turn, 0.0)
    expected = [
        f"i{n}"
        for n, (west, east) in enumerate(places)
        if any(west + turn <= last and first <= east + turn for turn in range(-1080, 1081, 360))
    ]
    for filters in ({"bbox": [first, 0, last, 1]}, {"intersects": shapely.box(first, 0, last, 1)}):
        try:
            assert _ids(catalog.select(**filters)) == expected
        except EmptySelectionError:
            assert expected == []


def test_heights_count_where_both_have_them(archive, farms, item):
    high = item("high", bbox=[0, 0, 100, 1, 1, 200])
    catalog = read_catalog(archive(farms([high])))
    assert len(catalog.select(bbox=[0, 0, 150, 1, 1, 300]).items) == 1
    assert len(catalog.select(bbox=[0, 0, 1, 1]).items) == 1
    with pytest.raises(EmptySelectionError):
        catalog.select(bbox=[0, 0, 300, 1, 1, 400])


def test_an_item_without_a_box_has_its_geometrys(archive, farms, item):
    catalog = read_catalog(archive(farms([item("one", bbox=None, geometry=SQUARE)])))
    assert len(catalog.select(bbox=[9, 9, 20, 20]).items) == 1


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"datetime": "2030-01-01"}, ["datetime", "2020-01-01", "2020-02-03"]),
        ({"bbox": [50, 50, 60, 60]}, ["bbox", "[0.0, 0.0, 10.0, 20.0]"]),
        ({"intersects": {"type": "Point", "coordinates": [50, 50]}}, ["intersects"]),
        ({"collection_filter": {"marks": []}, "datetime": "2020-01-01"}, ["datetime"]),
        ({"datetime": "2020-01-01", "asset_keys": ["labels"]}, ["keys"]),
    ],
)
def test_zero_matches_say_which_filter_left_nothing(catalog, filters, words):
    with pytest.raises(EmptySelectionError) as caught:
        catalog.select(**filters)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"collection_filter": {"field": []}}, ["'field'", "'fields', 'marks'"]),
        ({"collection_filter": {"fields": ["labels"]}}, ["'labels'", "'nir', 'red', 'table'"]),
        ({"collection_filter": ["fields"]}, ["dict"]),
        ({"collection_filter": {"fields": "red"}}, ["list"]),
        ({"asset_keys": ["blue"]}, ["'blue'", "'red'"]),
        ({"bbox": [0, 0, 1, 1], "intersects": SQUARE}, ["bbox or intersects"]),
        ({"bbox": [0, 0, 1]}, ["4 or 6"]),
        ({"bbox": [0, 5, 1, 1]}, ["south"]),
        ({"bbox": "0,0,1,1"}, ["4 or 6"]),
        ({"bbox": [0, 0, float("nan"), 1]}, ["4 or 6"]),
        ({"bbox": [True] * 4}, ["4 or 6"]),
        ({"bbox": np.ones(4, bool)}, ["4 or 6"]),
        ({"bbox": [369.7, 45.2, 369.8, 45.3]}, [DEGREES, "longitudes go to 360"]),
        ({"collection_filter": []}, ["dict"]),
        ({"collection_filter": {"fields": np.array("red")}}, ["list"]),
        ({"intersects": {"type": "Polygon"}}, ["GeoJSON"]),
        ({"intersects": {"type": "FeatureCollection", "features": []}}, ["GeoJSON"]),
        ({"intersects": "POINT (1 1)"}, ["GeoJSON"]),
        ({"datetime": "soon"}, ["'soon'"]),
        ({"bbox": [500000, 4600000, 510000, 4700000]}, [DEGREES]),
        ({"bbox": [0, -91, 1, 1]}, [DEGREES]),
        ({"intersects": {"type": "Point", "coordinates": [500000, 4600000]}}, [DEGREES]),
        ({"intersects": shapely.Point(0, 1000)}, [DEGREES]),
        ({"intersects": SQUARE | {"crs": _crs("urn:ogc:def:crs:EPSG::32633")}}, [DEGREES, "32633"]),
        ({"intersects": {"type": "FeatureCollection", "features": [5]}}, ["GeoJSON"]),
    ],
)
def test_filters_that_make_no_sense_say_what_is_there(catalog, filters, words):
    with pytest.raises(UsageError) as caught:
        catalog.select(**filters)
    assert not isinstance(caught.value, EmptySelectionError)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_names_may_come_as_an_array(catalog):
    every = catalog.select(collection_filter={"fields": np.array([])})
    assert every.assets.tolist() == catalog.select(collection_filter={"fields": []}).assets.tolist()
    red = catalog.select(
        collection_filter={"fields": np.array(["red"])}, asset_keys=np.array(["red"])
    )
    assert red.assets.tolist() == catalog.select(asset_keys=["red"]).assets.tolist()


@pytest.mark.parametrize(
    "filters",
    [
        {"collection_filter": []},
        {"collection_filter": "x"},
        {"collection_filter": {"c": "image"}},
        {"where": 5},
        {"asset_keys": "red"},
        {"roles": "data"},
        {"media_types": "*"},
    ],
)
def test_filters_are_checked_before_there_is_a_catalog(filters):
    with pytest.raises(UsageError, match=next(iter(filters)).partition("_")[0]):
        Filters(**filters).check()


@pytest.mark.parametrize(
    "name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"]
)
def test_an_area_that_says_it_is_in_degrees_is_taken(catalog, name):
    plain = catalog.select(intersects=SQUARE)
    for crs in (_crs(name), None):
        assert len(catalog.select(intersects=SQUARE | {"crs": crs}).items) == len(plain.items)


_side = st.integers(-180, 180).map(float)
_height = st.integers(-90, 90).map(float)
_boxes = st.tuples(_side, _height, _side, _height).map(
    lambda b: [b[0], min(b[1], b[3]), b[2], max(b[1], b[3])]
)


def _parts(box):
    west, south, east, north = box
    if west <= east:
        return [shapely.box(west, south, east, north)]
    return [shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(_boxes, min_size=1, max_size=20), _boxes)
def test_boxes_overlap_where_their_shapes_do(archive, farms, item, boxes, wanted):
    items = [item(f"i{n}", bbox=box, geometry=None) for n, box in enumerate(boxes)]
    catalog = read_catalog(archive(farms(items)))
    expected = [
        f"i{n}"
        for n, box in enumerate(boxes)
        if any(a.intersects(b) for a in _parts(box) for b in _parts(wanted))
    ]
    try:
        assert _ids(catalog.select(bbox=wanted)) == expected
    except EmptySelectionError:
        assert expected == []


_number = st.none() | st.floats(-180, 180) | st.integers(-180, 180)
_bbox = st.none() | st.lists(_number, min_size=4, max_size=4) | st.lists(_number, max_size=7)
_geometry = st.sampled_from([b"null", b"", msgspec.json.encode(SQUARE), b'{"type": "Point"}'])


@given(st.lists(st.tuples(_bbox, _geometry), max_size=6))
def test_many_boxes_are_read_as_each_is(told):
    found = read_boxes([bbox for bbox, _ in told], [geometry for _, geometry in told])
    expected = np.array([read_box(*each) for each in told]).reshape(-1, 6)
    np.testing.assert_array_equal(found, expected)
