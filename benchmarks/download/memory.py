"""How the memory of a whole download grows with the number of its assets.

usage: python -m benchmarks.download.memory ARCHIVE FOLDER WHAT
WHAT is ``plan`` or ``download``. Prints a line of JSON.
"""

import io
import json
import sys
import tarfile
import time
from pathlib import Path

from benchmarks.memory import resident

KEYS = ("red", "green", "blue", "nir")


def make_archive(path: Path, url: str, assets: int) -> None:
    """Write a catalog archive whose items have four small assets each."""
    links = [{"rel": "child", "href": "./fields/collection.json"}]
    collection = {"type": "Collection", "license": "CC0-1.0", "links": [], "extent": {}}
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        _add(archive, "farms/catalog.json", _document("farms", {"type": "Catalog", "links": links}))
        _add(archive, "farms/fields/collection.json", _document("fields", collection))
        for number in range(assets // len(KEYS)):
            name = f"fields_{number:07}"
            place = f"farms/fields/{name}/{name}.json"
            _add(archive, place, _document(name, _item(number, url)))


def make_tree(root: Path, url: str, files: int) -> None:
    """Make a dataset of the files ``{url}0.bin``, ..., four to an item, for a hub to serve."""
    fields, links = root / "farms" / "fields", []
    for begin in range(0, files, len(KEYS)):
        name = f"item{begin // len(KEYS)}"
        numbers = range(begin, min(begin + len(KEYS), files))
        assets = {str(number): {"href": f"{url}{number}.bin"} for number in numbers}
        (fields / name).mkdir(parents=True)
        item = _document(name, _item(begin, url) | {"assets": assets})
        (fields / name / f"{name}.json").write_bytes(item)
        links.append({"rel": "item", "href": f"./{name}/{name}.json"})
    about = {"type": "Collection", "license": "CC0-1.0", "links": links, "extent": {}}
    (fields / "collection.json").write_bytes(_document("fields", about))
    child = {"rel": "child", "href": "./fields/collection.json"}
    top = _document("farms", {"type": "Catalog", "links": [child]})
    (fields.parent / "catalog.json").write_bytes(top)


def _item(number: int, url: str) -> dict[str, object]:
    west, south = number % 360 - 180.0, number // 360 % 180 - 90.0
    return {
        "type": "Feature",
        "collection": "fields",
        "properties": {"datetime": "2020-05-17T10:00:00Z"},
        "geometry": {"type": "Point", "coordinates": [west, south]},
        "bbox": [west, south, west, south],
        "links": [],
        "assets": {key: {"href": f"{url}{number}/{key}.tif"} for key in KEYS},
    }


def _document(name: str, fields: dict[str, object]) -> bytes:
    document = {"id": name, "stac_version": "1.0.0", "description": name, **fields}
    return json.dumps(document).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def main(archive: str, folder: str, what: str) -> None:
    from haversack.download import download

    start = time.perf_counter()
    report = download(archive, folder, dry_run=what == "plan", allow_hosts=["127.0.0.1"])
    seconds, count = time.perf_counter() - start, report.fetched + report.waiting
    print(json.dumps({"held": resident(most=True), "seconds": seconds, "assets": count}))


if __name__ == "__main__":
    main(*sys.argv[1:])
