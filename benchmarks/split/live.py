"""How soon a reader in another process sees a frame after its writer was told that it is safe."""

import multiprocessing as mp
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.report import lines, number

RATE = 20  # volumes a second
SHAPE = (10, 512, 512)  # of uint16: 5.2 MB
BLOCK = 20  # volumes of a block
_FULL, _QUICK = 400, 60
_START = 1.0  # seconds, in which the reader gets ready
_WAIT = 30.0


def measure(scratch: Path, *, quick: bool) -> dict[str, list[float]]:
    """Record and watch; all times are in milliseconds."""
    context, count = mp.get_context("spawn"), _QUICK if quick else _FULL
    with TemporaryDirectory(dir=scratch) as directory:
        path = Path(directory) / "live"
        mine, other = context.Pipe()
        writer = context.Process(target=_record, args=(path, count, other))
        writer.start()
        mine.recv()
        seen = _watch(path, count)
        begun, ended = np.array(mine.recv()).T
        writer.join()
    return {
        "append": ((ended - begun) * 1e3).tolist(),
        "seen after append": ((np.array(seen) - ended) * 1e3).tolist(),
        "late": ((begun - begun[0] - np.arange(len(begun)) / RATE) * 1e3).tolist(),
    }


def table(figures: dict[str, list[float]]) -> str:
    """Write the middle, the 95th hundredth and the worst of each."""
    rows = [["ms", "median", "p95", "most"]]
    for name, found in figures.items():
        rows.append([name, *(number(float(each)) for each in np.percentile(found, (50, 95, 100)))])
    size = f"{RATE} volumes of 5.2 MB a second"
    return f"### A reader beside a writer of {size}, in blocks of {BLOCK}\n\n{lines(rows)}\n"


def _volume() -> np.ndarray:
    return np.random.default_rng(0).poisson(120, SHAPE).astype("uint16")


def _record(path: Path, count: int, pipe: Any) -> None:
    from haversack.split import FrameWriter

    frame, times = _volume(), []
    with FrameWriter(path, block_size=(BLOCK, None, None, None)) as writer:
        writer.append(frame)
        pipe.send(None)
        start = time.monotonic() + _START
        for t in range(1, count):
            time.sleep(max(0.0, start + t / RATE - time.monotonic()))
            frame[0, 0, 0] = t
            begun = time.monotonic()
            writer.append(frame)
            times.append((begun, time.monotonic()))
    pipe.send(times)


def _watch(path: Path, count: int) -> list[float]:
    from haversack.split import SplitDataset

    seen: list[float] = []
    for t, frame in enumerate(SplitDataset(path).follow(timeout=_WAIT), 1):
        if frame[0, 0, 0] != t:
            raise ValueError(f"frame {t} holds {frame[0, 0, 0]}")
        seen.append(time.monotonic())
        if t == count - 1:
            break
    return seen
