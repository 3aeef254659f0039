"""What typed columns do not give back of an item, kept as JSON beside them.

Names that columns have already, values of other types than their column's, null, empty objects, and
times written in another way than a column's.
"""

from __future__ import annotations

from typing import Any

import msgspec

REST = "haversack:rest"
_SECTIONS = ("properties", "assets")
_encode = msgspec.json.Encoder(order="deterministic").encode
_nothing = object()


def rest_of(item: dict[str, Any], back: dict[str, Any]) -> str | None:
    """Say what of an item is not the same in what the columns give back; None where nothing is.

    What they add is no difference.

    Examples
    --------
    >>> item = {"id": "a", "properties": {"id": 5, "gsd": 10}, "assets": {}}
    >>> rest_of(item, {"id": "a", "properties": {"gsd": 10.0}, "assets": {}})
    '{"properties":{"id":5}}'
    """
    found = _differing({k: v for k, v in item.items() if k not in _SECTIONS}, back)
    for name in _SECTIONS:
        differing = _differing(item.get(name) or {}, back[name])
        found |= {name: differing} if differing else {}
    return _encode(found).decode() if found else None


def with_rest(back: dict[str, Any], rest: str | None) -> dict[str, Any]:
    """Put an item together again.

    Examples
    --------
    >>> with_rest({"id": "a", "properties": {}, "assets": {}}, '{"properties": {"id": 5}}')
    {'id': 'a', 'properties': {'id': 5}, 'assets': {}}
    """
    if rest is None:
        return back
    found = msgspec.json.decode(rest, type=dict[str, Any])
    sections = {name: back[name] | (found.get(name) or {}) for name in _SECTIONS}
    return back | found | sections


def _differing(wanted: dict[str, Any], back: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in wanted.items() if not _same(value, back.get(name, _nothing))
    }


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same in JSON, where 1 is 1.0 and true is no number."""
    if one is other:
        return True
    if other is _nothing:
        return False
    try:
        return _encode(one) == _encode(other) or _equal(one, other)
    except RecursionError:
        return False


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
