"""Choose items and assets by collection, key, role, media type, time, place and properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from haversack.catalog.boxes import Box, around, box_filter, overlap
from haversack.catalog.kinds import by_role, by_type, check_list, some
from haversack.catalog.properties import Where, by_properties
from haversack.catalog.times import UNKNOWN, Span, show, span_of
from haversack.errors import EmptySelectionError, UsageError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from haversack.catalog.catalog import Catalog

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Match = Literal["geometry", "bbox"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the filters leave of a catalog: rows of its items and of its assets, in order.

    ``steps`` tells what each filter, by name, has left of the assets.
    """

    catalog: Catalog
    items: Rows
    assets: Rows
    steps: tuple[tuple[str, int], ...] = ()

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
    roles: Sequence[str] | None = None
    media_types: Sequence[str] | None = None
    where: Where | None = None
    match: Match = "geometry"

    def check(self) -> Criteria:
        """Read the filters, so that what makes no sense is refused before anything is fetched.

        Raises
        ------
        UsageError
            ``bbox`` together with ``intersects``, or a value that cannot be read.
        """
        if self.bbox is not None and self.intersects is not None:
            raise UsageError("give bbox or intersects, not both: they contradict each other")
        if self.match not in get_args(Match):
            raise UsageError(f"match is 'geometry' or 'bbox', not {self.match!r}")
        if self.where is not None and not (isinstance(self.where, str) or callable(self.where)):
            raise UsageError(f"where is a text or a function of properties, not {self.where!r}")
        self._check_names()
        return Criteria(
            None if self.datetime is None else span_of(self.datetime),
            None if self.bbox is None else box_filter(self.bbox),
            None if self.intersects is None else _area(self.intersects),
        )

    def _check_names(self) -> None:
        if self.collection_filter is not None:
            if not isinstance(self.collection_filter, Mapping):
                raise UsageError(
                    "collection_filter is a dict of collection ids and lists of asset keys "
                    f"([] for all), not {self.collection_filter!r}"
                )
            for keys in self.collection_filter.values():
                check_list(keys, "collection_filter: asset keys")
        named = {"asset keys": self.asset_keys, "roles": self.roles}
        for what, names in (named | {"media_types": self.media_types}).items():
            if names is not None:
                check_list(names, what)


def _area(area: Any) -> BaseGeometry:
    from haversack.catalog.shapes import area_filter

    return area_filter(area)


@dataclass(frozen=True, slots=True)
class Criteria:
    """The filters on time and place, read."""

    span: Span | None
    box: Box | None
    area: BaseGeometry | None


def select(catalog: Catalog, filters: Filters) -> Selection:
    """Apply filters, each to what the one before it left.

    Collections' own assets follow the filters on collections, keys, roles and media types only.

    Raises
    ------
    UsageError
        A filter makes no sense, or names what the catalog does not have.
    EmptySelectionError
        Nothing is left; it says which filter took the last.
    """
    criteria = filters.check()
    left = _Left(catalog)
    if filters.collection_filter is not None:
        left.assets &= _by_collection(catalog, filters.collection_filter, left.items)
        left.step("collection", "collection_filter")
    if filters.asset_keys is not None:
        left.assets &= _by_key(catalog, filters.asset_keys)
        left.step("asset key", f"asset_keys {list(filters.asset_keys)!r}")
    if filters.roles is not None:
        left.assets &= by_role(catalog, filters.roles)
        left.step("role", f"roles {list(filters.roles)!r}")
    if filters.media_types is not None:
        left.assets &= by_type(catalog, filters.media_types)
        left.step("media type", f"media_types {list(filters.media_types)!r}")
    _by_item(left, filters, criteria)
    rows = left.last if left.steps else left.rows()
    return Selection(catalog, np.flatnonzero(left.items), rows, tuple(left.steps))


def _by_item(left: _Left, filters: Filters, criteria: Criteria) -> None:
    """Apply the filters on items; the cheap ones first."""
    catalog, items = left.catalog, left.items
    if (span := criteria.span) is not None:
        items &= _by_time(catalog, span)
        _not_empty(catalog, items, f"no item left lies in datetime {_span_text(span)}", _times)
        left.step("temporal", f"datetime {_span_text(span)}")
    if criteria.box is not None:
        items &= overlap(catalog.items.bbox, criteria.box)
        _not_empty(catalog, items, f"no item left meets the bbox {filters.bbox!r}", _places)
        left.step("bounding box", f"bbox {filters.bbox!r}")
    if criteria.area is not None:
        _by_area(catalog, items, criteria.area, filters.match)
        _not_empty(catalog, items, "no item left meets the geometry of intersects", _places)
        left.step("intersects", "intersects")
    if filters.where is not None:
        among = np.flatnonzero(items)
        chosen = by_properties(catalog, among, filters.where)
        items[:] = False
        items[chosen] = True
        told = _narrowed if len(among) < len(items) else _looked_at
        _not_empty(catalog, items, f"no item left satisfies where {filters.where!r}", told)
        left.step("property", f"where {filters.where!r}")


class _Left:
    """What the filters so far leave, as masks."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.items: Mask = np.ones(len(catalog.items), bool)
        self.assets: Mask = np.ones(len(catalog.assets), bool)
        self.steps: list[tuple[str, int]] = []
        self.last = np.empty(0, np.int64)  # rows after the last step
        # Assets come in the order of their items; from here on are those of collections.
        self._own = catalog.items.all_assets

    def rows(self) -> Rows:
        """Give the rows of the assets that are left: those of items that are, and collections'."""
        if self.items.all():
            return np.flatnonzero(self.assets)
        items, of_items = self.catalog.items, np.flatnonzero(self.items)
        if len(of_items) * 4 > len(items):  # to look at every asset is faster
            chosen = self.assets.copy()
            chosen[: self._own] &= np.repeat(self.items, items.asset_counts)
            return np.flatnonzero(chosen)
        own = np.arange(self._own, len(self.assets))
        rows = np.concatenate([items.assets_of_all(of_items), own])
        return rows if self.assets.all() else rows[self.assets[rows]]

    def step(self, name: str, what: str) -> None:
        """Count what a filter has left.

        Raises
        ------
        EmptySelectionError
            Nothing.
        """
        self.last = self.rows()
        count = len(self.last)
        before = self.steps[-1][1] if self.steps else len(self.assets)
        if before and not count:
            named = f" that {', '.join(n for n, _ in self.steps)} left" if self.steps else ""
            raise EmptySelectionError(
                f"{what} leaves no asset of the {before}{named} in {self.catalog.id!r}: "
                f"{int(self.items.sum())} of its items are left, none with an asset of the chosen "
                "keys, roles and types"
            )
        self.steps.append((name, count))


def _by_collection(catalog: Catalog, wanted: Mapping[str, Sequence[str]], items: Mask) -> Mask:
    of_items, of_assets = catalog.items.collection.codes, catalog.assets.collection
    kept, assets = np.zeros(len(items), bool), np.zeros(len(of_assets), bool)
    for name, keys in wanted.items():
        code = catalog.items.collection.find(name)
        if code is None:
            raise UsageError(
                f"{catalog.id!r} has no collection {name!r}; "
                f"{some(catalog.items.collection.values)}"
            )
        here = of_assets == code
        kept |= of_items == code
        chosen = _keys(catalog, keys, here, f"collection {name!r}")
        assets |= here if chosen is None else here & chosen
    items &= kept
    return assets


def _by_key(catalog: Catalog, keys: Sequence[str]) -> Mask:
    chosen = _keys(catalog, keys, None, f"catalog {catalog.id!r}")
    return np.ones(len(catalog.assets), bool) if chosen is None else chosen


def _keys(catalog: Catalog, keys: Sequence[str], among: Mask | None, where: str) -> Mask | None:
    """Mask the assets of some keys, after checking that each key is there; no keys are all."""
    if not len(keys):
        return None
    column, wanted = catalog.assets.key, set(keys)
    chosen = column.mask([value in wanted for value in column.values])
    if among is not None:
        chosen &= among
    there = set(column.values) if among is None else column.among(chosen)
    for key in keys:
        if key not in there:
            there = there if among is None else column.among(among)
            raise UsageError(f"{where} has no asset {key!r}; {some(sorted(there))}")
    return chosen


def _by_time(catalog: Catalog, span: Span) -> Mask:
    t0, t1 = catalog.items.t0, catalog.items.t1
    mask: Mask = (t0 != UNKNOWN) & (t0 <= span[1]) & (t1 >= span[0])
    return mask


def _by_area(catalog: Catalog, items: Mask, area: BaseGeometry, match: Match) -> None:
    """Keep the items whose geometry or box meets the area; only those near it are looked at."""
    from haversack.catalog.shapes import bounds, meets

    near = items & overlap(catalog.items.bbox, bounds(area))
    rows = np.flatnonzero(near)
    items[:] = False
    if len(rows):
        true = match == "geometry"
        geometries = [catalog.items.geometry[row] if true else b"" for row in rows.tolist()]
        items[rows] = meets(geometries, catalog.items.bbox[rows], area)


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


def _narrowed(_: Catalog) -> str:
    return "were narrowed by the other filters first"


def _looked_at(_: Catalog) -> str:
    return "were all looked at"
