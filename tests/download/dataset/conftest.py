"""A small dataset whose assets a real server has, as an archive or a tree."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Farms:
    """The documents and files of a dataset, by path; change them, then write them."""

    files: dict[str, Any] = field(default_factory=dict)
    name: str = "farms"

    def add_item(self, name, assets, collection="fields", **fields):
        folder = f"{self.name}/{collection}"
        place = f"{folder}/{name}/{name}.json"
        self.files[place] = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "id": name,
            "collection": collection,
            "properties": {"datetime": "2020-05-17T10:00:00Z"},
            "geometry": {"type": "Point", "coordinates": [1, 2]},
            "bbox": [1, 2, 1, 2],
            "links": [],
            "assets": {
                key: {"href": value} if isinstance(value, str) else value
                for key, value in assets.items()
            },
        } | fields
        self.add_collection(collection)["links"].append(
            {"rel": "item", "href": f"./{name}/{name}.json"}
        )
        return self.files[place]

    def add_collection(self, name="fields", assets=None):
        root = self.files.setdefault(
            f"{self.name}/catalog.json",
            {
                "type": "Catalog",
                "stac_version": "1.0.0",
                "id": self.name,
                "description": "farms",
                "links": [],
            },
        )
        place = f"{self.name}/{name}/collection.json"
        if place not in self.files:
            root["links"].append({"rel": "child", "href": f"./{name}/collection.json"})
        return self.files.setdefault(
            place,
            {
                "type": "Collection",
                "stac_version": "1.0.0",
                "id": name,
                "description": name,
                "license": "CC-BY-4.0",
                "extent": {
                    "spatial": {"bbox": [[0, 0, 1, 1]]},
                    "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]},
                },
                "links": [],
                "assets": assets or {},
            },
        )

    def _encoded(self):
        return {
            path: content if isinstance(content, bytes) else json.dumps(content).encode()
            for path, content in self.files.items()
        }

    def packed(self):
        """The archive's bytes."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for path, content in self._encoded().items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    def archive(self, folder):
        folder.mkdir(exist_ok=True)
        path = folder / f"{self.name}.tar.gz"
        path.write_bytes(self.packed())
        return path

    def tree(self, folder):
        for path, content in self._encoded().items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return folder / self.name


@pytest.fixture
def empty():
    return Farms()


@pytest.fixture
def farms(server):
    """Three items with an image each, a document that they share, and a table of the collection."""
    made = Farms()
    table = {"table": {"href": server.file("/table.csv", b"a,b")}}
    made.add_collection(assets=table)
    document = server.file("/about/manual.pdf", b"how to farm")
    for n in range(3):
        image = server.file(f"/{n}/red.tif", f"image {n}".encode() * 100)
        made.add_item(f"item{n}", {"red": image, "documentation": document})
    return made


@pytest.fixture
def source(tmp_path):
    """Where sources are written, apart from what is downloaded."""
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def listing():
    """Every file below a directory that is no ledger, by relative path."""

    def files(folder):
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".db"
        }

    return files
