"""A catalog of believable items: places drawn from a seed, some with a start and an end."""

import io
import json
import math
import random
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

KEYS = ("red", "green", "blue", "nir")
COLLECTION = "farms_fields"
_ROOT = "farms"
_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def items(count: int) -> Iterator[dict[str, object]]:
    """Draw items of four assets each; their geometries are squares that were turned."""
    rng = random.Random(5)
    for number in range(count):
        ring = _square(rng.uniform(-175, 175), rng.uniform(-80, 80), rng.uniform(0, math.pi))
        west, south = (min(point[axis] for point in ring) for axis in (0, 1))
        east, north = (max(point[axis] for point in ring) for axis in (0, 1))
        name = f"{COLLECTION}_{number:07}"
        yield {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": ["https://stac-extensions.github.io/eo/v1.1.0/schema.json"],
            "id": name,
            "collection": COLLECTION,
            "properties": _properties(rng),
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "bbox": [west, south, east, north],
            "links": [
                {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
                {"rel": "collection", "href": "../collection.json", "type": "application/json"},
                {"rel": "parent", "href": "../collection.json", "type": "application/json"},
            ],
            "assets": {key: _asset(name, key) for key in KEYS},
        }


def _square(x: float, y: float, turned: float) -> list[list[float]]:
    corners = [turned + quarter * math.pi / 2 for quarter in range(5)]
    return [[round(x + math.cos(a) * 0.4, 6), round(y + math.sin(a) * 0.4, 6)] for a in corners]


def _properties(rng: random.Random) -> dict[str, object]:
    moment = _FIRST + timedelta(minutes=rng.randrange(2 * 366 * 24 * 60))
    found: dict[str, object] = {"eo:cloud_cover": round(rng.uniform(0, 100), 2), "gsd": 10}
    if rng.random() < 0.1:
        found |= {"datetime": None, "start_datetime": _text(moment)}
        return found | {"end_datetime": _text(moment + timedelta(days=5))}
    return found | {"datetime": _text(moment)}


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _asset(item: str, key: str) -> dict[str, object]:
    href = f"https://data.example.org/{COLLECTION}/{item}/{key}.tif"
    return {"href": href, "type": _TYPE, "title": f"{key} band", "roles": ["data"]}


def write(count: int, folder: Path) -> tuple[Path, Path]:
    """Write a catalog archive, and the same items one a line."""
    archive, lines = folder / f"{_ROOT}.tar.gz", folder / f"{_ROOT}.ndjson"
    with (
        tarfile.open(archive, "w:gz", compresslevel=6) as packed,
        lines.open("w", encoding="utf-8") as told,
    ):
        for place, document in _documents():
            _add(packed, f"{_ROOT}/{place}", json.dumps(document))
        for item in items(count):
            text = json.dumps(item)
            _add(packed, f"{_ROOT}/{COLLECTION}/{item['id']}/{item['id']}.json", text)
            told.write(f"{text}\n")
    return archive, lines


def extract(archive: Path, root: Path) -> None:
    """Make a tree of an archive, in which links lead to the items, as a server needs it."""
    with tarfile.open(archive) as packed:
        packed.extractall(root, filter="data")
    place = root / _ROOT / COLLECTION / "collection.json"
    document = json.loads(place.read_text())
    names = sorted(folder.name for folder in place.parent.iterdir() if folder.is_dir())
    document["links"] = [{"rel": "item", "href": f"./{name}/{name}.json"} for name in names]
    place.write_text(json.dumps(document))


def _documents() -> list[tuple[str, dict[str, object]]]:
    plain: dict[str, object] = {"stac_version": "1.0.0", "description": "fields of farms"}
    child = {"rel": "child", "href": f"./{COLLECTION}/collection.json"}
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    collection = {"id": COLLECTION, "license": "CC0-1.0", "extent": extent, "links": []}
    return [
        ("catalog.json", plain | {"type": "Catalog", "id": _ROOT, "links": [child]}),
        (
            f"{COLLECTION}/collection.json",
            plain | {"type": "Collection", "id": COLLECTION} | collection,
        ),
    ]


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
