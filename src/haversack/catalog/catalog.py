"""A STAC catalog of any source as one table of items and assets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.catalog import stac
from haversack.catalog.columns import no_row
from haversack.catalog.filters import Filters, Match, Selection, select
from haversack.catalog.properties import Kept, Where
from haversack.catalog.source import Source, TreeSource
from haversack.catalog.table import Assets, CollectionRow, Items
from haversack.catalog.times import UNKNOWN, show
from haversack.events import Progress
from haversack.storage.damage import Damage
from haversack.storage.looking import as_path

if TYPE_CHECKING:
    import pystac


@dataclass(frozen=True, slots=True, repr=False)
class Catalog:
    """Everything that a catalog holds; made by :func:`read_catalog`.

    Attributes
    ----------
    id, title, description
        Of the root document.
    collections : tuple of CollectionRow
        A collection's row is the code in ``items.collection`` and ``assets.collection``.
    items, assets
        Columns; a row is named by its number.
    source
        Where it was read from.
    """

    id: str
    title: str | None
    description: str | None
    collections: tuple[CollectionRow, ...]
    items: Items
    assets: Assets
    source: Source
    place: str | None
    kept: Kept = field(default_factory=Kept, init=False, compare=False)

    @property
    def path(self) -> Path:
        """The archive, or the catalog's directory."""
        return self.source.path

    @property
    def is_empty(self) -> bool:
        """Whether it has neither items nor collections."""
        return not self.collections and not len(self.items)

    def root(self) -> dict[str, Any]:
        """Read the root document; an archive without one gets a plain catalog."""
        if self.place is None:
            return _plain("Catalog", self.id)
        return stac.parse(self.source.document(self.place), f"{self.path}: {self.place}")

    def collection(self, row: int) -> dict[str, Any]:
        """Read the document of a collection; one that only items name gets a plain one.

        Raises
        ------
        PositionError
            There is no such row.
        """
        if not 0 <= row < len(self.collections):
            raise no_row(row, len(self.collections))
        found = self.collections[row]
        if found.place is None:
            return _plain("Collection", found.id) | _extent(self, row)
        return stac.parse(self.source.document(found.place), f"{self.path}: {found.place}")

    def item(self, row: int) -> dict[str, Any]:
        """Read the document of an item.

        Raises
        ------
        PositionError
            There is no such row.
        """
        place = self.items.place[row]
        return stac.parse(self.source.item(row, place), f"{self.path}: {place}")

    def target(self, row: int) -> str:
        """Give where an asset lies: an address, or a place within the source.

        Raises
        ------
        PositionError
            There is no such row.
        """
        href = self.assets.href[row]
        return href if stac.is_absolute(href) else stac.resolve(href, self._holder(row))

    def target_hashes(self) -> NDArray[np.int64]:
        """Hash every asset's target, to find those that share one; not the same in every run."""
        rows = range(len(self.assets))
        return np.fromiter((hash(self.target(row)) for row in rows), np.int64, len(rows))

    def local_file(self, row: int) -> Path | None:
        """Find the file of an asset in the catalog's directory or beside it; None if not there."""
        return self.source.file(self.target(row)) if isinstance(self.source, TreeSource) else None

    def _holder(self, row: int) -> str:
        item = int(self.assets.item[row])
        if item >= 0:
            return self.items.place[item]
        return self.collections[self.assets.collection[row]].place or ""

    def select(
        self,
        *,
        collection_filter: Mapping[str, Sequence[str]] | None = None,
        datetime: Any = None,
        bbox: Sequence[float] | None = None,
        intersects: Any = None,
        asset_keys: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
        media_types: Sequence[str] | None = None,
        where: Where | None = None,
        match: Match = "geometry",
    ) -> Selection:
        """Choose items and assets; filters combine, and without any everything is chosen.

        Parameters
        ----------
        collection_filter
            Asset keys by collection id; an empty list is all keys.
        datetime
            A ``datetime`` or ``date`` (its UTC day), a text (a day, a moment, or a range such as
            ``"2020-05-01/.."``), or a pair with both ends in it, ``None`` for an open one. Naive
            times are UTC. Items with a start and an end are chosen where the ranges overlap.
        bbox
            West, south, east, north (or with heights, 6 numbers) in degrees, tested against the
            items' boxes; west greater than east crosses the antimeridian.
        intersects
            A GeoJSON geometry, Feature or FeatureCollection, tested against the items' geometry.
        asset_keys, roles, media_types
            Only assets of these keys, with one of these roles, of these types (``"image/*"``), in
            every collection.
        where
            Only items whose properties satisfy this: a function that takes them as a dict, or SQL
            such as ``'"eo:cloud_cover" < 10'``.
        match
            ``"bbox"`` tests ``intersects`` against the items' boxes, as the old client did.

        Raises
        ------
        UsageError
            ``bbox`` together with ``intersects``, a value that makes no sense, or a collection or
            key that the catalog does not have.
        EmptySelectionError
            Nothing is left; it says which filter took the last.
        """
        place = collection_filter, datetime, bbox, intersects
        return select(self, Filters(*place, asset_keys, roles, media_types, where, match))

    def times(self) -> tuple[str | None, str | None]:
        """Give the first and the last moment of all items, as RFC 3339."""
        known = self.items.t0 != UNKNOWN
        if not known.any():
            return None, None
        return show(int(self.items.t0[known].min())), show(int(self.items.t1[known].max()))

    def info(self) -> dict[str, Any]:
        """Describe the catalog: collections with their items, assets, extents, dates and types."""
        from haversack.catalog.info import describe

        return describe(self)

    def verify(self, progress: Progress = None) -> list[Damage]:
        """Compare the assets that lie here with the sizes and checksums of the catalog."""
        from haversack.catalog.verify import find_damage

        return find_damage(self, progress)

    def to_pystac(self) -> pystac.Catalog:
        """Give the whole catalog as pystac objects."""
        from haversack.catalog.interop import to_pystac

        return to_pystac(self)

    def to_geoparquet(self, path: str | os.PathLike[str]) -> None:
        """Write all items as stac-geoparquet; references to files here become absolute paths.

        Raises
        ------
        PathNotFoundError
            The file's directory is not there.
        StorageError
            The disk is full or refuses.
        """
        from haversack.catalog.geoparquet import write_geoparquet

        write_geoparquet(self, as_path(path))

    def __repr__(self) -> str:
        return (
            f"<Catalog {self.id!r}: {len(self.collections)} collections, "
            f"{len(self.items)} items, {len(self.assets)} assets>"
        )

    def _repr_html_(self) -> str:
        import html

        names = "".join(f"<li>{html.escape(row.id)}</li>" for row in self.collections[:20])
        return f"<p>{html.escape(repr(self))}</p><ul>{names}</ul>"


def _plain(kind: str, name: str) -> dict[str, Any]:
    return {
        "type": kind,
        "stac_version": "1.0.0",
        "id": name,
        "description": name,
        "links": [],
    }


def _extent(catalog: Catalog, row: int) -> dict[str, Any]:
    from haversack.catalog.info import extent

    box, times = extent(catalog, row)
    return {
        "license": "other",
        "extent": {
            "spatial": {"bbox": [box or [-180.0, -90.0, 180.0, 90.0]]},
            "temporal": {"interval": [list(times)]},
        },
    }
