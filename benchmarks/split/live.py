"""How soon a reader in another process sees a frame after its writer was told that it is safe."""

import multiprocessing as mp
import time
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.records.race import FailedError
from benchmarks.report import lines, number

RATE = 20  # volumes a second
SHAPE = (10, 512, 512)  # of uint16: 5.2 MB
BLOCK = 20  # volumes of a block
_FULL, _QUICK = 400, 60
_START = 1.0  # seconds, in which the reader gets ready
_WAIT = 30.0


def measure(scratch: Path, *, quick: bool) -> dict[str, list[float]]:
    """Record and watch; all times are in milliseconds.

    Raises
    ------
    FailedError
        The writer died, or the reader did not see every frame as it was written.
    """
    count = _QUICK if quick else _FULL
    with TemporaryDirectory(dir=scratch) as directory:
        times, seen = _beside_a_writer(Path(directory) / "live", count)
    if not len(times) == len(seen) == count - 1:
        raise FailedError(f"{len(times)} frames of {count - 1} were written, {len(seen)} were seen")
    begun, ended = np.array(times).T
    return {
        "append": ((ended - begun) * 1e3).tolist(),
        "seen after append": ((np.array(seen) - ended) * 1e3).tolist(),
        "late": ((begun - begun[0] - np.arange(len(begun)) / RATE) * 1e3).tolist(),
    }


def _beside_a_writer(path: Path, count: int) -> tuple[list[tuple[float, float]], list[float]]:
    """Give when each append began and ended, and when its frame was seen."""
    context = mp.get_context("spawn")
    mine, other = context.Pipe(duplex=False)
    writer = context.Process(target=_record, args=(path, count, other))
    writer.start()
    other.close()  # so that the writer's end is the only one, and its death is seen
    try:
        mine.recv()
        seen = _watch(path, count)
        return mine.recv(), seen
    except EOFError:
        writer.join()
        raise FailedError(f"the writer ended with {writer.exitcode}") from None
    finally:
        writer.kill()
        writer.join()
        mine.close()


def table(figures: dict[str, list[float]]) -> str:
    """Write the middle, the 95th hundredth and the worst of each."""
    rows = [["ms", "median", "p95", "most"]]
    for name, found in figures.items():
        rows.append([name, *(number(float(each)) for each in np.percentile(found, (50, 95, 100)))])
    size = f"{RATE} volumes of 5.2 MB a second"
    return f"### A reader beside a writer of {size}, in blocks of {BLOCK}\n\n{lines(rows)}\n"


def _volume() -> np.ndarray:
    return np.random.default_rng(0).poisson(120, SHAPE).astype("uint16")


def _record(path: Path, count: int, pipe: Connection) -> None:
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
            raise FailedError(f"WRONG: frame {t} holds {frame[0, 0, 0]}")
        seen.append(time.monotonic())
        if t == count - 1:
            break
    return seen
