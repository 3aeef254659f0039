"""stac-geoparquet gives every item back as it was, and columns of types where there can be any."""

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.catalog import read_catalog
from haversack.errors import FormatError, PathNotFoundError, UsageError

RED = {"href": "https://a.example/red.tif"}


def _item(name, properties, assets=None, **fields):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "collection": "fields",
        "properties": {"datetime": "2020-05-17T10:00:00Z"} | properties,
        "geometry": {"type": "Point", "coordinates": [10.5, 20]},
        "bbox": [10.5, 20, 10.5, 20],
        "links": [],
        "assets": {"red": dict(RED)} if assets is None else assets,
    } | fields


def _there_and_back(items, folder):
    source = Path(folder) / "items.ndjson"
    source.write_text("\n".join(json.dumps(item) for item in items))
    table = Path(folder) / "items.parquet"
    read_catalog(source).to_geoparquet(table)
    back = read_catalog(table)
    return pq.read_table(table), [back.item(row) for row in range(len(back.items))]


@pytest.mark.parametrize(
    "properties",
    [
        {"id": "another"},
        {"type": 5, "bbox": "b", "collection": "c", "assets": [1], "links": "l", "geometry": {}},
        {"stac_version": "9", "stac_extensions": None, "haversack:rest": "{}"},
        {"alternate": {}, "deep": {"empty": {}, "list": [{}, None]}},
        {"large": 2**63, "larger": -(2**70), "float": 0.1},
        {"created": "not a time", "updated": 5},
        {"created": None, "gsd": None},
        {"updated": "2020-05-17T12:00:00+02:00", "created": "2020-05-17T12:00:00.120Z"},
        {"created": "0001-01-01T00:00:00+05:00", "updated": "9999-12-31T23:59:59-05:00"},
        {"": 1, "a.b": {"": [2]}, "element": [{"list": 1}]},
        {"mixed": [1, "two", None, [3]]},
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_odd_properties_come_back(tmp_path, properties, plain):
    items = [_item("odd", properties)] + [_item("plain", {"gsd": 10})] * plain
    assert _there_and_back(items, tmp_path)[1] == items


def test_true_comes_back_as_true_beside_numbers(tmp_path):
    items = [_item(f"item{n}", {"x": x}) for n, x in enumerate([1.5, True, 1, False, 0])]
    found = _there_and_back(items, tmp_path)[1]
    assert [repr(item["properties"]["x"]) for item in found] == [
        "1.5",
        "True",
        "1.0",
        "False",
        "0.0",
    ]


def test_assets_that_disagree_come_back_and_what_they_agree_in_is_in_columns(tmp_path):
    bands = [RED | {"raster:bands": [{"nodata": none, "unit": "m"}]} for none in (0, "nan")]
    items = [_item("one", {}, {"red": bands[0]}), _item("two", {}, {"red": bands[1]})]
    table, found = _there_and_back(items, tmp_path)
    assert found == items
    assert (
        table["assets"].to_pylist()
        == [
            {"red": RED | {"raster:bands": [{"unit": "m"}]}},
        ]
        * 2
    )


def test_properties_are_columns_of_their_types_and_the_rest_is_kept_apart(tmp_path):
    items = [
        _item("one", {"gsd": 10, "odd": 1, "created": "2020-05-17T12:00:00+02:00"}),
        _item("two", {"gsd": 2.5, "odd": "two", "id": "own"}),
    ]
    table, found = _there_and_back(items, tmp_path)
    assert found == items
    assert table.schema.field("datetime").type == pa.timestamp("us", "UTC")
    assert table["gsd"].to_pylist() == [10, 2.5]
    assert table["id"].to_pylist() == ["one", "two"]
    assert table["created"].to_pylist() == [datetime(2020, 5, 17, 10, tzinfo=UTC), None]
    assert "odd" not in table.column_names
    assert [json.loads(each) for each in table["haversack:rest"].to_pylist()] == [
        {"properties": {"odd": 1, "created": "2020-05-17T12:00:00+02:00"}},
        {"properties": {"odd": "two", "id": "own"}},
    ]


def test_items_that_columns_give_back_have_nothing_apart(tmp_path):
    items = [_item(f"item{n}", {"gsd": n, "s:list": [1, 2], "s:map": {"a": "b"}}) for n in range(3)]
    table, found = _there_and_back(items, tmp_path)
    assert found == items
    assert table["haversack:rest"].to_pylist() == [None] * 3


@pytest.mark.parametrize(
    "fields",
    [
        {"assets": {}},
        {"geometry": None, "bbox": None},
        {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}},
        {"bbox": [1, 2, 3, 4, 5, 6]},
        {"extra:field": {"nested": [1, 2.5, True, None]}, "title": "own"},
        {"stac_extensions": ["https://a.example/x.json"]},
        {"links": [{"rel": "about", "href": "https://a.example/", "body": {}, "title": None}]},
    ],
)
def test_whatever_else_an_item_has_comes_back(tmp_path, fields):
    items = [_item("one", {}, **fields)]
    assert _there_and_back(items, tmp_path)[1] == items


_names = st.sampled_from(
    ["id", "type", "links", "assets", "created", "datetime", "x", "X", "y", "", "a.b", "eo:z"]
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.sampled_from(["2020-05-17T10:00:00Z", "2020-05-17T10:00:00.5+02:00", "2020-05-17"])
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)
_properties = st.dictionaries(_names.filter(lambda name: name != "datetime"), _values, max_size=5)


@given(st.lists(st.tuples(_properties, _properties), min_size=1, max_size=4))
def test_whatever_items_say_comes_back(said):
    items = [
        _item(f"item{n}", properties, {"red": RED | {"said": {"more": more}}, "nir": RED | more})
        for n, (properties, more) in enumerate(said)
        for more in [{f"x:{name}": value for name, value in more.items()}]
    ]
    with TemporaryDirectory() as folder:
        found = _there_and_back(items, folder)[1]
    assert found == items
    # What is equal in Python may still be another thing in JSON.
    assert [_kinds(item) for item in found] == [_kinds(item) for item in items]


def _kinds(value):
    if isinstance(value, dict):
        return {name: _kinds(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_kinds(each) for each in value]
    return isinstance(value, bool)


@pytest.mark.parametrize("rest", ["{", "[]", '{"properties": [1]}', '{"assets": "x"}'])
def test_a_rest_that_is_damaged_is_named(tmp_path, rest):
    table, _ = _there_and_back([_item("one", {})], tmp_path)
    place = table.column_names.index("haversack:rest")
    path = tmp_path / "damaged.parquet"
    pq.write_table(table.set_column(place, "haversack:rest", [[rest]]), path)
    with pytest.raises(FormatError, match="row 0"):
        read_catalog(path)


def test_a_file_that_cannot_be_written_is_told_before_anything_is(tmp_path):
    line = json.dumps(_item("one", {}))
    (tmp_path / "items.ndjson").write_text(line)
    catalog = read_catalog(tmp_path / "items.ndjson")
    with pytest.raises(PathNotFoundError, match="the directory .*no/such does not exist"):
        catalog.to_geoparquet(tmp_path / "no/such/x.parquet")
    with pytest.raises(UsageError, match="a path is a text"):
        catalog.to_geoparquet(None)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["items.ndjson"]
