"""Timing and tables: medians of rounds taken in turn, ratios to the first contender."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

ROUNDS = 5
SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """How fast each contender did one thing; the first is the limit that ratios refer to."""

    what: str
    unit: str
    speeds: dict[str, float]


def speeds(contenders: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Measure units per second; each call of a contender says how many units it did.

    Contenders take turns in every round, so that a noisy moment hits all of them.
    """
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            rounds[name].append(_speed(work))
    return {name: median(values) for name, values in rounds.items()}


def _speed(work: Callable[[], int]) -> float:
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        done += work()
    return done / spent


def once(work: Callable[[], object]) -> float:
    """Measure the seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(title: str, rows: Iterable[Row]) -> None:
    """Print rows as they come."""
    print(f"\n{title}", flush=True)
    for row in rows:
        limit = next(iter(row.speeds.values()))
        print(f"  {row.what} ({row.unit})")
        for name, value in row.speeds.items():
            print(f"    {name:<24}{value:>14,.4g}   {value / limit:>7.2f}x", flush=True)
