"""The one table that every source becomes: items and assets as columns, rows named by number."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from haversack.catalog.columns import BytesColumn, CodedColumn, KindColumn, TextColumn, numbers
from haversack.catalog.space import Box, read_box
from haversack.catalog.stac import StacAsset, StacDocument
from haversack.catalog.times import read_span

NO_ITEM = -1  # the item of an asset that belongs to its collection
UNKNOWN_SIZE = -1
LOOSE = "items"  # the collection of items that name none


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """One collection; ``place`` is None where items name it but no document describes it."""

    id: str
    title: str | None
    description: str | None
    place: str | None


class Items:
    """Every item of a catalog, one row each.

    Attributes
    ----------
    collection : CodedColumn
        Row of the item's collection; ``collection.values`` are the collections' ids.
    id, place : TextColumn
        The item's id, and where its document lies in the source.
    geometry, properties : BytesColumn
        Its geometry as GeoJSON, and its properties as JSON.
    """

    def __init__(self) -> None:
        self.collection: CodedColumn[str] = CodedColumn()
        self.id, self.place = TextColumn(), TextColumn()
        self.geometry, self.properties = BytesColumn(), BytesColumn()
        self._t0, self._t1, self._box = array("q"), array("q"), array("d")
        self._ends = array("i", [0])

    def __len__(self) -> int:
        return len(self._t0)

    def append(self, document: StacDocument, collection: str, place: str, assets: int) -> None:
        """Add an item whose last asset is row ``assets - 1`` of the assets."""
        times = document.times
        first, last = read_span(times.datetime, times.start_datetime, times.end_datetime)
        geometry = bytes(document.geometry)
        self.collection.append(collection)
        self.id.append(document.id)
        self.place.append(place)
        self.geometry.append(geometry)
        self.properties.append(bytes(document.properties))
        self._t0.append(first)
        self._t1.append(last)
        self._box.extend(read_box(document.bbox, geometry))
        self._ends.append(assets)

    @property
    def t0(self) -> NDArray[np.int64]:
        """First moment of each item, microseconds since 1970 UTC; NaT's value where unknown."""
        return numbers(self._t0, np.int64)

    @property
    def t1(self) -> NDArray[np.int64]:
        """Last moment of each item, in it."""
        return numbers(self._t1, np.int64)

    @property
    def bbox(self) -> NDArray[np.float64]:
        """West, south, low, east, north, high of each item: (items, 6), NaN where unknown."""
        return numbers(self._box, np.float64).reshape(-1, 6)

    def box(self, row: int) -> Box:
        return Box(*self.bbox[row].tolist())

    @property
    def asset_counts(self) -> NDArray[np.int32]:
        """How many assets each item has."""
        return np.diff(numbers(self._ends, np.int32))

    def assets_of(self, row: int) -> range:
        """Rows of an item's assets."""
        return range(self._ends[row], self._ends[row + 1])


class Assets:
    """Every asset of a catalog, one row each; those of collections come last.

    Attributes
    ----------
    key, type, roles : KindColumn
        The asset's key, media type (or None) and tuple of roles.
    href : TextColumn
        Its reference as the source writes it.
    item, collection, size : numpy.ndarray
        Once all are there: row of the item that each asset belongs to, int32, ``NO_ITEM`` for a
        collection's own; row of its collection, int32; its bytes as the catalog says, int64,
        ``UNKNOWN_SIZE`` where it does not.
    """

    def __init__(self) -> None:
        self.item: NDArray[np.int32] = np.empty(0, np.int32)
        self.collection: NDArray[np.int32] = np.empty(0, np.int32)
        self.size: NDArray[np.int64] = np.empty(0, np.int64)
        # Sizes begin with the first that is known: most catalogs have none.
        self._kind, self._size = array("i"), array("q")
        self.key: KindColumn[str] = KindColumn(self._kind)
        self.type: KindColumn[str | None] = KindColumn(self._kind)
        self.roles: KindColumn[tuple[str, ...]] = KindColumn(self._kind)
        self.href = TextColumn()
        self._checksum: dict[int, str] = {}
        # What most items' assets have in common.
        self._kinds: dict[tuple[str | None, ...], int] = {}

    def __len__(self) -> int:
        return len(self._kind)

    def extend(self, assets: dict[str, StacAsset]) -> None:
        """Add the assets of an item or a collection; whose they are is told at the end."""
        known, add_kind, row = self._kinds, self._kind.append, len(self._kind)
        for key, asset in assets.items():
            roles = asset.roles
            kind = known.get((key, asset.type, *roles) if roles else (key, asset.type))
            add_kind(self._new_kind(key, asset) if kind is None else kind)
            if asset.size is not None or self._size:
                self._add_size(asset.size, row)
            if asset.checksum:
                self._checksum[row] = asset.checksum
            row += 1
        self.href.extend([asset.href for asset in assets.values()])

    def finish(self, items: Items, own: Sequence[int]) -> None:
        """Say whose they are: those of items come first, then so many of each collection's own."""
        of_items, of_own = items.asset_counts, np.array(own, np.int32)
        rows = np.append(np.arange(len(items), dtype=np.int32), np.int32(NO_ITEM))
        self.item = np.repeat(rows, np.append(of_items, of_own.sum()))
        codes = np.append(items.collection.codes, np.arange(len(own), dtype=np.int32))
        self.collection = np.repeat(codes, np.append(of_items, of_own))
        told = numbers(self._size, np.int64) if self._size else np.int64(UNKNOWN_SIZE)
        self.size = np.broadcast_to(told, len(self))

    def _new_kind(self, key: str, asset: StacAsset) -> int:
        roles = tuple(asset.roles or ())
        self.key.add_kind(key)
        self.type.add_kind(asset.type)
        self.roles.add_kind(roles)
        number = self._kinds[key, asset.type, *roles] = len(self._kinds)
        return number

    def _add_size(self, size: int | None, row: int) -> None:
        if not self._size:
            self._size = array("q", [UNKNOWN_SIZE]) * row
        self._size.append(UNKNOWN_SIZE if size is None or not 0 <= size < 1 << 63 else size)

    def checksum(self, row: int) -> str | None:
        """Give the multihash that the catalog holds for an asset."""
        return self._checksum.get(row)


@dataclass(slots=True)
class Table:
    """Collections, items and assets while a source is read, and afterwards."""

    items: Items = field(default_factory=Items)
    assets: Assets = field(default_factory=Assets)
    _collections: dict[str, tuple[StacDocument, str]] = field(default_factory=dict)

    def add_collection(self, document: StacDocument, place: str) -> None:
        """Take a collection; of several documents with one id the first counts."""
        self.items.collection.code(document.id)
        self._collections.setdefault(document.id, (document, place))

    def add_item(self, document: StacDocument, place: str, parent: str | None) -> None:
        """Take an item, of the collection that it names or else of its parent."""
        collection = document.collection or parent or LOOSE
        self.assets.extend(document.assets)
        self.items.append(document, collection, place, len(self.assets))

    def finish(self) -> tuple[CollectionRow, ...]:
        """Take the assets of the collections themselves, behind all others."""
        rows, own = [], []
        for name in self.items.collection.values:
            document, place = self._collections.get(name, (None, None))
            if document is None:
                rows.append(CollectionRow(name, None, None, None))
                own.append(0)
                continue
            rows.append(CollectionRow(name, document.title, document.description, place))
            self.assets.extend(document.assets)
            own.append(len(document.assets))
        self.assets.finish(self.items, own)
        self._collections.clear()
        return tuple(rows)
