"""An index into an array, written as text."""

from __future__ import annotations

import re
from typing import Any

from haversack.cli.console import MOST_DIGITS
from haversack.errors import UsageError

_NUMBER = rf"\s*[+-]?[0-9]{{1,{MOST_DIGITS}}}\s*"
_SLICE = re.compile(rf"({_NUMBER}|\s*)(?::({_NUMBER}|\s*)(?::({_NUMBER}|\s*))?)?")
_LIST = re.compile(rf"\s*\[({_NUMBER}(?:,{_NUMBER})*)(?:,\s*)?\]\s*")
_COMMA = re.compile(r",(?![^\[]*\])")  # of none inside of a list


def parse_index(text: str) -> tuple[Any, ...]:
    """Read integers, slices, lists of integers and an Ellipsis as they stand in numpy's brackets.

    Raises
    ------
    UsageError
        It is something else, or there is nothing before a comma, or between two.

    Examples
    --------
    >>> parse_index("5, ::-2, ..., 1:, [3, 1]")
    (5, slice(None, None, -2), Ellipsis, slice(1, None, None), [3, 1])
    """
    items = _COMMA.split(text)
    if len(items) > 1 and not items[-1].strip():  # numpy takes a comma at the end
        items.pop()
    return tuple(_item(item, text) for item in items)


def _item(item: str, text: str) -> Any:
    if item.strip() == "...":
        return Ellipsis
    if listed := _LIST.fullmatch(item):
        return [int(number) for number in listed[1].split(",")]
    match = _SLICE.fullmatch(item)
    if match is None or not item.strip():
        raise UsageError(
            f"{text!r} is no index: write it as 5, 10:20, ::2, [3, 1] or ..., with commas"
        )
    parts = [int(part) if part and part.strip() else None for part in match.groups()]
    if ":" not in item:
        return parts[0]
    if parts[2] == 0:
        raise UsageError(f"{text!r} has a step of 0")
    return slice(*parts)
