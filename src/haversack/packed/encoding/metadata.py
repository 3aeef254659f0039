"""Metadata as canonical JSON that gives every value back as it was.

What JSON lacks is written as ``{"~": tag, "v": value}``; the tags are listed in
``docs/spec/packed-v1.md``. A dict that holds the key ``"~"`` or keys that are not text is itself
written so.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec
import numpy as np

from haversack.errors import FormatError, UnsupportedError

_TAG = "~"
_INT64 = range(-(1 << 63), 1 << 63)
_PLAIN = frozenset({str, bool, type(None)})
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def dumps(metadata: Mapping[Any, Any]) -> str:
    """Write a record's metadata.

    Raises
    ------
    UnsupportedError
        A value of a type that could not be given back, of which the message says where it is;
        or values nested too deeply.

    Examples
    --------
    >>> dumps({"label": "007", "cloud": None})
    '{"label":"007","cloud":null}'
    >>> dumps({"day": date(2020, 1, 2), "nan": float("nan")})
    '{"day":{"~":"date","v":"2020-01-02"},"nan":{"~":"float","v":"nan"}}'
    """
    if not metadata:
        return "{}"
    try:
        return _written(metadata if _is_json(metadata) else _tagged(metadata, "metadata"))
    except RecursionError:
        raise UnsupportedError("metadata is nested too deeply, or holds itself") from None


def _written(tagged: Any) -> str:
    try:
        return _encode(tagged).decode()
    except UnicodeEncodeError:
        # Lone surrogates (bytes of odd file names) survive as JSON escapes.
        return json.dumps(tagged, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def loads(text: str | bytes) -> dict[Any, Any]:
    """Read what :func:`dumps` wrote.

    Examples
    --------
    >>> loads(dumps({"at": (1, 2.0), 3: b"x"}))
    {'at': (1, 2.0), 3: b'x'}
    """
    try:
        value = _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = _decode_slowly(text)
    if '"~"' in text if isinstance(text, str) else b'"~"' in text:
        value = _untagged_whole(value)
    if not isinstance(value, dict):
        raise FormatError(f"metadata is not a JSON object: {text[:100]!r}")
    return value


def _untagged_whole(value: Any) -> Any:
    try:
        return _untagged(value)
    except RecursionError:
        raise FormatError("metadata is nested too deeply to be read") from None


def _decode_slowly(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"metadata is not JSON: {error}") from error


def _is_json(metadata: Mapping[Any, Any]) -> bool:
    """Whether this is flat plain JSON already, as most metadata is."""
    if type(metadata) is not dict:
        return False
    for key, value in metadata.items():
        if type(key) is not str or key == _TAG:
            return False
        kind = type(value)
        if kind in _PLAIN or (kind is float and math.isfinite(value)):
            continue
        if kind is not int or not -(1 << 63) <= value < 1 << 63:
            return False
    return True


def _tagged(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = _scalar(value, where)
    kind = type(value)
    if kind in _PLAIN:
        return value
    for types, write in _WRITERS:
        if isinstance(value, types):
            return write(value, where)
    raise UnsupportedError(
        f"{where} is a {kind.__module__}.{kind.__qualname__}, which metadata cannot keep: "
        "use numbers, text, dates, bytes, and lists, tuples and dicts of them"
    )


def _scalar(value: np.generic, where: str) -> Any:
    plain = value.item()
    if plain is None:
        raise UnsupportedError(f"{where} is NaT: use None")
    if isinstance(plain, np.generic | int) and isinstance(value, np.datetime64 | np.timedelta64):
        raise UnsupportedError(
            f"{where} is a {value.dtype}, finer than a Python datetime: convert it "
            "to microseconds, or keep it as text or an integer"
        )
    return plain


def _write_int(value: int, where: str) -> Any:  # noqa: ARG001
    plain = int(value)
    return plain if plain in _INT64 else _tag("int", str(plain))


def _write_float(value: float, where: str) -> Any:  # noqa: ARG001
    return float(value) if math.isfinite(value) else _tag("float", repr(float(value)))


def _write_complex(value: complex, where: str) -> Any:  # noqa: ARG001
    return _tag("complex", [repr(value.real), repr(value.imag)])


def _write_datetime(value: datetime, where: str) -> Any:
    if value != value:  # pandas' NaT
        raise UnsupportedError(f"{where} is NaT: use None")
    if getattr(value, "nanosecond", 0):
        raise UnsupportedError(f"{where} has nanoseconds: a datetime keeps microseconds")
    text = datetime.isoformat(value.to_pydatetime() if hasattr(value, "to_pydatetime") else value)
    zone = getattr(value.tzinfo, "key", None)
    return _tag("datetime", [text, zone, value.fold] if zone or value.fold else text)


def _write_time(value: time, where: str) -> Any:
    if value.tzinfo is not None:
        raise UnsupportedError(f"{where} is a time with a zone but no date: use a datetime")
    return _tag("time", [value.isoformat(), value.fold] if value.fold else value.isoformat())


def _write_timedelta(value: timedelta, where: str) -> Any:
    if getattr(value, "nanoseconds", 0):
        raise UnsupportedError(f"{where} has nanoseconds: a timedelta keeps microseconds")
    return _tag("timedelta", [value.days, value.seconds, value.microseconds])


def _write_dict(value: Mapping[Any, Any], where: str) -> Any:
    if all(type(key) is str and key != _TAG for key in value):
        return {key: _tagged(item, f"{where}[{key!r}]") for key, item in value.items()}
    pairs = [
        [_tagged(key, f"a key of {where}"), _tagged(item, f"{where}[{key!r}]")]
        for key, item in value.items()
    ]
    return _tag("dict", pairs)


def _write_items(value: Any, where: str) -> list[Any]:
    return [_tagged(item, f"{where}[{number}]") for number, item in enumerate(value)]


def _tag(name: str, value: Any) -> dict[str, Any]:
    return {_TAG: name, "v": value}


# In this order: a bool is an int, a datetime is a date.
_WRITERS: tuple[tuple[Any, Any], ...] = (
    (str, lambda value, _: str(value)),
    (int, _write_int),
    (float, _write_float),
    (complex, _write_complex),
    (Mapping, _write_dict),
    (list, _write_items),
    (tuple, lambda value, where: _tag("tuple", _write_items(value, where))),
    (bytes, lambda value, _: _tag("bytes", base64.b64encode(value).decode())),
    (datetime, _write_datetime),
    (date, lambda value, _: _tag("date", value.isoformat())),
    (time, _write_time),
    (timedelta, _write_timedelta),
)


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _untagged(item) for key, item in value.items()}
    try:
        return _READERS[value[_TAG]](value["v"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"metadata holds an unknown value: {str(value)[:100]}") from error


def _read_datetime(value: Any) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    from zoneinfo import ZoneInfo

    text, zone, fold = value
    found = datetime.fromisoformat(text)
    # The zone's own rules place the wall clock; fold tells the two hours of a clock change apart.
    return found.replace(tzinfo=ZoneInfo(zone) if zone else found.tzinfo, fold=fold)


def _read_time(value: Any) -> time:
    text, fold = (value, 0) if isinstance(value, str) else value
    return time.fromisoformat(text).replace(fold=fold)


_READERS: dict[str, Any] = {
    "int": int,
    "float": float,
    "complex": lambda value: complex(float(value[0]), float(value[1])),
    "tuple": lambda value: tuple(_untagged(item) for item in value),
    "bytes": lambda value: base64.b64decode(value, validate=True),
    "datetime": _read_datetime,
    "date": date.fromisoformat,
    "time": _read_time,
    "timedelta": lambda value: timedelta(*value),
    "dict": lambda value: {_untagged(key): _untagged(item) for key, item in value},
}
