"""Columns give back what was put in, wherever it waits: in a list, in memory or on disk."""

from array import array

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.catalog import columns, mapped
from haversack.catalog.columns import BytesColumn, CodedColumn, KindColumn, TextColumn
from haversack.catalog.mapped import MappedColumn

ONE_OR_MORE = st.lists(st.binary(max_size=40) | st.lists(st.binary(max_size=40), max_size=5))


@pytest.fixture
def small(monkeypatch):
    """Make every limit so small that a few values pass it."""
    monkeypatch.setattr(columns, "_AT_ONCE", 3)
    monkeypatch.setattr(columns, "_MOST", 100)
    monkeypatch.setattr(columns, "_NARROW", "B")
    monkeypatch.setattr(columns, "_FEW", 1 << 8)


@settings(suppress_health_check=list(HealthCheck))
@given(ONE_OR_MORE)
def test_bytes_come_back_from_wherever_they_wait(small, added):
    column, oracle = BytesColumn(), []
    for one in added:
        if isinstance(one, bytes):
            column.append(one)
            oracle.append(one)
        else:
            column.extend(one)
            oracle += one
        assert (len(column), column[len(oracle) - 1] if oracle else b"") == (
            len(oracle),
            oracle[-1] if oracle else b"",
        )
    assert [column[row] for row in range(len(column))] == oracle
    for row in (len(oracle), len(oracle) + 7, -1):
        with pytest.raises(IndexError):
            column[row]


def test_more_bytes_than_the_narrow_ends_hold_are_found(small):
    column = BytesColumn()
    values = [bytes([n]) * 50 for n in range(60)]
    for value in values:
        column.append(value)
    assert list(column) == values
    assert column._ends.typecode == "q"


def test_few_long_values_do_not_wait_in_memory(monkeypatch):
    monkeypatch.setattr(columns, "_MOST", 1000)
    column = BytesColumn()
    for _ in range(5):
        column.append(b"x" * 999)
        column.extend([b"y" * 600, b"z" * 600])
        assert sum(map(len, column._fresh)) + len(column._bytes) < 2000


def test_texts_of_every_language_come_back():
    column = TextColumn()
    column.extend(["größer"])
    column.extend(["小麦", "", "wheat"])
    column.extend(["plain", "text"])
    assert list(column) == ["größer", "小麦", "", "wheat", "plain", "text"]


@given(st.lists(st.integers(0, 19)), st.sets(st.integers(0, 4)), st.integers(1, 20))
def test_kinds_are_chosen_as_their_values_are(of_rows, chosen, few):
    values = [f"value {kind % 5}" for kind in range(20)]
    column = KindColumn(array("i", of_rows))
    for value in values:
        column.add_kind(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_FEW_KINDS", few)
        mask = column.mask([number in chosen for number in range(len(column.values))])
    wanted = {column.values[number] for number in chosen}
    assert mask.tolist() == [values[kind] in wanted for kind in of_rows]
    assert column.among(mask) == {values[kind] for kind in of_rows} & wanted
    assert [column.values[code] for code in column.codes] == list(column)


def test_codes_are_numbered_as_they_come():
    column: CodedColumn[str] = CodedColumn()
    for value in "abacb":
        column.append(value)
    assert (column.values, column.codes.tolist()) == (["a", "b", "c"], [0, 1, 0, 2, 1])
    assert (column.find("c"), column.find("z")) == (2, None)
    assert column.codes.dtype == np.int32


@settings(suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(st.floats(), max_size=5), max_size=9))
def test_numbers_come_back_from_memory_and_from_disk(monkeypatch, added):
    monkeypatch.setattr(mapped, "_MOST", 64)
    column = MappedColumn(np.float64)
    for values in added:
        column.extend(np.array(values, np.float64))
    np.testing.assert_array_equal(column.array(), [value for values in added for value in values])
