"""The datasets that the MLHub documents show, tiny, as a hub's directory."""

import json

PLACE = [-13.26, 8.46, -13.25, 8.47]  # within the documents' area
ELSEWHERE = [100.0, 20.0, 100.1, 20.1]

_TITLES = {
    "bigearthnet_v1": "BigEarthNet V1",
    "nasa_marine_debris": "Marine Debris Dataset for Object Detection in Planetscope Imagery",
    "ref_african_crops_kenya_02": "2019 Kenya Crop Type, Maize and Rice",
    "sen12floods": "SEN12-FLOOD, land cover under water",
    "umd_mali_crop_type": "2019 Mali CropType Training Data",
}
_DOIS = {"ref_african_crops_kenya_02": "10.6084/m9.figshare.12047478.v2"}
_BOTH = {"umd_mali_crop_type"}  # as the documents warn of
_KEYS = {
    "sen12floods_s2_source": ["B02", "B03", "B04", "B08", "B11"],
    "sen12floods_s2_labels": ["labels", "documentation"],
}
# An item in the documents' week and area, one in another month, one elsewhere.
_ITEMS = {
    "inside": ("2019-04-03T10:00:00Z", PLACE),
    "later": ("2019-09-01T10:00:00Z", PLACE),
    "elsewhere": ("2019-04-03T10:00:00Z", ELSEWHERE),
}


def write_old_hub(root):
    """Write every dataset that the documents fetch."""
    for name, title in _TITLES.items():
        _dataset(root / name, name, title)


def _dataset(home, name, title):
    collections = [f"{name}_s2_source", f"{name}_s2_labels"]
    links = [{"rel": "child", "href": f"./{one}/collection.json"} for one in collections]
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": name, "title": title}
    _write(home / "catalog.json", root | {"description": title, "links": links})
    types = [["source_imagery", "labels"] if name in _BOTH else ["source_imagery"], ["labels"]]
    _write(
        home / "dataset.json",
        {
            "id": name,
            "title": title,
            "doi": _DOIS.get(name),
            "collections": [
                {"id": one, "types": kinds} for one, kinds in zip(collections, types, strict=True)
            ],
        },
    )
    for one in collections:
        _collection(home / one, one)


def _collection(home, name):
    links = [{"rel": "item", "href": f"./{item}/{item}.json"} for item in _ITEMS]
    extent = {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [["2019-01-01T00:00:00Z", None]]},
    }
    document = {"type": "Collection", "stac_version": "1.0.0", "id": name, "license": "CC-BY-4.0"}
    _write(
        home / "collection.json",
        document | {"description": name, "extent": extent} | {"links": links},
    )
    for item, (when, box) in _ITEMS.items():
        _item(home / item, name, item, when, box)


def _item(home, collection, name, when, box):
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    assets = {}
    for key in _KEYS.get(collection, ["image"]):
        place = "../../_common/documentation.pdf" if key == "documentation" else f"./{key}.tif"
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_bytes(f"{collection} {key}".encode() * 9)
        assets[key] = {"href": place}
    document = {"type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection}
    where = {"geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": box}
    properties = {"properties": {"datetime": when}, "links": []}
    _write(home / f"{name}.json", document | where | properties | {"assets": assets})


def _write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
