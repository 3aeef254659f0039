"""Metadata of many records as one DataFrame, with the values that were given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from haversack.packed.keys import Key
from haversack.packed.values import loads

if TYPE_CHECKING:
    import pandas as pd

_INFERRED: tuple[type, ...] = (bool, int, float, str)


def make_frame(texts: list[str], keys: list[Key | None] | None) -> pd.DataFrame:
    """Build a frame of metadata: a column for each key of any record, None where it is absent.

    Columns whose values are all numbers, or all text, of one type have the dtype of that type;
    all others hold the objects themselves. Keys of records, if there are any, are column ``_key``.
    """
    import pandas as pd

    records = [loads(text) for text in texts]
    names = dict.fromkeys(name for record in records for name in record)
    columns: dict[Any, Any] = {} if keys is None else {"_key": _column(keys)}
    columns |= {name: _column([record.get(name) for record in records]) for name in names}
    frame = pd.DataFrame(dict(enumerate(columns.values())), index=pd.RangeIndex(len(texts)))
    try:
        frame.columns = pd.Index(list(columns), tupleize_cols=False)
    except UnicodeEncodeError:  # lone surrogates, which pandas' text columns refuse
        frame.columns = pd.Index(list(columns), dtype=object, tupleize_cols=False)
    return frame


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
