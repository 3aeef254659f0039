"""What every request of a download needs besides its URL."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from haversack import events
from haversack.download.origin import Origin
from haversack.download.secrets import Secrets, secrets_of
from haversack.download.stores import Stores
from haversack.download.transfer import Outcome, Request, transfer
from haversack.download.tuning import Tuning
from haversack.events import Progress


@dataclass(frozen=True, slots=True)
class Access:
    """Keys, hosts that may be reached, whom to trust, how to transfer, and where stores are."""

    secrets: Secrets | None = None
    allow_hosts: tuple[str, ...] = ()
    ca: str | os.PathLike[str] | None = None
    tuning: Tuning = field(default_factory=Tuning)
    stores: Stores = field(default_factory=Stores)

    def __post_init__(self) -> None:
        secrets_of(self.secrets)

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

    def fetch(
        self,
        wanted: Request,
        origin: Origin | None,
        progress: Progress,
        *,
        total: int | None = None,
    ) -> Outcome:
        """Transfer one file, and tell how its bytes come."""
        title = f"fetch {os.path.basename(wanted.path)}"  # noqa: PTH119 (it may be a text)
        with (
            events.task(progress, title, total=total, unit="B") as work,
            self.fetching([wanted], origin, on_bytes=work.advance) as outcomes,
        ):
            (outcome,) = outcomes
        return outcome
