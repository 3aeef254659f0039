"""All that a scenario is put through, in pieces that run side by side."""

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context

from . import ptrace, runner
from .place import Tally
from .published import ALL

_SHARES = 4  # pieces of what has many points


@dataclass(frozen=True)
class Job:
    """A piece of what a scenario is put through."""

    scenario: str
    what: str  # struck, powerless, powerless_after or unsynced
    kind: str | None = None
    writer: int | None = None
    share: tuple[int, int] = (0, 1)
    sample: int | None = None

    def __str__(self):
        return f"{self.what} {self.kind}" if self.kind else self.what


def jobs_of(scenario):
    """List all jobs of a scenario."""
    kinds: list[tuple[str, str | None]] = [("struck", kind) for kind in ("kill", *runner.ERRORS)]
    kinds.append(("powerless", None))
    kinds += [("powerless_after", kind) for kind in ("kill", "sync EIO", "kill in sync EIO")]
    found = [Job(scenario.name, what, kind) for what, kind in kinds]
    if len(scenario.programs) > 1:
        for writer in range(len(scenario.programs)):
            found += [
                Job(scenario.name, what, "hold", writer) for what in ("struck", "powerless_after")
            ]
    shared = [replace(job, share=(part, _SHARES)) for job in found for part in range(_SHARES)]
    return _meant([*shared, Job(scenario.name, "unsynced")], scenario)


def _meant(jobs, scenario):
    return [job for job in jobs if str(job) not in scenario.without]


def sample_of(scenario, number):
    """List jobs of one point each: a kill, power cuts, and what the scenario's number comes to."""
    turn, errors = divmod(number, 2)
    after = ("kill", "sync EIO", "kill in sync EIO", "hold")
    kinds = [("struck", "kill"), ("powerless", None)]
    if errors:
        kinds.append(("struck", runner.ERRORS[turn % len(runner.ERRORS)]))
    else:
        kinds.append(("powerless_after", after[turn % len(after)]))
    return _meant([Job(scenario.name, what, kind, sample=1) for what, kind in kinds], scenario)


def run_all(jobs, *, processes=None):
    """Run jobs, as many at once as there are processors; yield each with its tally."""
    context = get_context("spawn")
    with (
        _environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),  # threads survive no fork
        ProcessPoolExecutor(processes or os.cpu_count(), context, _get_ready) as pool,
    ):
        futures = {pool.submit(run_job, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _environment(**values):
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _get_ready():
    import pandas  # noqa: F401, ICN001
    import pyarrow.parquet  # noqa: F401

    ptrace.end_with_parent()


def run_job(job):
    """Run one job, and give its tally."""
    scenario, options = ALL[job.scenario], {"share": job.share, "sample": job.sample}
    if job.what == "unsynced":
        return _unsynced(scenario)
    if job.what == "powerless":
        return runner.powerless(scenario, **options)
    return getattr(runner, job.what)(scenario, job.kind, writer=job.writer, **options)


def _unsynced(scenario):
    tally = Tally()
    for kind, noticed in runner.unsynced(scenario).items():
        tally.counts["sync left out"] += 1
        if not noticed and kind not in scenario.spare:
            tally.wrong.append(f"{scenario.name}: no power cut notices that {kind} are not synced")
    return tally
