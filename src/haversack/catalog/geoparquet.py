"""stac-geoparquet: items as rows of one Parquet file, read and written in batches.

https://github.com/radiantearth/stac-geoparquet-spec (1.0.0 and 1.1.0)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from haversack.catalog.arrow_types import Tree, as_arrow, find_type, merge
from haversack.catalog.items import ItemsSource, gather
from haversack.catalog.rest import REST, rest_of, with_rest
from haversack.catalog.stac import TREE_LINKS, resolve
from haversack.catalog.table import NO_ITEM, Table
from haversack.errors import FormatError, PathNotFoundError
from haversack.storage.looking import is_directory
from haversack.storage.publish import storage_error, temporary_beside, writing

if TYPE_CHECKING:
    import pyarrow as pa

    from haversack.catalog.catalog import Catalog

_ROWS = 5000
_FIELDS = ("type", "stac_version", "stac_extensions", "id", "links", "assets")
_TOP = frozenset({*_FIELDS, "geometry", "bbox", "collection", REST})
_CORNERS = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")
_TIMES = frozenset({"datetime", "start_datetime", "end_datetime", "created", "updated"})
_META = b"stac-geoparquet"
_UNREAD = (msgspec.DecodeError, msgspec.ValidationError)


def looks_like_geoparquet(path: Path) -> bool:
    """Tell a Parquet file by its first bytes."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read_geoparquet(path: Path) -> tuple[ItemsSource, Table, str | None]:
    """Read a stac-geoparquet file into a table.

    Raises
    ------
    FormatError
        It is no Parquet file, or lacks what makes a STAC item.
    """
    return gather(path, _documents(path))


def _documents(path: Path) -> Iterator[tuple[str, bytes]]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            metadata = schema.metadata or {}
            if "id" not in schema.names and _META not in metadata:
                raise FormatError(f"{path} is no stac-geoparquet: it has no column 'id'")
            yield from _collections(metadata)
            for batch in file.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    item = with_rest(_item(row), row.get(REST))
                    yield f"row {number}", msgspec.json.encode(item)
                    number += 1
    except (pa.ArrowException, OSError, shapely.errors.ShapelyError, TypeError, *_UNREAD) as error:
        raise FormatError(f"{path} is no whole stac-geoparquet, at row {number}: {error}") from None


def _collections(metadata: dict[bytes, bytes]) -> Iterator[tuple[str, bytes]]:
    try:
        told = json.loads(metadata.get(_META, b"{}"))
    except ValueError:
        return
    found = told.get("collections") if isinstance(told, dict) else None
    for name, document in (found or {}).items() if isinstance(found, dict) else ():
        yield f"collection {name}", msgspec.json.encode(document)


def _item(row: dict[str, Any]) -> dict[str, Any]:
    import shapely

    geometry, box = row.get("geometry"), row.get("bbox")
    shape = shapely.from_wkb(geometry) if geometry else None
    properties = {name: _told(value) for name, value in row.items() if name not in _TOP}
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": row.get("stac_version") or "1.0.0",
        "stac_extensions": row.get("stac_extensions") or [],
        "id": row.get("id"),
        "geometry": None if shape is None else json.loads(shapely.to_geojson(shape)),
        "properties": {name: value for name, value in properties.items() if value is not None},
        "links": _told(row.get("links")) or [],
        "assets": _told(row.get("assets")) or {},
    }
    item["properties"].setdefault("datetime", None)
    if isinstance(box, dict):
        item["bbox"] = [box[corner] for corner in _CORNERS if box.get(corner) is not None]
    elif box is not None:
        item["bbox"] = box
    return item | ({"collection": row["collection"]} if row.get("collection") else {})


def _told(value: Any) -> Any:
    """Write a value as JSON has it; what a row does not have is left out."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {name: _told(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_told(each) for each in value]
    return value


def write_geoparquet(catalog: Catalog, path: Path) -> None:
    """Write all items of a catalog, in batches.

    Properties are columns where one type holds them and no column of items has their name; what
    columns do not give back as it was is kept in one more (see :mod:`haversack.catalog.rest`).

    Raises
    ------
    PathNotFoundError
        The file's directory is not there.
    StorageError
        The disk is full or refuses.
    """
    import pyarrow.parquet as pq

    if not is_directory(path.parent):
        raise PathNotFoundError(f"cannot write {path}: the directory {path.parent} does not exist")
    temporary = temporary_beside(path)
    try:
        schema = _schema(catalog)
        with writing(temporary) as file, pq.ParquetWriter(file, schema, compression="zstd") as out:
            for items in _batches(catalog):
                out.write_table(_table(items, schema))
        temporary.replace(path)
    except OSError as error:
        raise storage_error("write", path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _schema(catalog: Catalog) -> pa.Schema:
    """Find one schema for all items, in a first pass."""
    import pyarrow as pa

    trees: dict[str, Tree] = {}
    for items in _batches(catalog):
        for name in dict.fromkeys(name for _, row in items for name in row):
            found = find_type([row.get(name) for _, row in items])
            trees[name] = merge(trees.get(name, pa.null()), found)
    types = {name: as_arrow(tree) for name, tree in trees.items()}
    fixed = {"geometry": pa.binary()} | dict.fromkeys(_TIMES, pa.timestamp("us", "UTC"))
    fixed |= {"bbox": pa.struct([(name, pa.float64()) for name in _CORNERS if name[0] != "z"])}
    fields = [
        (name, fixed.get(name, found) if found == pa.null() else found)
        for name, found in types.items()
        if found is not None
    ]
    return pa.schema([*fields, (REST, pa.string())], metadata=_metadata(catalog))


def _metadata(catalog: Catalog) -> dict[bytes, bytes]:
    codes = range(len(catalog.collections))
    described = {catalog.collections[code].id: _collection(catalog, code) for code in codes}
    geometry = {"encoding": "WKB", "geometry_types": []}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    told = {"version": "1.0.0", "collections": described}
    return {b"geo": json.dumps(geo).encode(), _META: json.dumps(told).encode()}


def _table(items: list[_Item], schema: pa.Schema) -> pa.Table:
    """Put items into columns, and into the last what those do not give back."""
    import pyarrow as pa

    fields = [field for field in schema if field.name != REST]
    columns = [_column([row.get(field.name) for _, row in items], field.type) for field in fields]
    found = pa.table(columns, schema=pa.schema(fields))
    pairs = zip(items, found.to_pylist(), strict=True)
    rest = [rest_of(document, _item(row)) for (document, _), row in pairs]
    return pa.table([*columns, pa.array(rest, pa.string())], schema=schema)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Make a column; an empty one where some value does not fit after all (2**53 + 1 in floats)."""
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError):
        return pa.nulls(len(values), kind)


_Item = tuple[dict[str, Any], dict[str, Any]]


def _batches(catalog: Catalog) -> Iterator[list[_Item]]:
    """Give items in lots, each as a document and as the values of columns."""
    for begin in range(0, len(catalog.items), _ROWS):
        rows = range(begin, min(begin + _ROWS, len(catalog.items)))
        documents = ((_document(catalog, row), row) for row in rows)
        yield [(document, _row(catalog, document, row)) for document, row in documents]


def _document(catalog: Catalog, row: int) -> dict[str, Any]:
    """Read an item, with references that do not depend on where it lies."""
    item = catalog.item(row)
    assets = item.get("assets") or {}
    for asset_row in catalog.items.assets_of(row):
        assert catalog.assets.item[asset_row] != NO_ITEM
        key = catalog.assets.key[asset_row]
        assets[key]["href"] = _from_anywhere(catalog, catalog.target(asset_row))
    return item | {"links": list(_links(catalog, item, catalog.items.place[row]))}


def _row(catalog: Catalog, item: dict[str, Any], row: int) -> dict[str, Any]:
    import shapely

    geometry, properties = item.get("geometry"), item.get("properties") or {}
    shape = shapely.from_geojson(json.dumps(geometry), on_invalid="ignore") if geometry else None
    box = catalog.items.box(row)
    flat = np.isinf(box.low)
    corners = zip(_CORNERS, box, strict=True)
    return {
        **{name: item.get(name) for name in _FIELDS},
        **{name: _timed(name, value) for name, value in properties.items() if name not in _TOP},
        "geometry": None if shape is None else shapely.to_wkb(shape),
        "bbox": None
        if np.isnan(box.west)
        else {name: value for name, value in corners if not (flat and name[0] == "z")},
        "collection": catalog.items.collection[row],
    }


def _collection(catalog: Catalog, code: int) -> dict[str, Any]:
    document, place = catalog.collection(code), catalog.collections[code].place or ""
    assets = document.get("assets")
    moved = {
        key: asset | {"href": _from_anywhere(catalog, resolve(asset["href"], place))}
        for key, asset in (assets.items() if isinstance(assets, dict) else ())
        if isinstance(asset, dict) and isinstance(asset.get("href"), str)
    }
    told = {"assets": moved} if moved else {}
    return document | {"links": list(_links(catalog, document, place))} | told


def _from_anywhere(catalog: Catalog, target: str) -> str:
    """Write a reference that does not depend on where the document lies that holds it."""
    return target if "://" in target else str(catalog.path.absolute() / target)


def _links(catalog: Catalog, document: dict[str, Any], place: str) -> Iterator[dict[str, Any]]:
    """Give the links of a document but for those of a tree, which a table is not part of."""
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        href = link.get("href") if isinstance(link, dict) else None
        if isinstance(href, str) and (link.get("rel") not in TREE_LINKS or "://" in href):
            yield link | {"href": _from_anywhere(catalog, resolve(href, place))}


def _timed(name: str, value: Any) -> Any:
    """Give a time as a moment, None where it is none."""
    if name not in _TIMES:
        return value
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
