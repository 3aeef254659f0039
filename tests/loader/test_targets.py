"""Targets are the values that were given, whatever has happened to the dataset since."""

import numpy as np
import pytest

from haversack.errors import UsageError
from haversack.loader.targets import read_targets
from haversack.packed import PackWriter, open_packed, pack


@pytest.fixture
def lively(tmp_path):
    """Chunks of several types, some records deleted or replaced, and a journal."""
    path, expected = tmp_path / "ds", {}

    def add(writer, number, **metadata):
        writer.put(np.full(2, number), metadata, key=number)
        expected[number] = metadata
        order.append(number) if number not in order else None

    order: list[int] = []
    with PackWriter(path) as writer:
        for n in range(30):
            add(writer, n, label=n % 7, share=n / 3, name=f"n{n}", seen=n % 2 == 0)
    with PackWriter(path) as writer:
        for n in range(30, 50):
            add(writer, n, label=n % 7, share=n, name=f"n{n}", seen=True)
        for n in (3, 4, 31):
            writer.delete(n)
            del expected[n]
            order.remove(n)
    writer = PackWriter(path)
    for n in range(50, 60):
        add(writer, n, label=n % 7, share=0.5, name=f"n{n}", seen=False)
        writer.flush()
    writer.close(seal=False)
    ds = open_packed(path)
    assert ds.keys() == order
    return ds, [expected[n] for n in order]


@pytest.mark.parametrize("name", ["label", "share", "name", "seen"])
def test_a_value_for_each_record_in_its_order(lively, name):
    ds, metadata = lively
    found = read_targets(ds, name)
    assert list(found) == [record[name] for record in metadata]
    assert isinstance(found, list) == (name == "name")
    chosen = [8, 2, 40, 2]
    assert list(read_targets(ds[chosen], name)) == [metadata[n][name] for n in chosen]
    assert list(read_targets(ds[::-3], name)) == [record[name] for record in metadata[::-3]]


def test_a_function_of_the_metadata(lively):
    ds, metadata = lively
    found = read_targets(ds, lambda record: len(record["name"]) * record["label"])
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int64
    assert found.tolist() == [len(m["name"]) * m["label"] for m in metadata]


def test_values_that_are_no_column_are_found_too(tmp_path):
    values = [1, 2.5, True, 10**30]
    ds = pack([(np.zeros(1), {"Label": "a", "label": v, "_x": v}) for v in values], tmp_path / "ds")
    for name in ("label", "_x"):
        found = read_targets(ds, name)
        assert list(found) == values
        assert list(map(type, found)) == list(map(type, values))
    assert read_targets(ds, "Label") == ["a"] * 4


@pytest.mark.parametrize("absent", [{}, {"label": None}])
def test_a_record_without_the_target_is_named(tmp_path, absent):
    items = [(np.zeros(1), {"label": 1} if n != 5 else absent) for n in range(9)]
    ds = pack(items, tmp_path / "ds")
    with pytest.raises(UsageError, match="record 5 has no 'label'"):
        read_targets(ds, "label")
    with pytest.raises(UsageError, match="record 0 has no 'other'"):
        read_targets(ds, "other")
    assert list(read_targets(ds[:5], "label")) == [1] * 5
    with pytest.raises(UsageError, match="record 5 has no target"):
        read_targets(ds, lambda metadata: metadata.get("label"))


def test_an_empty_selection_has_no_targets(tmp_path):
    ds = pack([(np.zeros(1), {"label": 1})], tmp_path / "ds")
    assert len(read_targets(ds[:0], "label")) == 0
