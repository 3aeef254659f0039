"""Choose items by a predicate on their properties: a function, or SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.catalog.kinds import some
from haversack.errors import UsageError

if TYPE_CHECKING:
    from haversack.catalog.catalog import Catalog

Where = str | Callable[[dict[str, Any]], bool]
_ROW = "_row"


def by_properties(catalog: Catalog, rows: NDArray[np.int64], where: Where) -> NDArray[np.bool_]:
    """Mask those of some rows of items whose properties satisfy a predicate.

    Raises
    ------
    UsageError
        The predicate is no SQL, or names what no item has.
    """
    found = (_properties(catalog, row) for row in rows.tolist())
    if callable(where):
        return np.fromiter((bool(where(each)) for each in found), bool, len(rows))
    return _by_sql(found, len(rows), where)


def _properties(catalog: Catalog, row: int) -> dict[str, Any]:
    properties = catalog.item(row).get("properties")
    return properties if isinstance(properties, dict) else {}


def _by_sql(found: Iterator[dict[str, Any]], count: int, where: str) -> NDArray[np.bool_]:
    import duckdb

    from haversack.packed.manifests.index import make_table, plain_fields
    from haversack.packed.query import OFFLINE

    mask = np.zeros(count, bool)
    if not count:
        return mask
    fields = [plain_fields(each) for each in found]
    table, _ = make_table([""] * count, fields, {}, None)
    names = table.column_names[1:]
    table = table.drop_columns(["_meta"]).append_column(_ROW, [np.arange(count)])
    # No file is read: a predicate may hold subqueries.
    confined = OFFLINE | {"enable_external_access": False}
    with duckdb.connect(":memory:", config=confined) as connection:
        try:
            chosen = connection.from_arrow(table).filter(where).project(_ROW).fetchnumpy()
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"cannot choose by {where!r}: {reason}; of the properties, {some(sorted(names))} "
                "(write names with a colon in double quotes)"
            ) from None
    mask[np.asarray(chosen[_ROW], np.int64)] = True
    return mask
