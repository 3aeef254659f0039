"""Bring files here: whole, once, and never half under their final names."""

from __future__ import annotations

import os
import secrets as random_ids
from collections.abc import Callable, Iterable, Iterator

from haversack.download.commit import Committer
from haversack.download.ending import Ending
from haversack.download.flights import Flights
from haversack.download.ledger import Ledger
from haversack.download.line import Network
from haversack.download.mover import Mover
from haversack.download.origin import Origin
from haversack.download.outcome import Outcome, Request, Version
from haversack.download.pace import Pace
from haversack.download.parts import Parts
from haversack.download.schedule import Schedule
from haversack.download.secrets import Secrets
from haversack.download.syncing import Disk, Sync
from haversack.download.tuning import check_tuning
from haversack.download.writer import Writer

__all__ = ["Outcome", "Request", "Secrets", "Version", "transfer"]


def transfer(
    requests: Iterable[Request],
    *,
    concurrency: int = 16,
    secrets: Secrets | None = None,
    source_origin: str | Origin | None = None,
    allow_hosts: Iterable[str] = (),
    ca: str | os.PathLike[str] | None = None,
    fsync: Sync = "batch",
    ledger: Ledger | None = None,
    retries: int = 4,
    timeout: float = 30.0,
    max_bytes_per_second: float | None = None,
    max_requests_per_second: float | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Outcome]:
    """Fetch files, each of which appears under its final name only when it is whole.

    One thread takes bytes, writes small files and publishes what is whole; another writes large
    files into parts beside the final names; a third waits for the disk. Memory does not grow with
    the number of files. Ending the iteration (also by Ctrl-C) publishes what is whole and leaves
    the parts of large files, which the next call goes on with. It takes less than a second: bytes
    that a slow disk has not taken by then come again.

    Parameters
    ----------
    requests
        Files to fetch, with different paths; taken as there is room for them, in another thread.
    concurrency
        Most transfers at once, of all and of each host.
    secrets
        Sent to their own origins only.
    source_origin
        Where the URLs were read from; by default from a path, which counts as public (see
        :mod:`haversack.download.addresses`).
    allow_hosts
        Hosts to reach although more private than the source.
    ca
        File or directory of certificate authorities.
    fsync
        ``"batch"``: a file is safe from power loss when its outcome is given, many synced at once;
        ``"each"``: each synced by itself; ``"none"``: left to the system.
    ledger
        Where published files are remembered.
    retries
        How often a file is tried again without having got further.
    timeout
        Seconds of near silence (less than 1 kB) after which a transfer counts as stalled.
    max_bytes_per_second, max_requests_per_second
        Limits of all transfers together.
    on_bytes
        Told how many bytes have come since the last time, in another thread.

    Yields
    ------
    Outcome
        One for each request, in the order they end.

    Raises
    ------
    StorageError
        The disk is full, read-only or failing. What was published stays.
    UsageError
        A number makes no sense; nothing has begun.

    Examples
    --------
    >>> from pathlib import Path
    >>> wanted = [Request("http://127.0.0.1:9/a.tif", Path("out/a.tif"))]
    >>> [outcome] = transfer(wanted)
    >>> print(outcome.error)
    http://127.0.0.1:9 is a more private address than the catalog's own, so it is not reached: ...
    """
    limits = {
        "max_bytes_per_second": max_bytes_per_second,
        "max_requests_per_second": max_requests_per_second,
    }
    numbers = {"concurrency": concurrency, "retries": retries, "timeout": timeout, "fsync": fsync}
    tuning = check_tuning(numbers | limits, "transfer")
    concurrency, retries, timeout = tuning["concurrency"], tuning["retries"], tuning["timeout"]
    network = Network(source=source_origin, secrets=secrets, allow_hosts=allow_hosts, ca=ca)
    pace = Pace(tuning["max_bytes_per_second"], tuning["max_requests_per_second"])
    parts = Parts(random_ids.token_hex(4), synced=fsync != "none")
    ending = Ending()
    committer = Committer(Disk(fsync, ending), ledger, ending)
    mover = Mover(
        iter(requests),
        schedule=Schedule(concurrency, pace),
        flights=Flights(network, concurrency, timeout, pace, on_bytes),
        parts=parts,
        writer=Writer(committer.arrive, ending),
        committer=committer,
        retries=retries,
        ending=ending,
    )
    try:
        yield from mover.outcomes()
    finally:
        mover.stop()
