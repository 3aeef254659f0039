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
import shapely

from haversack.catalog.items import ItemsSource, gather
from haversack.catalog.stac import TREE_LINKS, resolve
from haversack.catalog.table import NO_ITEM, Table
from haversack.errors import FormatError
from haversack.storage.publish import storage_error, temporary_beside, writing

if TYPE_CHECKING:
    from haversack.catalog.catalog import Catalog

_ROWS = 5000
_FIELDS = ("type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets")
_TOP = frozenset({*_FIELDS, "collection"})
_CORNERS = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")
_TIMES = frozenset({"datetime", "start_datetime", "end_datetime", "created", "updated"})
_META = b"stac-geoparquet"


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
                    yield f"row {number}", msgspec.json.encode(_item(row))
                    number += 1
    except (pa.ArrowException, OSError, shapely.errors.ShapelyError, TypeError) as error:
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

    Raises
    ------
    FormatError
        Items disagree in the type of a property, which a Parquet column cannot hold.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    temporary = temporary_beside(path)
    try:
        schema = _schema(catalog)
        with writing(temporary) as file, pq.ParquetWriter(file, schema, compression="zstd") as out:
            for rows in _batches(catalog):
                out.write_table(pa.Table.from_pylist(rows, schema=schema))
        temporary.replace(path)
    except pa.ArrowException as error:
        raise FormatError(f"{catalog.id!r} does not fit into one table: {error}") from None
    except OSError as error:
        raise storage_error("write", path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _schema(catalog: Catalog) -> Any:
    """Find one schema for all items, in a first pass."""
    import pyarrow as pa

    schema = None
    for rows in _batches(catalog):
        names = dict.fromkeys(name for row in rows for name in row)
        found = pa.table({name: [row.get(name) for row in rows] for name in names}).schema
        both = [found] if schema is None else [schema, found]
        schema = pa.unify_schemas(both, promote_options="permissive")
    schema = pa.schema([]) if schema is None else schema
    codes = range(len(catalog.collections))
    described = {catalog.collections[code].id: _collection(catalog, code) for code in codes}
    geometry = {"encoding": "WKB", "geometry_types": []}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    told = {"version": "1.0.0", "collections": described}
    return schema.with_metadata({b"geo": json.dumps(geo), _META: json.dumps(told)})


def _batches(catalog: Catalog) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(catalog.items), _ROWS):
        rows = range(begin, min(begin + _ROWS, len(catalog.items)))
        yield [_row(catalog, row) for row in rows]


def _row(catalog: Catalog, row: int) -> dict[str, Any]:
    item = catalog.item(row)
    geometry = item.get("geometry")
    shape = shapely.from_geojson(json.dumps(geometry)) if geometry else None
    box = catalog.items.box(row)
    flat = np.isinf(box.low)
    corners = zip(_CORNERS, box, strict=True)
    assets = item.get("assets") or {}
    for asset_row in catalog.items.assets_of(row):
        assert catalog.assets.item[asset_row] != NO_ITEM
        key = catalog.assets.key[asset_row]
        assets[key]["href"] = _from_anywhere(catalog, catalog.target(asset_row))
    return {
        **{name: item.get(name) for name in _FIELDS},
        "links": list(_links(catalog, item, catalog.items.place[row])),
        **{name: _timed(name, value) for name, value in (item.get("properties") or {}).items()},
        "geometry": None if shape is None else shapely.to_wkb(shape),
        "bbox": None
        if np.isnan(box.west)
        else {name: value for name, value in corners if not (flat and name[0] == "z")},
        "assets": assets,
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
    if name not in _TIMES or not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
