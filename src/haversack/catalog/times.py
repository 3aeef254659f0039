"""Moments as whole microseconds since 1970 in UTC, and the spans that datetime filters mean."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from haversack.errors import UsageError

EARLIEST, LATEST = -(1 << 63) + 1, (1 << 63) - 1
UNKNOWN = -(1 << 63)  # numpy's NaT
# The range of an item whose time nobody knows: STAC wants one where there is no moment.
ALL_TIME = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000
_DATE_LENGTH = len("2020-05-17")

Moment = datetime | date | str
Span = tuple[int, int]


def microseconds(moment: datetime) -> int:
    """Count from 1970; a naive time is UTC.

    Examples
    --------
    >>> microseconds(datetime(1970, 1, 2))
    86400000000
    """
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def read_time(text: str | None) -> int:
    """Read a time as a catalog writes it; one that cannot be read is ``UNKNOWN``."""
    if text is None:
        return UNKNOWN
    try:
        return microseconds(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return UNKNOWN


def read_span(single: str | None, start: str | None, end: str | None) -> Span:
    """Read an item's times: its range where it has one, else its moment.

    A range of all time says nothing.
    """
    if (start is None and end is None) or (start, end) == ALL_TIME:
        moment = read_time(single)
        return moment, moment
    moment, first, last = read_time(single), read_time(start), read_time(end)
    first = moment if first == UNKNOWN else first
    last = moment if last == UNKNOWN else last
    return (first, last) if UNKNOWN not in (first, last) else (max(first, last),) * 2


def with_time(properties: dict[str, Any]) -> dict[str, Any]:
    """Add the range that STAC wants of an item without a moment: all time where nothing is known.

    Examples
    --------
    >>> with_time({"gsd": 10})["end_datetime"]
    '9999-12-31T23:59:59Z'
    >>> with_time({"datetime": "2020-05-17T10:00:00Z"})
    {'datetime': '2020-05-17T10:00:00Z'}
    """
    if properties.get("datetime") is not None:
        return properties
    start, end = properties.get("start_datetime"), properties.get("end_datetime")
    first, last = start or end or ALL_TIME[0], end or start or ALL_TIME[1]
    return properties | {"datetime": None, "start_datetime": first, "end_datetime": last}


def show(moment: int) -> str | None:
    """Write a moment as RFC 3339, or None where it is unknown.

    Examples
    --------
    >>> show(86_400_000_000)
    '1970-01-02T00:00:00Z'
    """
    if moment in (UNKNOWN, EARLIEST, LATEST):
        return None
    return (_EPOCH + moment * _MICROSECOND).isoformat().replace("+00:00", "Z")


def span_of(value: Any) -> Span:
    """Turn a ``datetime`` filter into the first and last moment that it means.

    A ``datetime`` object, a ``date`` and a text without a time mean that whole UTC day; a text
    with a time means that moment; a pair, or a text with a slash, is a range with both ends in it,
    where ``None`` or ``..`` leaves an end open.

    Examples
    --------
    >>> first, last = span_of(date(2020, 5, 17))
    >>> show(first), show(last)
    ('2020-05-17T00:00:00Z', '2020-05-17T23:59:59.999999Z')
    >>> span_of("../2020-05-17T12:00:00Z")[0] == EARLIEST
    True
    """
    if isinstance(value, str) and "/" in value:
        value = tuple(None if part in {"", ".."} else part for part in value.split("/"))
    if isinstance(value, datetime):
        begin = microseconds(value)
        begin -= begin % _DAY
        return begin, begin + _DAY - 1
    if isinstance(value, tuple | list):
        return _range(value)
    return _moment(value)


def _range(ends: tuple[Any, ...] | list[Any]) -> Span:
    if len(ends) != 2 or all(end is None for end in ends):
        raise UsageError(f"a datetime range is (start, end), at least one of them given: {ends!r}")
    first = EARLIEST if ends[0] is None else _moment(ends[0])[0]
    last = LATEST if ends[1] is None else _moment(ends[1])[1]
    if first > last:
        raise UsageError(f"the datetime range {show(first)} to {show(last)} ends before it starts")
    return first, last


def _moment(value: Any) -> Span:
    """Give what one end of a range, or a text, means: a moment, or a day."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(
                f"{value!r} is no datetime: give 2020-05-17, 2020-05-17T10:00:00Z or a range "
                "such as 2020-05-01/2020-06-01"
            ) from None
        value = parsed.date() if len(value) <= _DATE_LENGTH else parsed
    if isinstance(value, datetime):
        return (microseconds(value),) * 2
    if isinstance(value, date):
        begin = microseconds(datetime.combine(value, time(), UTC))
        return begin, begin + _DAY - 1
    raise UsageError(f"a datetime filter takes datetimes, dates and texts, not {value!r}")
