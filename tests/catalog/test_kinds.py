"""Assets are chosen by role and type, items by their properties, and each filter says its part."""

import pytest

from haversack.catalog import read_catalog
from haversack.errors import EmptySelectionError, UsageError

TRIANGLE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]}
CORNER = {"type": "Point", "coordinates": [9, 9]}  # within the triangle's box alone


@pytest.fixture
def catalog(archive, farms, item):
    def assets(n):
        return {
            "red": {"href": f"./{n}.tif", "type": "image/tiff; application=geotiff",
                    "roles": ["data", "reflectance"]},
            "look": {"href": f"./{n}.png", "type": "image/png", "roles": ["overview"]},
            "notes": {"href": f"./{n}.txt", "type": "text/plain"},
        }  # fmt: skip

    items = [
        item(
            f"item{n}",
            assets=assets(n),
            geometry=TRIANGLE,
            bbox=[0, 0, 10, 10],
            properties={
                "datetime": "2020-05-17T10:00:00Z",
                "eo:cloud_cover": n * 10,
                "platform": "b" if n % 2 else "a",
                "odd": [1] if n else "text",
            },
        )
        for n in range(6)
    ]
    return read_catalog(archive(farms(items)))


def _keys(selection):
    assets = selection.catalog.assets
    return {assets.key[row] for row in selection.assets.tolist()}


def _items(selection):
    return [selection.catalog.items.id[row] for row in selection.items.tolist()]


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({"roles": ["data"]}, {"red"}),
        ({"roles": ["reflectance", "overview"]}, {"red", "look"}),
        ({"media_types": ["image/tiff"]}, {"red"}),
        ({"media_types": ["IMAGE/TIFF; x=y"]}, {"red"}),
        ({"media_types": ["image/*"]}, {"red", "look"}),
        ({"media_types": ["*"]}, {"red", "look", "notes"}),
        ({"media_types": ["image/*"], "roles": ["overview"]}, {"look"}),
    ],
)
def test_roles_and_types_choose_assets(catalog, filters, keys):
    selection = catalog.select(**filters)
    assert _keys(selection) == keys
    assert len(selection.items) == 6


@pytest.mark.parametrize(
    "where",
    [
        '"eo:cloud_cover" <= 20',
        lambda properties: properties["eo:cloud_cover"] <= 20,
        "\"eo:cloud_cover\" / 10 IN (0, 1, 2) AND platform IN ('a', 'b')",
    ],
)
def test_properties_choose_items(catalog, where):
    assert _items(catalog.select(where=where)) == ["item0", "item1", "item2"]


def test_a_predicate_sees_what_the_other_filters_left(catalog):
    seen = []

    def look(properties):
        seen.append(properties["eo:cloud_cover"])
        return True

    catalog.select(where=look, asset_keys=["red"])
    assert seen == [0, 10, 20, 30, 40, 50]
    selection = catalog.select(where="platform = 'a'", media_types=["image/png"])
    assert _items(selection) == ["item0", "item2", "item4"]
    assert selection.steps == (("media type", 6), ("property", 3))


@pytest.mark.parametrize(
    "where", ["cloud < 10", "platform =", "read_text('/etc/hosts') IS NOT NULL", "; DROP TABLE x"]
)
def test_a_predicate_that_is_none_is_refused(catalog, where):
    with pytest.raises(UsageError, match="cannot choose by"):
        catalog.select(where=where)


def test_intersects_may_test_boxes_as_the_old_client_did(catalog):
    assert len(catalog.select(intersects=CORNER, match="bbox").items) == 6
    with pytest.raises(EmptySelectionError, match="intersects"):
        catalog.select(intersects=CORNER)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"roles": ["dat"]}, ["'dat'", "'data', 'overview'"]),
        ({"roles": "data"}, ["list"]),
        ({"media_types": ["image/jpeg"]}, ["image/jpeg", "'image/png', 'image/tiff'"]),
        ({"media_types": "image/*"}, ["list"]),
        ({"media_types": 5}, ["list", "5"]),
        ({"roles": [None]}, ["list", "None"]),
        ({"asset_keys": 5}, ["asset keys", "list"]),
        ({"asset_keys": [b"red"]}, ["asset keys", "list"]),
        ({"collection_filter": {"fields": 5}}, ["asset keys", "list"]),
        ({"where": 5}, ["where"]),
        ({"match": "box"}, ["'geometry' or 'bbox'"]),
    ],
)
def test_what_makes_no_sense_says_what_is_there(catalog, filters, words):
    with pytest.raises(UsageError) as caught:
        catalog.select(**filters)
    assert not isinstance(caught.value, EmptySelectionError)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"asset_keys": ["red"], "roles": ["overview"]}, ["roles ['overview']", "6", "asset key"]),
        ({"roles": ["overview"], "media_types": ["text/plain"]}, ["media_types", "6", "role"]),
        ({"where": "platform = 'c'"}, ["where", "platform = 'c'"]),
    ],
)
def test_the_filter_that_took_the_last_is_named(catalog, filters, words):
    with pytest.raises(EmptySelectionError) as caught:
        catalog.select(**filters)
    assert all(word in str(caught.value) for word in words), str(caught.value)
