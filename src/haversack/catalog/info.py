"""What ``info()`` says of a catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.catalog.boxes import around
from haversack.catalog.table import UNKNOWN_SIZE
from haversack.catalog.times import UNKNOWN, show

if TYPE_CHECKING:
    from haversack.catalog.catalog import Catalog

Times = tuple[str | None, str | None]


def describe(catalog: Catalog) -> dict[str, Any]:
    """Describe a catalog in words that ``--json`` can write."""
    here = _sizes_here(catalog)
    told = catalog.assets.size
    sizes = np.where(told == UNKNOWN_SIZE, here, told)[_files(catalog)]
    known = sizes != UNKNOWN_SIZE
    first, last = catalog.times()
    found: dict[str, Any] = {
        "kind": "STAC catalog",
        "path": str(catalog.path),
        "id": catalog.id,
        "title": catalog.title,
        "description": catalog.description,
        "items": len(catalog.items),
        "assets": len(catalog.assets),
        "assets here": int((here != UNKNOWN_SIZE).sum()),
        "bbox": around(catalog.items.bbox),
        "first": first,
        "last": last,
        "files": len(sizes),
        "known bytes": int(sizes[known].sum()),
        "files of unknown size": int((~known).sum()),
        "collections": [_collection(catalog, row) for row in range(len(catalog.collections))],
        "asset keys": _keys(catalog),
    }
    if catalog.source.lost:
        found["documents missing"] = len(catalog.source.lost)
    return found


def _sizes_here(catalog: Catalog) -> NDArray[np.int64]:
    """Bytes of each asset's file in the archive or the directory."""
    rows = range(len(catalog.assets))
    sizes = (catalog.source.size_of(catalog.target(row)) for row in rows)
    told = (UNKNOWN_SIZE if size is None else size for size in sizes)
    return np.fromiter(told, np.int64, len(rows))


def _files(catalog: Catalog) -> NDArray[np.int64]:
    """Rows of the first asset of each address: several assets may share one."""
    _, rows = np.unique(catalog.target_hashes(), return_index=True)
    return np.sort(rows)


def extent(catalog: Catalog, row: int) -> tuple[list[float] | None, Times]:
    """Give the box and the times of a collection's items."""
    here = catalog.items.collection.codes == row
    t0, t1 = catalog.items.t0[here], catalog.items.t1[here]
    known = t0 != UNKNOWN
    times: Times = (None, None)
    if known.any():
        times = show(int(t0[known].min())), show(int(t1[known].max()))
    return around(catalog.items.bbox[here]), times


def _collection(catalog: Catalog, row: int) -> dict[str, Any]:
    box, (first, last) = extent(catalog, row)
    return {
        "id": catalog.collections[row].id,
        "items": int((catalog.items.collection.codes == row).sum()),
        "assets": int((catalog.assets.collection == row).sum()),
        "bbox": box,
        "first": first,
        "last": last,
    }


def _keys(catalog: Catalog) -> list[dict[str, Any]]:
    """One row for each key of each collection, with the media types that its assets have."""
    assets = catalog.assets
    columns = [assets.collection, assets.key.codes, assets.type.codes]
    groups, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for (collection, key, kind), count in zip(groups.tolist(), counts.tolist(), strict=True):
        row = rows.setdefault(
            (collection, key),
            {
                "collection": catalog.collections[collection].id,
                "key": assets.key.values[key],
                "assets": 0,
                "types": [],
            },
        )
        row["assets"] += count
        row["types"].append(assets.type.values[kind] or "unknown")
    return list(rows.values())
