"""Floor 2: STAC in any form becomes one table of items and assets, and filters choose from it."""

from __future__ import annotations

import os
from pathlib import Path

from haversack.catalog.archive import looks_like_archive, read_archive
from haversack.catalog.catalog import Catalog
from haversack.catalog.filters import Filters, Match, Selection
from haversack.catalog.geoparquet import looks_like_geoparquet, read_geoparquet
from haversack.catalog.items import ItemsSource, looks_like_items, read_items
from haversack.catalog.properties import Where
from haversack.catalog.source import Source
from haversack.catalog.stac import decode
from haversack.catalog.table import Table
from haversack.catalog.tree import looks_like_tree, read_tree
from haversack.errors import (
    EmptySourceError,
    FormatError,
    PathNotFoundError,
    UnsupportedError,
)

__all__ = ["Catalog", "Filters", "Match", "Selection", "Where", "is_catalog", "read_catalog"]


def read_catalog(source: str | os.PathLike[str]) -> Catalog:
    """Read a STAC catalog where it lies; nothing is extracted or changed.

    Parameters
    ----------
    source
        A catalog archive (``.tar.gz``), the directory of a static catalog, its ``catalog.json`` or
        ``collection.json``, a tree that a download left, an ItemCollection (``.json``), a document
        a line (``.ndjson``), or stac-geoparquet (``.parquet``).

    Returns
    -------
    Catalog
        Its items and assets as one table.

    Raises
    ------
    PathNotFoundError
        Nothing stands there.
    EmptySourceError
        It is a whole ItemCollection, ndjson or stac-geoparquet without a single item.
    UnsupportedError
        The source is no path, but an address, say.
    FormatError
        It is damaged or no STAC; the message names the file or the archive's member.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> root = {"type": "Catalog", "stac_version": "1.1.0", "id": "farms", "description": "d"}
    >>> _ = Path("catalog.json").write_text(json.dumps(root | {"links": []}))
    >>> read_catalog(".")
    <Catalog 'farms': 0 collections, 0 items, 0 assets>
    """
    if not isinstance(source, str | os.PathLike):
        raise UnsupportedError(f"a catalog is read from a path, not from {source!r}")
    path = Path(source)
    if not path.exists():
        if isinstance(source, str) and "://" in source:
            raise UnsupportedError(
                f"an address ({source.partition('://')[0]}://...) is no path: fetch what is there "
                "with `haversack download` or haversack.download.download(), and read that"
            )
        raise PathNotFoundError(f"{path} does not exist")
    if path.is_file() and looks_like_items(path):
        return _catalog(path, *read_items(path), path.stem)
    if path.is_file() and looks_like_geoparquet(path):
        return _catalog(path, *read_geoparquet(path), path.stem)
    if path.is_file() and path.suffix != ".json":
        if not looks_like_archive(path):
            raise FormatError(f"{path} is no catalog archive: it is not gzip-compressed")
        archive, table, place = read_archive(path)
        name = path.name.removesuffix(".gz").removesuffix(".tar")
        return _catalog(path, archive, table, place, name)
    tree, table, place = read_tree(path)
    return _catalog(path, tree, table, place, tree.path.name)


def is_catalog(path: str | os.PathLike[str]) -> bool:
    """Tell whether a catalog archive or a static catalog stands at a path."""
    path = Path(path)
    if path.is_file() and (looks_like_items(path) or looks_like_geoparquet(path)):
        return True
    if path.is_file() and path.suffix != ".json":
        return looks_like_archive(path)
    return looks_like_tree(path)


def _catalog(path: Path, source: Source, table: Table, place: str | None, fallback: str) -> Catalog:
    """Put the parts together; the id is the root's, or what the file is called."""
    collections = table.finish()
    if place is None and not collections:
        if isinstance(source, ItemsSource):
            raise EmptySourceError(f"{path} is empty: there is no item in it")
        raise FormatError(f"{path} holds no STAC catalog, collection or item")
    root = None if place is None else decode(source.document(place), place)
    return Catalog(
        id=root.id if root else fallback,
        title=root.title if root else None,
        description=root.description if root else None,
        collections=collections,
        items=table.items,
        assets=table.assets,
        source=source,
        place=place,
    )
