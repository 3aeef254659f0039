"""Every asset knows its item and its collection, and its size where the catalog says it."""

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.catalog import mapped
from haversack.catalog.filters import _Left
from haversack.catalog.stac import decode
from haversack.catalog.table import NO_ITEM, UNKNOWN_SIZE, Table

ASSETS = st.lists(st.none() | st.integers(-1, 1 << 64), max_size=4)


def document(kind, name, sizes, **fields):
    assets = {f"a{n}": {"href": f"./{n}", "file:size": size} for n, size in enumerate(sizes)}
    told = {"type": kind, "stac_version": "1.0.0", "id": name, "assets": assets} | fields
    return decode(msgspec.json.encode(told), name)


@settings(suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from("abc"), ASSETS)),
    st.dictionaries(st.sampled_from("abcd"), ASSETS),
)
def test_assets_belong_to_their_items_and_collections(items, collections):
    table = Table()
    for name, sizes in collections.items():
        table.add_collection(document("Collection", name, sizes), name)
    for n, (collection, sizes) in enumerate(items):
        table.add_item(document("Feature", f"i{n}", sizes, collection=collection), "", None, 9)
    rows = table.finish()
    names = [row.id for row in rows]
    expected = [(n, name, size) for n, (name, sizes) in enumerate(items) for size in sizes]
    expected += [(NO_ITEM, name, size) for name in names for size in collections.get(name, ())]

    assets = table.assets
    assert len(assets) == len(assets.item) == len(assets.collection) == len(expected)
    assert assets.item.tolist() == [item for item, _, _ in expected]
    assert [names[code] for code in assets.collection] == [name for _, name, _ in expected]
    assert assets.size.tolist() == [
        UNKNOWN_SIZE if size is None or not 0 <= size < 1 << 63 else size for *_, size in expected
    ]
    for n, (_, sizes) in enumerate(items):
        assert [assets.item[row] for row in table.items.assets_of(n)] == [n] * len(sizes)
    assert table.items.asset_counts.tolist() == [len(sizes) for _, sizes in items]
    assert {assets.item.dtype, assets.collection.dtype} == {np.dtype(np.int32)}


@settings(suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=20), st.integers(0, 3), st.data()
)
def test_chosen_assets_are_those_of_chosen_items_and_of_collections(items, own, data):
    table = Table()
    table.add_collection(document("Collection", "a", [None] * own), "a")
    for n, (_, count) in enumerate(items):
        table.add_item(document("Feature", f"i{n}", [None] * count, collection="a"), "", None, 9)
    table.finish()
    catalog: Any = SimpleNamespace(items=table.items, assets=table.assets)
    left = _Left(catalog)
    left.items &= np.array([chosen for chosen, _ in items], bool)
    of_assets = table.assets.item.tolist()
    kept = data.draw(st.lists(st.booleans(), min_size=len(of_assets), max_size=len(of_assets)))
    kept = kept if data.draw(st.booleans()) else [True] * len(kept)
    left.assets &= np.array(kept, bool)
    assert left.rows().tolist() == [
        row
        for row, item in enumerate(of_assets)
        if kept[row] and (item == NO_ITEM or items[item][0])
    ]


def test_sizes_cost_nothing_where_the_catalog_says_none():
    table = Table()
    for n in range(100):
        table.add_item(document("Feature", f"i{n}", [None] * 4), "", None, 9)
    table.finish()
    assert table.assets.size.tolist() == [UNKNOWN_SIZE] * 400
    assert table.assets.size.strides == (0,)
    with pytest.raises(ValueError, match="read-only"):
        table.assets.size[0] = 5


@pytest.mark.parametrize("count", [0, 1, 128, 1000])
def test_times_and_boxes_of_many_items_come_back_from_disk(monkeypatch, count):
    monkeypatch.setattr(mapped, "_MOST", 4096)
    table = Table()
    for n in range(count):
        told: dict[str, Any] = {"bbox": [n / 8, -n / 16, n / 8 + 1, 0], "geometry": None}
        told["properties"] = {"datetime": f"2020-01-01T00:{n // 60:02}:{n % 60:02}Z"}
        table.add_item(document("Feature", f"i{n}", [], **told), "", None, 9)
    table.finish()
    items, rows = table.items, np.arange(count)
    flat = np.full(count, np.inf)
    expected = [rows / 8, -rows / 16, -flat, rows / 8 + 1, np.zeros(count), flat]
    np.testing.assert_array_equal(items.bbox, np.array(expected).T)
    assert all(side.flags.c_contiguous for side in items.bbox.T)
    first = np.datetime64("2020-01-01", "us").astype(np.int64)
    np.testing.assert_array_equal(items.t0, first + rows * 1_000_000)
    np.testing.assert_array_equal(items.t1, items.t0)
