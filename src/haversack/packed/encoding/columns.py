"""Typed columns of metadata: the type that values of one name share, and Arrow arrays of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TYPES: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "text",
    bytes: "bytes",
    date: "date",
    datetime: "datetime",
}
MIXED: Final = "mixed"
_NUMBERS: Final = {"int": "<i8", "double": "<f8"}


def column_type(values: Sequence[Any]) -> str | None:
    """Name the type that all values share (None is of every type): None if there is nothing.

    Examples
    --------
    >>> column_type([1, None, 2.5]), column_type(["a", 1]), column_type([[1], [2, 3]])
    ('double', 'mixed', 'list of int')
    """
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {list}:
        inner = column_type([item for value in values if value is not None for item in value])
        return (
            MIXED
            if inner is None or inner == MIXED or inner.startswith("list")
            else f"list of {inner}"
        )
    if kinds == {int, float}:
        return "double" if all(_exact(value) for value in values) else MIXED
    if len(kinds) != 1:
        return MIXED if kinds else None
    return _refined(TYPES.get(kinds.pop(), MIXED), [v for v in values if v is not None])


def _exact(value: Any) -> bool:
    return type(value) is not int or abs(value) <= 1 << 53


def _refined(name: str, values: Sequence[Any]) -> str:
    if name == "int" and not -(1 << 63) <= min(values) <= max(values) < 1 << 63:
        return MIXED
    if name == "text" and not is_unicode("".join(values)):
        return MIXED
    if name == "datetime":
        zoned = {value.tzinfo is not None for value in values}
        return MIXED if len(zoned) > 1 else "zoned datetime" if zoned.pop() else "datetime"
    return name


def is_unicode(text: str) -> bool:
    """Tell whether text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def arrow_array(values: Sequence[Any], kind: str) -> Any:
    """Make an Arrow array of values of a type that :func:`column_type` names.

    ``pyarrow.array`` loads pandas, which takes longer than to write a small dataset; numbers and
    text are laid out here.
    """
    import pyarrow as pa

    if kind not in {"text", "bool", *_NUMBERS}:
        return pa.array(values, _arrow_type(kind))
    count, valid = len(values), None
    if None in values:
        mask = np.fromiter((value is not None for value in values), bool, count)
        valid = pa.py_buffer(np.packbits(mask, bitorder="little"))
        nothing = "" if kind == "text" else 0
        values = [nothing if value is None else value for value in values]
    if kind == "text":
        offsets, text = _text(values)
        real = pa.string() if offsets.dtype.itemsize == 4 else pa.large_string()
        return pa.Array.from_buffers(
            real, count, [valid, pa.py_buffer(offsets), pa.py_buffer(text)]
        )
    data = np.array(values, _NUMBERS.get(kind, "?"))
    if kind == "bool":
        data = np.packbits(data, bitorder="little")
    return pa.Array.from_buffers(_arrow_type(kind), count, [valid, pa.py_buffer(data)])


def _text(values: Sequence[str]) -> tuple[NDArray[Any], bytes]:
    """Lay out text as Arrow does: where each value ends, and their UTF-8."""
    whole = "".join(values)
    data = whole.encode()
    pieces: Any = values if len(data) == len(whole) else map(str.encode, values)
    lengths = np.fromiter(map(len, pieces), np.int64, len(values))
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return (offsets.astype(np.int32) if len(data) < 1 << 31 else offsets), data


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    if name.startswith("list of "):
        return pa.list_(_arrow_type(name.removeprefix("list of ")))
    return {
        "bool": pa.bool_(),
        "int": pa.int64(),
        "double": pa.float64(),
        "text": pa.string(),
        "bytes": pa.binary(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "zoned datetime": pa.timestamp("us", "UTC"),
    }[name]
