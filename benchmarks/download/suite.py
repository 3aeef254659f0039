"""Fetch small and larger files from one server with every client, side by side, bytes checked."""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.download.clients import CLIENTS
from benchmarks.download.memory import make_archive, make_tree
from benchmarks.download.server import body
from benchmarks.figures import Figures
from benchmarks.report import lines, missing, number, table

OURS, CURL, STAC_ASSET = "haversack", "curl --parallel", "stac-asset"
MLHUB = "radiant_mlhub"
_RATE, _SHARE, _CPU, _HELD = "files/s", "of curl", "us of CPU a file", "MB held"
_SYSTEM = {OURS, "haversack, fsync none", CURL, "aria2"}
_LONGEST = 300


@dataclass(frozen=True)
class Load:
    """Files of one size, with or without TLS."""

    title: str
    size: int
    files: int
    tls: bool = False


LOADS = (
    Load("20 kB files", 20_480, 10_000),
    Load("20 kB files over TLS", 20_480, 5_000, tls=True),
    Load("5 MB files", 5_000_000, 100),
)
_TINY = Load("100 B files", 100, 0)
_MANY = 1_000_000


class Suite:
    """One run over scratch space; ``environments`` is the directory that the peers' are in."""

    def __init__(self, scratch: Path, environments: Path, *, quick: bool) -> None:
        self._scratch, self._quick = scratch, quick
        self._environments = environments
        self._rounds = 2 if quick else 5
        self._versions: dict[str, dict[str, str]] = {}

    def run(self) -> dict[str, Any]:
        """Measure everything, and give all raw figures."""
        tables = {}
        for load in LOADS:
            figures = self._measure(load)
            print(table(figures, f"{load.title}, 16 at once", list(CLIENTS), _COLUMNS, _cell))
            print(missing(figures))
            tables[load.title] = figures
        tables["memory"] = memory = self._measure_memory()
        print(
            table(memory, "Memory of a whole download of tiny files", ["plan", "download"], _GROWN)
        )
        print(missing(memory))
        print(f"### Targets\n\n{lines(_targets(tables))}\n")
        plain = {title: figures.plain() for title, figures in tables.items()}
        return {"versions": self._versions, "tables": plain}

    def _measure(self, load: Load) -> Figures:
        figures = Figures(load.title)
        files = max(50, load.files // 5) if self._quick else load.files
        with self._serving(load) as (url, ca), _hub(self._scratch / "hub", url, files) as hub:
            for turn in range(self._rounds):
                for client in CLIENTS:
                    if not figures.reason(_RATE, client):
                        self._try(figures, client, load, f"{url} {files} {turn}", ca, hub)
        return figures

    def _try(
        self, figures: Figures, client: str, load: Load, what: str, ca: str | None, hub: str
    ) -> None:
        url, files, turn = what.split()
        # A fresh directory each time: one that was emptied makes new files slower.
        folder = self._scratch / f"{load.size}-{load.tls}-{turn}-{list(CLIENTS).index(client)}"
        environment = "compat-mlhub" if client == MLHUB else "bench-download"
        theirs = self._environments / environment / "bin" / "python"
        python = sys.executable if client in _SYSTEM else str(theirs)
        ask = [python, "-m", "benchmarks.download.clients", client, url, files, str(folder)]
        try:
            told = subprocess.run(
                ask + ([ca] if ca else []),
                capture_output=True,
                text=True,
                timeout=_LONGEST,
                check=True,
                cwd=Path(__file__).parents[2],
                env=os.environ | {"MLHUB_ROOT_URL": hub, "MLHUB_API_KEY": "none"},
            )
            found = json.loads(told.stdout.splitlines()[-1])
            _check(folder, load, int(files))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            figures.fail(_RATE, client, said.strip().splitlines()[-1][:200])
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._versions.setdefault(client, {})[client] = found["version"]
        figures.add(_RATE, client, int(files) / found["seconds"])
        figures.add(_CPU, client, found["cpu"] / int(files) * 1e6)
        figures.add(_HELD, client, found["held"] / 1e6)

    def _measure_memory(self) -> Figures:
        """Compare what is held at few assets and at ten times as many, and draw the line."""
        figures = Figures("memory")
        few = 4_000 if self._quick else 20_000
        with self._serving(_TINY) as (url, _):
            for what in ("plan", "download"):
                try:
                    held = [self._held(what, url, assets) for assets in (few, 10 * few)]
                except (OSError, ValueError, subprocess.SubprocessError) as error:
                    figures.fail(_SLOPE, what, str(error)[:200])
                    continue
                slope = (held[1] - held[0]) / (9 * few)
                figures.add(_AT_FEW, what, held[0] / 1e6)
                figures.add(_AT_MORE, what, held[1] / 1e6)
                figures.add(_SLOPE, what, slope)
                figures.add(_AT_MANY, what, (held[1] + slope * (_MANY - 10 * few)) / 1e6)
        return figures

    def _held(self, what: str, url: str, assets: int) -> int:
        archive, folder = self._scratch / "farms.tar.gz", self._scratch / "memory"
        make_archive(archive, url, assets)
        ask = [sys.executable, "-m", "benchmarks.download.memory", str(archive), str(folder), what]
        try:
            told = subprocess.run(
                ask,
                capture_output=True,
                text=True,
                timeout=4 * _LONGEST,
                check=True,
                cwd=Path(__file__).parents[2],
            )
            found = json.loads(told.stdout.splitlines()[-1])
            if found["assets"] != assets:
                raise ValueError(f"{found['assets']} of {assets} assets")
            return int(found["held"])
        finally:
            archive.unlink()
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _serving(self, load: Load) -> Iterator[tuple[str, str | None]]:
        tls = [*_certificate(self._scratch)] if load.tls else []
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.download.server", str(load.size), *tls],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            yield f"http{'s' if tls else ''}://127.0.0.1:{port}/", tls[0] if tls else None
        finally:
            server.kill()
            server.communicate()


@contextmanager
def _hub(root: Path, url: str, files: int) -> Iterator[str]:
    """Serve a catalog of the files to the old client, which downloads what a hub has."""
    from haversack.server import background

    make_tree(root, url, files)
    try:
        with background(root) as server:
            yield server.api_root
    finally:
        shutil.rmtree(root)


def _certificate(folder: Path) -> tuple[str, str]:
    certificate, key = folder / "server.pem", folder / "server.key"
    if not certificate.exists():
        ask = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        ask += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-keyout", str(key)]
        ask += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate)]
        subprocess.run(ask, check=True, capture_output=True)
        ssl.create_default_context(cafile=certificate)
    return str(certificate), str(key)


def _check(folder: Path, load: Load, files: int) -> None:
    """Look at what came: every size, and the bytes of some."""
    found = sorted(folder.rglob("*.bin"))
    if len(found) != files or any(path.stat().st_size != load.size for path in found):
        raise ValueError(f"{len(found)} of {files} files came whole")
    right = hashlib.sha256(body(load.size)).digest()
    for path in found[:: max(1, files // 50)]:
        if hashlib.sha256(path.read_bytes()).digest() != right:
            raise ValueError(f"{path.name} has other bytes")


_AT_FEW, _AT_MORE = "MB at few assets", "MB at ten times as many"
_SLOPE, _AT_MANY = "B an asset", "MB at 1 M, on that line"
_GROWN = (_AT_FEW, _AT_MORE, _SLOPE, _AT_MANY)
_COLUMNS = (_RATE, _CPU, _HELD)


def _cell(figures: Figures, what: str, who: str) -> str:
    value = figures.get(what, who)
    share = figures.ratio(what, who, CURL) if what == _RATE else None
    return number(value) + ("" if share is None else f" · {share:.2f} of curl")


def _targets(tables: dict[str, Figures]) -> list[list[str]]:
    small = tables[LOADS[0].title]
    curl, peer = small.ratio(_RATE, OURS, CURL), small.ratio(_RATE, OURS, STAC_ASSET)
    return [
        ["20 kB files with part, rename and ledger row", "wanted", "measured"],
        ["files/s", ">= 8,000", number(small.get(_RATE, OURS))],
        ["beside curl --parallel, which keeps no state", ">= 0.65 x", f"{number(curl)} x"],
        ["beside stac-asset", ">= 4 x", f"{number(peer)} x"],
        ["MB held at 1 M assets", "<= 150", number(tables["memory"].get(_AT_MANY, "download"))],
    ]
