"""Metadata of many records as one DataFrame, with the values that were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from haversack.packed.encoding.keys import Key
from haversack.packed.encoding.metadata import loads

if TYPE_CHECKING:
    import pandas as pd

_INFERRED: tuple[type, ...] = (bool, int, float, str)
_SAMPLES: dict[str, Any] = {"bool": False, "int": 0, "double": 0.0, "text": ""}


def make_frame(texts: list[str], keys: list[Key | None] | None) -> pd.DataFrame:
    """Build a frame of metadata: a column for each key of any record, None where it is absent.

    Columns whose values are all numbers, or all text, of one type have the dtype of that type;
    all others hold the objects themselves. Keys of records, if there are any, are column ``_key``,
    whatever metadata there are of that name.
    """
    return _frame([loads(text) for text in texts], keys)


def _frame(records: list[dict[Any, Any]], keys: Sequence[Key | None] | None) -> pd.DataFrame:
    import pandas as pd

    names = dict.fromkeys(name for record in records for name in record)
    columns: dict[Any, Any] = {} if keys is None else {"_key": _column(list(keys))}
    # A record's own key is never hidden by metadata that bear its column's name.
    names = {name: None for name in names if name not in columns}
    columns |= {name: _column([record.get(name) for record in records]) for name in names}
    frame = pd.DataFrame(dict(enumerate(columns.values())), index=pd.RangeIndex(len(records)))
    try:
        frame.columns = pd.Index(list(columns), tupleize_cols=False)
    except UnicodeEncodeError:  # lone surrogates, which pandas' text columns refuse
        frame.columns = pd.Index(list(columns), dtype=object, tupleize_cols=False)
    return frame


def empty_frame(columns: Mapping[str, list[str]], *, keyed: bool) -> pd.DataFrame:
    """Build the frame of no records: the columns of their dataset, and their dtypes."""
    samples = {
        name: _SAMPLES.get(types[0]) if len(types) == 1 else None for name, types in columns.items()
    }
    return _frame([samples], [None] if keyed else None).iloc[:0]


def _column(values: list[Any]) -> Any:
    import pandas as pd

    kinds = set(map(type, values))
    if len(kinds) == 1 and next(iter(kinds)) in _INFERRED:
        try:
            return pd.array(values, dtype="int64") if kinds == {int} else pd.Series(values)
        except (OverflowError, UnicodeEncodeError):
            pass
    held = np.empty(len(values), object)
    held[:] = values
    return pd.Series(held, dtype=object)
