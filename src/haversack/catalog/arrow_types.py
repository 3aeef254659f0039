"""Find an Arrow type that holds JSON values, or as much of them as one type can hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# A type while values are still being looked at: of structs and lists, those of what they hold.
Tree = Any
_MIXED = object()  # no one type holds the values


def find_type(values: Sequence[Any]) -> Tree:
    """Find the type of some values; :func:`merge` joins those of several lots."""
    import pyarrow as pa

    try:
        return _tree(pa.array(values).type)
    except (pa.ArrowException, OverflowError):
        pass  # they are mixed somewhere: look for where
    except RecursionError:
        return _MIXED
    try:
        return reduce(merge, map(_of_value, values), pa.null())
    except RecursionError:
        return _MIXED


def merge(one: Tree, other: Tree) -> Tree:
    """Find the type that holds what two types hold."""
    import pyarrow as pa

    if one == pa.null() or one == other:
        return other
    if other == pa.null():
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        names = dict.fromkeys((*one, *other))
        return {name: merge(one.get(name, pa.null()), other.get(name, pa.null())) for name in names}
    if isinstance(one, list) and isinstance(other, list):
        return [merge(one[0], other[0])]
    numbers = pa.int64(), pa.float64()
    return pa.float64() if one in numbers and other in numbers else _MIXED


def as_arrow(tree: Tree) -> pa.DataType | None:
    """Give the type; of a struct it leaves out the fields that have none. None is no type."""
    import pyarrow as pa

    if tree is _MIXED:
        return None
    if isinstance(tree, dict):
        found = ((name, as_arrow(each)) for name, each in tree.items())
        fields = [(name, each) for name, each in found if each is not None]
        return pa.struct(fields) if fields else None  # Parquet has no struct without a field
    if isinstance(tree, list):
        inner = as_arrow(tree[0])
        return None if inner is None else pa.list_(inner)
    return tree


def _tree(found: pa.DataType) -> Tree:
    import pyarrow as pa

    if pa.types.is_struct(found):
        return {field.name: _tree(field.type) for field in found}
    return [_tree(found.value_type)] if pa.types.is_list(found) else found


def _of_value(value: Any) -> Tree:
    import pyarrow as pa

    if isinstance(value, dict):
        return {name: _of_value(each) for name, each in value.items()}
    if isinstance(value, list):
        return [reduce(merge, map(_of_value, value), pa.null())]
    try:
        return pa.scalar(value).type
    except OverflowError:
        return _MIXED
