"""Write items as bytes that are the same in every process, to tell whether they are the same again.

Two items that differ have different marks; for one whose values cannot be compared there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from enum import Enum
from functools import partial
from hashlib import blake2b
from types import CodeType, FunctionType, MethodType
from typing import Any
from uuid import UUID

import numpy as np


class NoMarkError(Exception):
    """A value that cannot be compared with that of another process; says of which type."""


def mark(value: Any) -> bytes:
    """Write a value as bytes.

    Raises
    ------
    NoMarkError
        It is of a type whose values cannot be compared.

    Examples
    --------
    >>> mark("a.tif"), mark(("x", 1))
    (b's5:a.tif', b'tuple(s1:xi1;)')
    """
    kind = type(value)
    if kind is str:
        text = value.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(text), text)
    if kind is int:
        return b"i%d;" % value
    try:
        return _mark(value, kind)
    except RecursionError:
        raise NoMarkError("a value that holds itself") from None


def _mark(value: Any, kind: type) -> bytes:
    for types, write in _WRITERS:
        if isinstance(value, types):
            data: bytes = write(value)
            return data if kind in types else _name(kind) + data
    if is_dataclass(value) and not isinstance(value, type):
        held = [getattr(value, field.name) for field in fields(value)]
        return _name(kind) + _items(held)
    raise NoMarkError(f"{kind.__module__}.{kind.__qualname__}")


def _name(kind: type) -> bytes:
    return f"{kind.__module__}.{kind.__qualname__}".encode()


def _items(values: Any) -> bytes:
    return b"(%b)" % b"".join(map(mark, values))


def _text(value: Any) -> bytes:
    text = str(value).encode("utf-8", "surrogatepass")
    return b"%d:%b" % (len(text), text)


def _array(value: Any) -> bytes:
    if value.dtype.hasobject:
        raise NoMarkError("an array of Python objects")
    data = np.asarray(value, order="C")
    content = blake2b(data.tobytes(), digest_size=16)
    described = f"{np.lib.format.dtype_to_descr(data.dtype)!r}{data.shape}"
    return b"array" + _text(described) + content.digest()


def _mapping(value: Mapping[Any, Any]) -> bytes:
    return b"map(%b)" % b"".join(mark(name) + mark(held) for name, held in value.items())


# In this order: a bool is an int, an Enum may be one.
_WRITERS: tuple[tuple[tuple[type, ...], Callable[[Any], bytes]], ...] = (
    ((type(None), bool), lambda value: repr(value).encode()),
    ((Enum,), lambda value: b"enum" + _text(value.name)),
    ((str,), lambda value: b"s" + _text(str(value))),
    ((int,), lambda value: b"i%d;" % int(value)),
    ((float,), lambda value: b"f" + value.hex().encode() + b";"),
    ((complex,), lambda value: b"c" + _text(complex(value))),
    ((bytes, bytearray), lambda value: b"b%d:%b" % (len(value), value)),
    ((os.PathLike,), lambda value: b"path" + mark(os.fspath(value))),
    ((tuple,), lambda value: b"tuple" + _items(value)),
    ((list,), lambda value: b"list" + _items(value)),
    ((dict,), _mapping),
    ((set, frozenset), lambda value: b"set(%b)" % b"".join(sorted(map(mark, value)))),
    ((date, time), lambda value: b"date" + _text(value.isoformat())),
    ((timedelta, UUID, slice, range), lambda value: _name(type(value)) + _text(repr(value))),
    ((np.ndarray, np.generic), _array),
)


def mark_callable(function: Any) -> bytes:
    """Write a function by its name, its code and what it was made with, as far as can be told.

    What it calls in turn is not looked at.
    """
    if function is None or isinstance(function, str):
        return mark(function)
    if isinstance(function, partial):
        parts = [*map(_told, function.args), *map(_told, function.keywords.items())]
        return b"partial(%b,%b)" % (mark_callable(function.func), b"".join(parts))
    if isinstance(function, MethodType):
        return b"method(%b%b)" % (mark_callable(function.__func__), _told(function.__self__))
    if isinstance(function, FunctionType):
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        made = [*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        return _text(function.__qualname__) + _code(function.__code__) + b"".join(map(_told, made))
    named = getattr(function, "__qualname__", None)
    return _text(named) if named else _told(function)


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _told(value: Any) -> bytes:
    if callable(value) and not isinstance(value, type) and hasattr(value, "__qualname__"):
        return mark_callable(value)
    try:
        return mark(value)
    except NoMarkError:
        return _name(type(value))


def _code(code: CodeType) -> bytes:
    constants = [
        _code(held) if isinstance(held, CodeType) else _told(held) for held in code.co_consts
    ]
    return b"code(%b)" % b"".join(
        [mark(code.co_code), *constants, *map(mark, (*code.co_names, *code.co_freevars))]
    )
