"""What every request of a download needs besides its URL."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from haversack.download.origin import Origin
from haversack.download.secrets import Secrets
from haversack.download.transfer import Outcome, Request, transfer
from haversack.download.tuning import Tuning


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
