"""What every request of a download needs besides its URL."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypedDict, cast

from haversack.download.commit import Sync
from haversack.download.origin import Origin
from haversack.download.secrets import Secrets
from haversack.download.transfer import Outcome, Request, transfer


class Tuning(TypedDict, total=False):
    """How to transfer, as :func:`haversack.download.transfer.transfer` takes it."""

    concurrency: int
    fsync: Sync
    retries: int
    timeout: float
    max_bytes_per_second: float | None
    max_requests_per_second: float | None


@dataclass(frozen=True, slots=True)
class Access:
    """Keys, hosts that may be reached, whom to trust, and how to transfer."""

    secrets: Secrets | None = None
    allow_hosts: tuple[str, ...] = ()
    ca: str | os.PathLike[str] | None = None
    tuning: Tuning = field(default_factory=Tuning)

    @contextmanager
    def fetching(
        self, requests: Iterable[Request], origin: Origin | None, **options: Any
    ) -> Iterator[Iterator[Outcome]]:
        """Transfer files for the length of the block; at its end what is whole is published.

        At its end means at once, also by Ctrl-C, not when the garbage is collected.
        """
        outcomes = transfer(
            requests,
            secrets=self.secrets,
            source_origin=origin,
            allow_hosts=self.allow_hosts,
            ca=self.ca,
            **self.tuning,
            **options,
        )
        with closing(cast("Generator[Outcome, None, None]", outcomes)):
            yield outcomes
