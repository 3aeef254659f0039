"""Metadata keeps its types."""

import math
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.errors import FormatError, UnsupportedError
from haversack.packed.encoding.metadata import dumps, loads

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
)
KEYS = st.text() | st.just("~") | st.integers() | st.dates() | st.tuples(st.integers())
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


def typed(value):
    """A value with all its types, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return (type(value), [typed(item) for item in value])
    if isinstance(value, datetime):
        return (datetime, value.replace(tzinfo=None), value.utcoffset(), str(value.tzinfo))
    return (type(value), repr(value))


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_metadata_comes_back_with_its_types(metadata):
    assert typed(loads(dumps(metadata))) == typed(metadata)


def test_nan_and_its_kin_come_back():
    found = loads(dumps({"a": math.nan, "b": [math.inf, -math.inf, -0.0]}))
    assert math.isnan(found["a"])
    assert repr(found["b"]) == "[inf, -inf, -0.0]"


def test_zoned_datetimes_keep_zone_and_instant_over_a_clock_change():
    zone = ZoneInfo("Europe/Berlin")
    for fold in (0, 1):
        value = datetime(2021, 10, 31, 2, 30, tzinfo=zone, fold=fold)
        found = loads(dumps({"at": value}))["at"]
        assert (found, found.fold, found.tzinfo) == (value, fold, zone)
    fixed = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert loads(dumps({"at": fixed}))["at"] == fixed


def test_the_values_of_numpy_and_pandas_become_pythons():
    metadata = {
        "i": np.int16(3),
        "f": np.float32(0.5),
        "b": np.bool_(True),
        "s": np.str_("x"),
        "t": pd.Timestamp("2020-01-02T03:04:05", tz="UTC"),
        "o": OrderedDict(a=1),
        "d": np.datetime64("2020-01-02"),
    }
    assert loads(dumps(metadata)) == {
        "i": 3,
        "f": 0.5,
        "b": True,
        "s": "x",
        "t": datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        "o": {"a": 1},
        "d": date(2020, 1, 2),
    }


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        np.zeros(3),
        Decimal(1),
        pd.Timestamp("2020-01-01T00:00:00.000000001"),
        pd.Timedelta(1, "ns"),
        np.datetime64("2020-01-01T00:00:00.000000001"),
        time(1, tzinfo=UTC),
        pd.NA,
    ],
)
def test_what_could_not_come_back_is_refused_by_its_place(value):
    with pytest.raises(UnsupportedError, match=r"metadata\['deep'\]\[1\]"):
        dumps({"deep": [0, value]})


@pytest.mark.parametrize(
    "value", [pd.NaT, np.datetime64("NaT", "s"), np.timedelta64("NaT", "s"), pd.Timestamp("NaT")]
)
def test_not_a_time_is_refused_by_its_name(value):
    with pytest.raises(UnsupportedError, match=r"metadata\['at'\] is NaT: use None"):
        dumps({"at": value})


def test_metadata_nested_too_deeply_is_refused():
    deep, itself = {}, []
    for _ in range(100_000):
        deep = {"a": deep}
    itself.append(itself)
    for value in (deep, itself):
        with pytest.raises(UnsupportedError, match="nested too deeply"):
            dumps({"value": value})
    with pytest.raises(FormatError):
        loads('{"a":{"~":"tuple","v":[' * 400 + "]}}" * 400)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{", '{"~":"what","v":1}', '{"~":"date","v":"x"}', '{"a":{"~":1}}']
)
def test_text_that_is_no_metadata_is_a_format_error(text):
    with pytest.raises(FormatError):
        loads(text)


def test_plain_metadata_is_plain_json():
    assert (
        dumps({"a": 1, "b": [1.5, None], "c": {"d": "é"}}) == '{"a":1,"b":[1.5,null],"c":{"d":"é"}}'
    )
