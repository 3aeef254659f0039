"""Times mean the same moment however they are written."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.catalog.times import (
    EARLIEST,
    LATEST,
    UNKNOWN,
    microseconds,
    read_span,
    read_time,
    show,
    span_of,
)
from haversack.errors import UsageError

NOON = datetime(2020, 5, 17, 12, tzinfo=UTC)
DAY = (microseconds(NOON) - 12 * 3600 * 10**6, microseconds(NOON) + 12 * 3600 * 10**6 - 1)


@given(st.datetimes())
def test_a_shown_time_reads_back(moment):
    count = microseconds(moment)
    assert read_time(show(count)) == count
    assert (
        datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(microseconds=count)
        == moment
    )


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=5))),
        date(2020, 5, 17),
        "2020-05-17",
        (date(2020, 5, 17), "2020-05-17"),
        "2020-05-17/2020-05-17",
    ],
)
def test_a_day_is_its_whole_utc_day(value):
    assert span_of(value) == DAY


@pytest.mark.parametrize(
    "text", ["2020-05-17T12:00:00Z", "2020-05-17T12:00:00", "2020-05-17T14:00:00+02:00"]
)
def test_a_text_with_a_time_is_that_moment(text):
    assert span_of(text) == (microseconds(NOON), microseconds(NOON))


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ((NOON, None), (microseconds(NOON), LATEST)),
        ((None, NOON), (EARLIEST, microseconds(NOON))),
        ("../2020-05-17T12:00:00Z", (EARLIEST, microseconds(NOON))),
        ("/2020-05-17T12:00:00Z", (EARLIEST, microseconds(NOON))),
        ("2020-05-17T12:00:00Z/..", (microseconds(NOON), LATEST)),
        ([NOON, NOON], (microseconds(NOON), microseconds(NOON))),
    ],
)
def test_ranges_have_open_and_closed_ends(value, span):
    assert span_of(value) == span


@pytest.mark.parametrize(
    "value",
    ["noon", 5, (NOON,), (None, None), "../..", "a/b/c", (NOON, date(2019, 1, 1)), object()],
)
def test_what_means_no_time_is_refused(value):
    with pytest.raises(UsageError):
        span_of(value)


def test_items_with_a_range_have_both_ends():
    first, last = read_span(None, "2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z")
    assert (show(first), show(last)) == ("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z")


@pytest.mark.parametrize("text", [None, "", "yesterday", "2020-13-01T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_unknown(text):
    assert read_span(text, None, None) == (UNKNOWN, UNKNOWN)
