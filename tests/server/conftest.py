"""A tiny hub directory, made by hand with every edge in it, and ways to ask its server."""

import http.client
import json
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from haversack.server import background

KEY = "s3cr&t+k%e"
PAYLOADS = {
    "fields/fields_source/field_1/B04.tif": b"II*\x00" + bytes(range(256)) * 4,
    "fields/fields_source/field_1/cloud mask #1.png": b"\x89PNG mask",
    "fields/fields_source/field_2/B04.tif": b"II*\x00 second",
    "fields/fields_labels/label_1/labels.geojson": b'{"type":"FeatureCollection","features":[]}',
    "fields/fields_labels/readings.csv": b"plot,moisture\n1,0.4\n",
    "fields/_common/documentation.pdf": b"%PDF-1.4 shared",
    "fields/secret.txt": b"no catalog names this",
    "floods/floods_source/flood 1/VV.tif": b"II*\x00" + b"\x55" * 600_000,
}


def _link(rel, href):
    return {"rel": rel, "href": href, "type": "application/json"}


def _item(ident, collection, assets, **more):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": ident,
        "collection": collection,
        "geometry": {"type": "Point", "coordinates": [36.8, -1.3]},
        "bbox": [36.8, -1.3, 36.8, -1.3],
        "properties": {"datetime": "2020-06-01T00:00:00Z"},
        "links": [_link("collection", "../collection.json"), _link("root", "../../catalog.json")],
        "assets": {key: {"href": href} for key, href in assets.items()},
    } | more


def _collection(ident, items, **more):
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": ident,
        "title": ident.replace("_", " "),
        "description": "Scenes of the rainy season",
        "license": "CC-BY-4.0",
        "extent": {
            "spatial": {"bbox": [[36.0, -2.0, 37.0, -1.0]]},
            "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]},
        },
        "links": [_link("root", "../catalog.json"), _link("parent", "../catalog.json")]
        + [_link("item", f"./{item}/{item}.json") for item in items],
        "assets": {},
    } | more


def _catalog(ident, collections, **more):
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": ident,
        "description": "Made for the tests",
        "links": [_link("child", f"./{name}/collection.json") for name in collections],
    } | more


COMMON = "../../_common/documentation.pdf"
LABELS = {"stac_extensions": ["https://stac-extensions.github.io/label/v1.0.1/schema.json"]}
DOCUMENTS = {
    "fields/catalog.json": _catalog("fields", ["fields_source", "fields_labels"], title="Fields"),
    "fields/dataset.json": {
        "id": "fields",
        "title": "Crop fields of Kenya",
        "doi": "10.1234/fields.v1",
        "citation": "Doe (2021) Maize  and\nrice",
        "tags": ["crops", "sentinel-2"],
    },
    "fields/fields_source/collection.json": _collection("fields_source", ["field_2", "field_1"]),
    "fields/fields_source/field_1/field_1.json": _item(
        "field_1",
        "fields_source",
        {"B04": "./B04.tif", "mask": "./cloud%20mask%20%231.png", "documentation": COMMON},
    ),
    "fields/fields_source/field_2/field_2.json": _item(
        "field_2",
        "fields_source",
        {"B04": "B04.tif", "documentation": COMMON, "far": "https://example.org/a.tif"},
    ),
    "fields/fields_labels/collection.json": _collection(
        "fields_labels", ["label_1"], assets={"readings": {"href": "./readings.csv"}}
    ),
    "fields/fields_labels/label_1/label_1.json": _item(
        "label_1",
        "fields_labels",
        {"labels": "./labels.geojson"},
        links=[
            _link("root", "../../catalog.json"),
            _link("source", "../../fields_source/field_1/field_1.json"),
            _link("about", "https://example.org/about"),
            _link("about", "../../../../etc/passwd"),
        ],
        **LABELS,
    ),
    "floods/catalog.json": _catalog("floods", ["floods_source"]),
    "floods/floods_source/collection.json": _collection(
        "floods_source", ["flood 1", "both"], keywords=["sentinel-1"], **{"sci:doi": "10.9/floods"}
    ),
    "floods/floods_source/flood 1/flood 1.json": _item(
        "flood 1",
        "floods_source",
        {"VV": "./VV.tif", "escape": "../../../fields/secret.txt", "root": "/etc/passwd"},
    ),
    "floods/floods_source/both/both.json": _item(
        "both",
        "floods_source",
        {},
        properties={"datetime": "2020-06-02T00:00:00Z", "ml-model:type": "ml-model"},
        **LABELS,
    ),
}


def _write(root):
    for path, content in PAYLOADS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    for path, document in DOCUMENTS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(json.dumps(document))
    return root


@pytest.fixture
def hub(tmp_path):
    """The directory of a hub with two datasets, which the test may change."""
    return _write(tmp_path / "hub")


@pytest.fixture(scope="session")
def still_hub(tmp_path_factory):
    """The same, which no test changes."""
    return _write(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="session")
def payloads():
    """What lies in the hub beside its documents."""
    return PAYLOADS


@dataclass
class Answer:
    """What came back for one request."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class Asker:
    """Sends requests exactly as they are written: nothing is normalised or followed."""

    def __init__(self, url):
        self.url, self.api = url, "/mlhub/v1"
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)

    def __call__(self, path, *, method="GET", **headers):
        path = path.removeprefix(self.url)
        if not path.startswith("/"):
            path = f"{self.api}/{path}"
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            answer = self._ask(method, path, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError):
            self._connection.close()  # the server has closed it, as it was not used for a while
            answer = self._ask(method, path, headers)
        return Answer(answer.status, answer.headers, answer.read())

    def _ask(self, method, path, headers):
        self._connection.request(method, path, headers=headers)
        return self._connection.getresponse()

    def close(self):
        """Give the connection back."""
        self._connection.close()


@contextmanager
def asking(root, **options):
    """Serve a directory and give a way to ask its server."""
    with background(root, **options) as server, closing(Asker(server.url)) as asker:
        yield asker


@pytest.fixture(scope="session")
def ask(still_hub):
    """Ask the server of the hub that nobody changes."""
    with asking(still_hub) as asker:
        yield asker


@pytest.fixture(scope="session")
def ask_with_key(still_hub):
    """Ask a server of the same hub that wants a key."""
    with asking(still_hub, api_key=KEY) as asker:
        yield asker


@pytest.fixture(scope="session")
def key():
    """The key of that server."""
    return KEY


@pytest.fixture(scope="session")
def serving():
    """Serve any directory: ``with serving(root) as ask``."""
    return asking
