"""One task of one store: ``python -m benchmarks.disk.worker NAME HOME TASK COUNT SECONDS``.

It prints what it found as one line of JSON.
"""

import json
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.disk.stores import STORES, Images, Store

SOURCE = "landsat8"
_SHAPE = (16, 16)


def bulk(store: Store, count: int, _seconds: float) -> dict[str, Any]:
    """Add the first images at once."""
    start = time.perf_counter()
    store.bulk(_images(range(count)))
    return {"rate": count / (time.perf_counter() - start)}


def add(store: Store, count: int, seconds: float) -> dict[str, Any]:
    """Add new images one by one, for so long; the first opens things, and is not timed."""
    images = _images(range(10**9, 10**9 + count + 1))
    store.add(*next(images))
    return _timed((lambda image=image: store.add(*image) for image in images), seconds)


def load(store: Store, count: int, seconds: float) -> dict[str, Any]:
    """Load images at random, each checked, for so long."""
    chosen = np.random.default_rng(7).integers(0, count, 10_000).tolist()
    start = time.perf_counter()
    store.load(*_ids(chosen[0]))
    first = time.perf_counter() - start
    return {"first": first * 1e3, **_timed(map(_checked(store), chosen), seconds)}


def _checked(store: Store) -> Any:
    def one(number: int) -> Any:
        def work() -> None:
            image = store.load(*_ids(number))
            if image.shape != _SHAPE or image.view("<u4")[3, 0] != number:
                raise ValueError(f"WRONG: image {number}")

        return work

    return one


def _timed(steps: Iterator[Any], seconds: float) -> dict[str, Any]:
    done, start = 0, time.perf_counter()
    for step in steps:
        step()
        done += 1
        if time.perf_counter() - start > seconds:
            break
    return {"rate": done / (time.perf_counter() - start), "done": done}


def _ids(number: int) -> tuple[str, str]:
    return f"site_{number:010}", SOURCE


def _images(numbers: range) -> Images:
    for number in numbers:
        image = np.zeros(_SHAPE, np.uint8)
        image.view("<u4")[3, 0] = number
        yield *_ids(number), image


def main() -> None:
    name, home, task, count, seconds = sys.argv[1:]
    store = STORES[name](Path(home))
    store.open()
    found = {"bulk": bulk, "add": add, "load": load}[task](store, int(count), float(seconds))
    print(json.dumps({**found, "versions": {each: version(each) for each in store.packages}}))


if __name__ == "__main__":
    main()
