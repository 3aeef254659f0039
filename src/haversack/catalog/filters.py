"""Choose items and assets by collection, key, time and place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from haversack.catalog.space import Box, area_filter, around, bounds, box_filter, meets, overlap
from haversack.catalog.table import NO_ITEM
from haversack.catalog.times import UNKNOWN, Span, show, span_of
from haversack.errors import EmptySelectionError, UsageError

if TYPE_CHECKING:
    from haversack.catalog.catalog import Catalog

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the filters leave of a catalog: rows of its items and of its assets, in order."""

    catalog: Catalog
    items: Rows
    assets: Rows

    def __repr__(self) -> str:
        counts = f"{len(self.items)} items, {len(self.assets)} assets"
        return f"<Selection of {self.catalog.id!r}: {counts}>"


@dataclass(frozen=True, slots=True)
class Filters:
    """Every filter as it was given; None leaves everything."""

    collection_filter: Mapping[str, Sequence[str]] | None = None
    datetime: Any = None
    bbox: Any = None
    intersects: Any = None
    asset_keys: Sequence[str] | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in self.__slots__)

    def check(self) -> Criteria:
        """Read the filters, so that what makes no sense is refused before anything is fetched.

        Raises
        ------
        UsageError
            ``bbox`` together with ``intersects``, or a value that cannot be read.
        """
        if self.bbox is not None and self.intersects is not None:
            raise UsageError("give bbox or intersects, not both: they contradict each other")
        return Criteria(
            None if self.datetime is None else span_of(self.datetime),
            None if self.bbox is None else box_filter(self.bbox),
            None if self.intersects is None else area_filter(self.intersects),
        )


@dataclass(frozen=True, slots=True)
class Criteria:
    """The filters on time and place, read."""

    span: Span | None
    box: Box | None
    area: BaseGeometry | None


def select(catalog: Catalog, filters: Filters) -> Selection:
    """Apply filters, each to what the one before it left.

    Collections' own assets follow the collection and key filters only.

    Raises
    ------
    UsageError
        A filter makes no sense, or names what the catalog does not have.
    EmptySelectionError
        Nothing is left; it says which filter took the last.
    """
    criteria = filters.check()
    chosen = np.ones(len(catalog.assets), bool)
    items = np.ones(len(catalog.items), bool)
    if filters.collection_filter is not None:
        chosen &= _by_collection(catalog, filters.collection_filter, items)
    if filters.asset_keys is not None:
        chosen &= _by_key(catalog, filters.asset_keys)
    if (span := criteria.span) is not None:
        items &= _by_time(catalog, span)
        _not_empty(catalog, items, f"no item left lies in datetime {_span_text(span)}", _times)
    if criteria.box is not None:
        items &= overlap(catalog.items.bbox, criteria.box)
        _not_empty(catalog, items, f"no item left meets the bbox {filters.bbox!r}", _places)
    if criteria.area is not None:
        _by_area(catalog, items, criteria.area)
        _not_empty(catalog, items, "no item left meets the geometry of intersects", _places)
    return _selection(catalog, items, chosen, filters)


def _selection(catalog: Catalog, items: Mask, chosen: Mask, filters: Filters) -> Selection:
    owner = catalog.assets.item
    of_items = owner != NO_ITEM
    chosen[of_items] &= items[owner[of_items]]
    if filters and len(catalog.assets) and not chosen.any():
        raise EmptySelectionError(
            f"the filters leave {items.sum()} items of {catalog.id!r}, none of which has an asset "
            "of the chosen keys"
        )
    return Selection(catalog, np.flatnonzero(items), np.flatnonzero(chosen))


def _by_collection(catalog: Catalog, wanted: Mapping[str, Sequence[str]], items: Mask) -> Mask:
    if not isinstance(wanted, Mapping):
        raise UsageError(
            "collection_filter is a dict of collection ids and lists of asset keys "
            f"([] for all), not {wanted!r}"
        )
    of_items, of_assets = catalog.items.collection.codes, catalog.assets.collection
    kept, assets = np.zeros(len(items), bool), np.zeros(len(of_assets), bool)
    for name, keys in wanted.items():
        code = catalog.items.collection.find(name)
        if code is None:
            raise UsageError(
                f"{catalog.id!r} has no collection {name!r}; it has "
                f"{_some(catalog.items.collection.values)}"
            )
        here = of_assets == code
        kept |= of_items == code
        assets |= here & _keys(catalog, keys, here, f"collection {name!r}")
    items &= kept
    return assets


def _by_key(catalog: Catalog, keys: Sequence[str]) -> Mask:
    return _keys(catalog, keys, np.ones(len(catalog.assets), bool), f"catalog {catalog.id!r}")


def _keys(catalog: Catalog, keys: Sequence[str], among: Mask, where: str) -> Mask:
    """Mask the assets of some keys, after checking that each key is there; no keys are all."""
    if isinstance(keys, str):
        raise UsageError(f"asset keys are given as a list, not as the text {keys!r}")
    if not keys:
        return among
    codes = catalog.assets.key.codes
    there = {catalog.assets.key.values[code] for code in np.unique(codes[among])}
    for key in keys:
        if key not in there:
            raise UsageError(f"{where} has no asset {key!r}; it has {_some(sorted(there))}")
    mask: Mask = among & np.isin(codes, [catalog.assets.key.code(key) for key in keys])
    return mask


def _by_time(catalog: Catalog, span: Span) -> Mask:
    t0, t1 = catalog.items.t0, catalog.items.t1
    mask: Mask = (t0 != UNKNOWN) & (t0 <= span[1]) & (t1 >= span[0])
    return mask


def _by_area(catalog: Catalog, items: Mask, area: BaseGeometry) -> None:
    """Keep the items whose true geometry meets the area; only those near it are looked at."""
    near = items & overlap(catalog.items.bbox, bounds(area))
    rows = np.flatnonzero(near)
    items[:] = False
    if len(rows):
        geometries = [catalog.items.geometry[row] for row in rows.tolist()]
        boxes = [catalog.items.box(row) for row in rows.tolist()]
        items[rows] = meets(geometries, boxes, area)


def _not_empty(catalog: Catalog, items: Mask, what: str, there: Any) -> None:
    if len(items) and not items.any():
        count = f"the {len(items)} items of {catalog.id!r}"
        raise EmptySelectionError(f"{what}; {count} {there(catalog)}")


def _span_text(span: Span) -> str:
    return f"{show(span[0]) or '..'} to {show(span[1]) or '..'}"


def _times(catalog: Catalog) -> str:
    first, last = catalog.times()
    return f"lie between {first} and {last}" if first else "have no time"


def _places(catalog: Catalog) -> str:
    box = around(catalog.items.bbox)
    return f"lie within {box}" if box else "have no place"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "") or "none"
