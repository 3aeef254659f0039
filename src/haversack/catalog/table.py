"""The one table that every source becomes: items and assets as columns, rows named by number."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from haversack.catalog.boxes import Box, read_boxes
from haversack.catalog.columns import (
    BytesColumn,
    CodedColumn,
    KindColumn,
    TextColumn,
    no_row,
    numbers,
    pieces,
)
from haversack.catalog.mapped import MappedColumn
from haversack.catalog.stac import StacAsset, StacDocument
from haversack.catalog.times import read_span

_AT_ONCE, _MOST = 128, 1 << 20
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
    t0, t1 : numpy.ndarray
        Once all are there: first and last moment of each item, (items,) of int64, microseconds
        since 1970 UTC; NaT's value where unknown. Read-only.
    bbox : numpy.ndarray
        Once all are there: west, south, low, east, north, high of each item, (items, 6) of
        float64, NaN where unknown; each column is contiguous. Read-only.
    """

    def __init__(self) -> None:
        self.collection: CodedColumn[str] = CodedColumn()
        self.id, self.place = TextColumn(), TextColumn()
        self.geometry, self.properties = BytesColumn(), BytesColumn()
        self.t0: NDArray[np.int64] = np.empty(0, np.int64)
        self.t1: NDArray[np.int64] = np.empty(0, np.int64)
        self.bbox: NDArray[np.float64] = np.empty((0, 6))
        self._ends = array("i", [0])
        self._times = [MappedColumn(np.int64) for _ in range(2)]
        self._sides = [MappedColumn(np.float64) for _ in range(6)]

    def __len__(self) -> int:
        return len(self._ends) - 1

    def extend(self, documents: Sequence[StacDocument], places: Sequence[str]) -> None:
        """Add items, whose collections are added apart."""
        self.id.extend([document.id for document in documents])
        self.place.extend(places)
        geometries = [document.geometry for document in documents]
        self.geometry.extend(geometries)
        self.properties.extend([document.properties for document in documents])
        times = [document.times for document in documents]
        spans = [read_span(t.datetime, t.start_datetime, t.end_datetime) for t in times]
        moments = np.array(spans, np.int64).reshape(-1, 2)
        for column, values in zip(self._times, moments.T, strict=True):
            column.extend(values)
        boxes = read_boxes([document.bbox for document in documents], geometries)
        for side, values in zip(self._sides, boxes.T, strict=True):
            side.extend(values)
        counts = [len(document.assets) for document in documents]
        self._ends.fromlist(list(accumulate(counts, initial=self._ends[-1]))[1:])

    def finish(self) -> None:
        """Put the boxes together, a side after the other."""
        self.t0, self.t1 = (column.array() for column in self._times)
        whole = MappedColumn(np.float64)
        for piece in chain.from_iterable(pieces(side.array()) for side in self._sides):
            whole.extend(piece)
        self.bbox = whole.array().reshape(6, len(self)).T
        self._times, self._sides = [], []

    def box(self, row: int) -> Box:
        return Box(*self.bbox[row].tolist())

    @property
    def asset_counts(self) -> NDArray[np.int32]:
        """How many assets each item has."""
        return np.diff(numbers(self._ends, np.int32))

    @property
    def all_assets(self) -> int:
        """How many assets all items have."""
        return self._ends[-1]

    def assets_of(self, row: int) -> range:
        """Rows of an item's assets.

        Raises
        ------
        PositionError
            There is no such item.
        """
        if not 0 <= row < len(self):
            raise no_row(row, len(self))
        return range(self._ends[row], self._ends[row + 1])

    def assets_of_all(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the assets of some items, in their order."""
        ends = numbers(self._ends, np.int32)
        begins = ends[rows]
        counts = ends[rows + 1] - begins
        # Numbers from 0 on, moved so that each item's begin where its assets do.
        behind = np.cumsum(counts, dtype=np.int64)
        found: NDArray[np.int64] = np.repeat(begins - (behind - counts), counts)
        found += np.arange(len(found))
        return found


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
        self._kinds: dict[tuple[str, str | None, tuple[str, ...] | None], int] = {}

    def __len__(self) -> int:
        return len(self._kind)

    def extend(self, of_each: Sequence[dict[str, StacAsset]]) -> None:
        """Add the assets of items or collections; whose they are is told at the end."""
        keys = list(chain.from_iterable(of_each))
        assets = list(chain.from_iterable([each.values() for each in of_each]))
        find, first = self._kinds.get, len(self._kind)
        kinds = [find((key, a.type, a.roles)) for key, a in zip(keys, assets, strict=True)]
        if None in kinds:
            kinds = [self._kind_of(key, a) for key, a in zip(keys, assets, strict=True)]
        self._kind.fromlist(kinds)  # type: ignore[arg-type]
        self.href.extend([asset.href for asset in assets])
        sizes = [asset.size for asset in assets]
        if self._size or sizes.count(None) < len(sizes):
            self._add_sizes(sizes, first)
        checksums = [asset.checksum for asset in assets]
        if checksums.count(None) < len(checksums):
            self._checksum |= {row: told for row, told in enumerate(checksums, first) if told}

    def finish(self, items: Items, own: Sequence[int]) -> None:
        """Say whose they are: those of items come first, then so many of each collection's own."""
        of_items, of_own = items.asset_counts, np.array(own, np.int32)
        rows = np.append(np.arange(len(items), dtype=np.int32), np.int32(NO_ITEM))
        self.item = np.repeat(rows, np.append(of_items, of_own.sum()))
        codes = np.append(items.collection.codes, np.arange(len(own), dtype=np.int32))
        self.collection = np.repeat(codes, np.append(of_items, of_own))
        told = numbers(self._size, np.int64) if self._size else np.int64(UNKNOWN_SIZE)
        self.size = np.broadcast_to(told, len(self))

    def _kind_of(self, key: str, asset: StacAsset) -> int:
        found = self._kinds.get((key, asset.type, asset.roles))
        if found is None:
            found = self._kinds[key, asset.type, asset.roles] = len(self._kinds)
            self.key.add_kind(key)
            self.type.add_kind(asset.type)
            self.roles.add_kind(asset.roles or ())
        return found

    def _add_sizes(self, sizes: list[int | None], first: int) -> None:
        if not self._size:
            self._size = array("q", [UNKNOWN_SIZE]) * first
        self._size.fromlist(
            [UNKNOWN_SIZE if size is None or not 0 <= size < 1 << 63 else size for size in sizes]
        )

    def checksum(self, row: int) -> str | None:
        """Give the multihash that the catalog holds for an asset."""
        return self._checksum.get(row)

    def checksums(self) -> Iterable[tuple[int, str]]:
        """Give the rows that have one, with it."""
        return self._checksum.items()


@dataclass(slots=True)
class Table:
    """Collections, items and assets while a source is read, and afterwards."""

    items: Items = field(default_factory=Items)
    assets: Assets = field(default_factory=Assets)
    _collections: dict[str, tuple[StacDocument, str]] = field(default_factory=dict)
    # The last few items, which are taken in together.
    _waiting: list[StacDocument] = field(default_factory=list)
    _places: list[str] = field(default_factory=list)
    _waiting_bytes: int = 0

    def __len__(self) -> int:
        """Count the items."""
        return len(self.items) + len(self._waiting)

    def add_collection(self, document: StacDocument, place: str) -> None:
        """Take a collection; of several documents with one id the first counts."""
        self.items.collection.code(document.id)
        self._collections.setdefault(document.id, (document, place))

    def add_item(self, document: StacDocument, place: str, parent: str | None, size: int) -> None:
        """Take an item of so many bytes, of the collection that it names or else of its parent."""
        self.items.collection.append(document.collection or parent or LOOSE)
        self._waiting.append(document)
        self._places.append(place)
        self._waiting_bytes += size
        if len(self._waiting) >= _AT_ONCE or self._waiting_bytes >= _MOST:
            self._take_in()

    def _take_in(self) -> None:
        self.assets.extend([document.assets for document in self._waiting])
        self.items.extend(self._waiting, self._places)
        self._waiting, self._places, self._waiting_bytes = [], [], 0

    def finish(self) -> tuple[CollectionRow, ...]:
        """Take the assets of the collections themselves, behind all others."""
        self._take_in()
        self.items.finish()
        rows, own = [], []
        for name in self.items.collection.values:
            document, place = self._collections.get(name, (None, None))
            if document is None:
                rows.append(CollectionRow(name, None, None, None))
                own.append(0)
                continue
            rows.append(CollectionRow(name, document.title, document.description, place))
            self.assets.extend([document.assets])
            own.append(len(document.assets))
        self.assets.finish(self.items, own)
        self._collections.clear()
        return tuple(rows)
