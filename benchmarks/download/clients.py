"""Fetch many files with one client, and say how long it took.

usage: python -m benchmarks.download.clients CLIENT URL FILES FOLDER [CA]
Asks for URL0.bin to URL{FILES-1}.bin, 16 at once (8 where a client has threads that wait), each
into a folder of four; the old client downloads, as it does, all that the hub at MLHUB_ROOT_URL
lists. Runs in the client's own environment and prints a line of JSON. What a client imports is
imported before the clock starts.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from benchmarks.memory import resident

_AT_ONCE = 16


def places(url: str, files: int, folder: Path) -> list[tuple[str, Path]]:
    return [(f"{url}{n}.bin", folder / f"item{n // 4}" / f"{n % 4}.bin") for n in range(files)]


def make_folders(wanted: Iterable[tuple[str, Path]]) -> None:
    for _, path in wanted:
        path.parent.mkdir(parents=True, exist_ok=True)


def haversack(wanted: list[tuple[str, Path]], ca: str | None, fsync: str = "batch") -> str:
    from haversack import __version__
    from haversack.download.ledger import LEDGER_NAME, Ledger
    from haversack.download.transfer import Request, transfer

    requests = [Request(url, str(path)) for url, path in wanted]
    folder = wanted[0][1].parents[1]
    folder.mkdir(parents=True)
    with Ledger(folder / LEDGER_NAME) as ledger:
        options = {"ledger": ledger, "fsync": fsync, "ca": ca}
        for outcome in transfer(requests, source_origin=wanted[0][0], **options):
            if outcome.error:
                raise RuntimeError(outcome.error)
    return __version__


def haversack_unsynced(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    return haversack(wanted, ca, "none")


def curl(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    lines = [f'url="{url}"\noutput="{path}"\n' for url, path in wanted]
    command = ["curl", "--silent", "--no-progress-meter", "--fail", "--create-dirs", "--parallel"]
    command += ["--parallel-max", str(_AT_ONCE), "--config", "-", *(["--cacert", ca] if ca else [])]
    subprocess.run(command, input="".join(lines), text=True, check=True)
    told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[1]


def aria2(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    lines = [f"{url}\n dir={path.parent}\n out={path.name}\n" for url, path in wanted]
    command = ["aria2c", "--quiet", f"--max-concurrent-downloads={_AT_ONCE}", "--input-file=-"]
    command += [f"--ca-certificate={ca}"] if ca else []
    subprocess.run(command, input="".join(lines), text=True, check=True)
    told = subprocess.run(["aria2c", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[2]


def requests(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    import threading

    import requests

    make_folders(wanted)
    kept = threading.local()

    def fetch(one: tuple[str, Path]) -> None:
        if not hasattr(kept, "session"):
            kept.session = requests.Session()
        with kept.session.get(one[0], stream=True, verify=ca or True) as answer:
            answer.raise_for_status()
            with one[1].open("wb") as file:
                for chunk in answer.iter_content(1 << 18):
                    file.write(chunk)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fetch, wanted))
    return version("requests")


def aiohttp(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    import asyncio
    import ssl

    import aiohttp

    make_folders(wanted)
    context = ssl.create_default_context(cafile=ca) if ca else True

    async def work(session: aiohttp.ClientSession, todo: list[tuple[str, Path]]) -> None:
        while todo:
            url, path = todo.pop()
            async with session.get(url) as answer:
                answer.raise_for_status()
                with path.open("wb") as file:
                    async for chunk in answer.content.iter_any():
                        file.write(chunk)

    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=_AT_ONCE, ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            todo = wanted[::-1]
            await asyncio.gather(*(work(session, todo) for _ in range(_AT_ONCE)))

    asyncio.run(run())
    return version("aiohttp")


def obstore(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    from obstore.store import HTTPStore

    if ca:
        raise RuntimeError("it takes no certificate authority of ours")
    make_folders(wanted)
    base = wanted[0][0].rsplit("/", 1)[0]
    store = HTTPStore.from_url(base, client_options={"allow_http": True})

    def fetch(one: tuple[str, Path]) -> None:
        with one[1].open("wb") as file:
            for chunk in store.get(one[0].rsplit("/", 1)[1]).stream():
                file.write(chunk)

    with ThreadPoolExecutor(_AT_ONCE // 2) as pool:
        list(pool.map(fetch, wanted))
    return version("obstore")


def stac_asset(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    import asyncio

    import pystac
    import stac_asset

    if ca:
        raise RuntimeError("it takes no certificate authority of ours")
    items = []
    for begin in range(0, len(wanted), 4):
        item = pystac.Item(f"item{begin}", None, None, datetime.now(UTC), {})
        for url, path in wanted[begin : begin + 4]:
            item.add_asset(path.stem, pystac.Asset(url))
        items.append(item)
    config = stac_asset.Config(make_directory=True)
    folder = wanted[0][1].parents[1]

    async def run() -> None:
        collection = pystac.ItemCollection(items)
        await stac_asset.download_item_collection(
            collection, str(folder), config=config, max_concurrent_downloads=_AT_ONCE
        )

    asyncio.run(run())
    return version("stac-asset")


def radiant_mlhub(wanted: list[tuple[str, Path]], ca: str | None) -> str:
    from radiant_mlhub import Dataset

    if ca:
        os.environ["REQUESTS_CA_BUNDLE"] = ca
    Dataset.fetch("farms").download(wanted[0][1].parents[1])
    return version("radiant_mlhub")


CLIENTS: dict[str, Callable[[list[tuple[str, Path]], str | None], str]] = {
    "haversack": haversack,
    "haversack, fsync none": haversack_unsynced,
    "curl --parallel": curl,
    "aria2": aria2,
    "obstore": obstore,
    "aiohttp": aiohttp,
    "requests": requests,
    "stac-asset": stac_asset,
    "radiant_mlhub": radiant_mlhub,
}

IMPORTS = {
    "haversack": ["haversack.download.ledger", "haversack.download.transfer"],
    "haversack, fsync none": ["haversack.download.ledger", "haversack.download.transfer"],
    "obstore": ["obstore.store"],
    "aiohttp": ["aiohttp"],
    "requests": ["requests"],
    "stac-asset": ["pystac", "stac_asset"],
    "radiant_mlhub": ["radiant_mlhub"],
}


def main(client: str, url: str, files: str, folder: str, ca: str | None = None) -> None:
    wanted = places(url, int(files), Path(folder))
    for module in IMPORTS.get(client, []):
        import_module(module)
    start, before = time.perf_counter(), _spent()
    told = CLIENTS[client](wanted, ca)
    seconds, spent = time.perf_counter() - start, _spent() - before
    print(json.dumps({"seconds": seconds, "cpu": spent, "held": _held(), "version": told}))


def _held() -> int:
    """Give the most memory that the client held, in bytes: its own process's, or ours."""
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    # What getrusage says of ourselves is at least what our parent held.
    return child * 1024 or resident(most=True)


def _spent() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    main(*sys.argv[1:])
