"""Read a catalog with one reader, ask it questions, and say how long each took.

usage: python -m benchmarks.catalog.readers READER SOURCE FOLDER
Runs in the reader's own environment and prints a line of JSON. What a reader imports is imported
before the clock starts.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from benchmarks.memory import resident

BBOX = (0.0, 40.0, 10.0, 50.0)
POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [12, 0], [6, 9], [0, 0]]]}
DAY = ("2020-05-17T00:00:00Z", "2020-05-18T00:00:00Z")  # the end is not in it
CLOUDS = 1.0
QUESTIONS = ("keys ms", "bbox ms", "day ms", "clouds ms", "intersects ms")
_TIMES = 9


class Reader(Protocol):
    """A catalog that was read."""

    package: str

    def counts(self) -> tuple[int, int]:
        """Count items and assets."""
        ...

    def ask(self, question: str) -> int:
        """Give the number of assets that a question leaves."""
        ...


class Ours:
    package = "haversack"

    def __init__(self, source: str, folder: str) -> None:
        from haversack.catalog import read_catalog

        self._catalog = read_catalog(source)

    def counts(self) -> tuple[int, int]:
        return len(self._catalog.items), len(self._catalog.assets)

    def ask(self, question: str) -> int:
        from haversack.errors import EmptySelectionError

        how: dict[str, dict[str, Any]] = {
            "keys ms": {"asset_keys": ["red"]},
            "bbox ms": {"bbox": BBOX},
            "day ms": {"datetime": DAY[0][:10]},
            "clouds ms": {"where": f'"eo:cloud_cover" < {CLOUDS}'},
            "intersects ms": {"intersects": POLYGON},
        }
        try:
            return len(self._catalog.select(**how[question]).assets)
        except EmptySelectionError:
            return 0


class _Items:
    """Items in memory, each an object; a question goes over all of them."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def counts(self) -> tuple[int, int]:
        return len(self._items), sum(len(self._assets(item)) for item in self._items)

    def ask(self, question: str) -> int:
        if question == "keys ms":
            return sum("red" in self._assets(item) for item in self._items)
        chosen = getattr(self, f"_{question.split(maxsplit=1)[0]}")
        return sum(len(self._assets(item)) for item in self._items if chosen(item))

    def _assets(self, item: Any) -> Any:
        return item["assets"]

    def _field(self, item: Any, name: str) -> Any:
        return item[name]

    def _bbox(self, item: Any) -> bool:
        west, south, east, north = self._field(item, "bbox")
        return bool(west <= BBOX[2] and BBOX[0] <= east and south <= BBOX[3] and BBOX[1] <= north)

    def _day(self, item: Any) -> bool:
        about = self._field(item, "properties")
        start = about.get("start_datetime") or about["datetime"]
        return bool(start < DAY[1] and (about.get("end_datetime") or start) >= DAY[0])

    def _clouds(self, item: Any) -> bool:
        return bool(self._field(item, "properties")["eo:cloud_cover"] < CLOUDS)

    def _intersects(self, item: Any) -> bool:
        from shapely.geometry import shape

        return bool(shape(POLYGON).intersects(shape(self._field(item, "geometry"))))


class Pystac(_Items):
    package = "pystac"

    def __init__(self, source: str, folder: str) -> None:
        import tarfile

        import pystac

        found = []
        with tarfile.open(source, "r|gz") as archive:
            for member in archive:
                file = archive.extractfile(member)
                document = json.load(file) if file is not None else {}
                if document.get("type") == "Feature":
                    found.append(pystac.Item.from_dict(document, preserve_dict=False))
        super().__init__(found)

    def _assets(self, item: Any) -> Any:
        return item.assets

    def _field(self, item: Any, name: str) -> Any:
        return getattr(item, name)


class Rustac(_Items):
    package = "rustac"

    def __init__(self, source: str, folder: str) -> None:
        import asyncio

        import rustac

        async def read() -> Any:
            return await rustac.read(source)

        super().__init__(asyncio.run(read())["features"])


class Mlhub:
    """The old client: it fetches the archive of a hub (the source), and fills a SQLite database."""

    package = "radiant_mlhub"

    def __init__(self, source: str, folder: str) -> None:
        import sqlite3

        os.environ |= {"MLHUB_ROOT_URL": source, "MLHUB_API_KEY": "none"}
        from radiant_mlhub import Dataset
        from radiant_mlhub.client.catalog_downloader import CatalogDownloader

        # All its steps but the last, which fetches.
        def end(one: Any) -> None:
            one.db_conn.commit()

        setattr(CatalogDownloader, "_asset_download_step", end)  # noqa: B010
        Dataset.fetch("farms").download(folder)
        database = Path(folder) / "farms" / "mlhub_stac_assets.db"
        self._database = sqlite3.connect(database)

    def counts(self) -> tuple[int, int]:
        (found,) = self._database.execute(
            "select count(distinct item_id), count(*) from assets where item_id is not null"
        )
        return found[0], found[1]

    def ask(self, question: str) -> int:
        raise NotImplementedError("its filters are steps of a download")


READERS: dict[str, Callable[[str, str], Reader]] = {
    "haversack": Ours,
    "haversack, ndjson": Ours,
    "pystac": Pystac,
    "rustac, ndjson": Rustac,
    "radiant_mlhub": Mlhub,
}
_IMPORTS = {
    "haversack": ["haversack.catalog", "shapely"],
    "haversack, ndjson": ["haversack.catalog", "shapely"],
    "pystac": ["pystac", "shapely.geometry", "tarfile"],
    "rustac, ndjson": ["rustac", "shapely.geometry"],
    "radiant_mlhub": [],
}


def main(name: str, source: str, folder: str) -> None:
    for module in _IMPORTS[name]:
        import_module(module)
    start, before = time.perf_counter(), _spent()
    reader = READERS[name](source, folder)
    told: dict[str, Any] = {"seconds": time.perf_counter() - start, "cpu": _spent() - before}
    told["held"] = resident(most=True)
    told["items"], told["assets"] = reader.counts()
    told["version"] = version(reader.package)
    told["answers"] = {}
    for question in QUESTIONS:
        try:
            told["answers"][question] = _asked(reader, question)
        except NotImplementedError as error:
            told["answers"][question] = str(error)
    print(json.dumps(told))


def _asked(reader: Reader, question: str) -> tuple[int, float]:
    """Give what a question leaves, and the milliseconds that it took."""
    spent = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        left = reader.ask(question)
        spent.append((time.perf_counter() - start) * 1e3)
        if sum(spent) > 2_000:
            break
    return left, median(spent)


def _spent() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
