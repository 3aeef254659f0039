"""Small catalogs, made on the spot."""

import io
import json
import tarfile

import pytest


def _item(name, *, collection="fields", assets=None, when="2020-05-17T10:00:00Z", **fields):
    point = fields.pop("point", (10.0, 20.0))
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "properties": fields.pop("properties", {"datetime": when}),
        "geometry": {"type": "Point", "coordinates": list(point)},
        "bbox": [*point, *point],
        "links": [{"rel": "collection", "href": "../collection.json"}],
        "assets": {
            key: {"href": value} if isinstance(value, str) else value
            for key, value in (assets or {}).items()
        },
        **fields,
    }


def _collection(name="fields", items=(), assets=None):
    links = [{"rel": "item", "href": f"{item}/{item}.json"} for item in items]
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "title": name.title(),
        "description": "fields seen from above",
        "license": "CC-BY-4.0",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]},
        },
        "links": links,
        "assets": assets or {},
    }


def _catalog(name="farms", children=("fields",)):
    links = [{"rel": "child", "href": f"{child}/collection.json"} for child in children]
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": name,
        "description": "farms",
        "links": links,
    }


def _farms(items, **collection):
    """Name the documents of a catalog of one collection."""
    documents = {
        "farms/catalog.json": _catalog(),
        "farms/fields/collection.json": _collection(items=[i["id"] for i in items], **collection),
    }
    return documents | {f"farms/fields/{i['id']}/{i['id']}.json": i for i in items}


def _encode(content):
    return content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.fixture
def item():
    return _item


@pytest.fixture
def collection():
    return _collection


@pytest.fixture
def root():
    return _catalog


@pytest.fixture
def farms():
    return _farms


@pytest.fixture
def archive(tmp_path):
    """Write files as a .tar.gz, and give its path."""

    def write(files, name="farms.tar.gz", **options):
        with tarfile.open(tmp_path / name, "w:gz", **options) as tar:
            for path, content in files.items():
                encoded = _encode(content)
                member = tarfile.TarInfo(path)
                member.size = len(encoded)
                tar.addfile(member, io.BytesIO(encoded))
        return tmp_path / name

    return write


@pytest.fixture
def tree(tmp_path):
    """Write files below a directory, and give its path."""

    def write(files, name="tree"):
        for path, content in files.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(_encode(content))
        return tmp_path / name

    return write
