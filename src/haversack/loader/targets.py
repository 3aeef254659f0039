"""Read one value of every record's metadata: the targets that a model learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.errors import UsageError
from haversack.packed.encoding.metadata import loads

if TYPE_CHECKING:
    from haversack.packed import PackedDataset
    from haversack.packed.reading.snapshot import Snapshot

Values = NDArray[Any] | list[Any]
Target = str | Callable[[Mapping[Any, Any]], Any]
_NUMBERS = {bool, int, float}
_ABSENT = object()


def read_targets(dataset: PackedDataset, target: Target) -> Values:
    """Give a value for each record of a dataset.

    Parameters
    ----------
    target
        A metadata key, or a function of a record's metadata.

    Returns
    -------
    An array of bool, int64 or float64 where all values are such numbers, else a list.

    Raises
    ------
    UsageError
        A record has no such key, or has None there.

    Examples
    --------
    >>> from haversack.packed import pack
    >>> ds = pack([(np.zeros(2), {"label": n % 3, "name": "abc"[n]}) for n in range(3)], "abc")
    >>> read_targets(ds, "label"), read_targets(ds, "name")
    (array([0, 1, 2]), ['a', 'b', 'c'])
    >>> read_targets(ds, lambda metadata: "abc".index(metadata["name"]) / 2)
    array([0. , 0.5, 1. ])
    """
    snapshot = dataset._snapshot  # noqa: SLF001
    rows = snapshot.rows_at(dataset._positions(range(len(dataset))))  # noqa: SLF001
    found = [_of_chunk(snapshot, number, target) for number in range(len(snapshot.manifest.chunks))]
    if snapshot.tail is not None and snapshot.tail.rows:
        found.append(_of_texts(snapshot.tail.texts(), target))
    if not found:
        return []
    if all(isinstance(part, np.ndarray) for part in found):
        whole: NDArray[Any] = np.concatenate(found)
        return whole[rows]
    lists = (part if isinstance(part, list) else part.tolist() for part in found)
    flat = [value for part in lists for value in part]
    return _checked([flat[row] for row in rows.tolist()], target)


def _of_chunk(snapshot: Snapshot, number: int, target: Target) -> Values:
    """Read the typed column where there is one: much cheaper than the metadata of each record."""
    index = snapshot.index(number)
    if isinstance(target, str) and not target.startswith("_"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        index.check()
        with pq.ParquetFile(index.path) as file:
            if target in file.schema_arrow.names:
                column = file.read(columns=[target]).column(0)
                plain = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
                if plain and not column.null_count:
                    return np.asarray(column.to_numpy())
    return _of_texts(index.texts(), target)


def _of_texts(texts: list[str], target: Target) -> list[Any]:
    if isinstance(target, str):
        return [loads(text).get(target, _ABSENT) for text in texts]
    return [target(loads(text)) for text in texts]


def _checked(values: list[Any], target: Target) -> Values:
    for index, value in enumerate(values):
        if value is None or value is _ABSENT:
            what = repr(target) if isinstance(target, str) else "target for it"
            raise UsageError(
                f"record {index} has no {what}: filter such records out, or give "
                "target=lambda metadata: ..."
            )
    if values and set(map(type, values)) <= _NUMBERS:
        array = np.array(values)
        return array if array.dtype.kind in "bif" else values
    return values
