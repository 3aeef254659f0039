"""Ask servers how long the files are that an older client left, with nothing here to tell."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from haversack import events
from haversack.download.access import Access
from haversack.download.holdings import State
from haversack.download.http import request
from haversack.download.ledger import Ledger
from haversack.download.obtain import Obtained
from haversack.download.origin import Origin
from haversack.download.planning import Plan, address
from haversack.errors import DownloadError, UsageError
from haversack.events import Progress
from haversack.storage.checksum import sha256_multihash

_ASKING = 8
_PUBLIC = "https://1.1.1.1"  # stands for a source named by path, which counts as public


@dataclass(slots=True)
class _Asker:
    """Asks for the length of files; a server that is not reached is asked once."""

    obtained: Obtained
    access: Access
    dead: set[Origin] = field(default_factory=set)

    def length(self, url: str) -> int | None:
        """Give the length that a server says; None where it says nothing."""
        try:
            origin = Origin.of(url)
            if origin in self.dead:
                return None
            answer = request(
                "HEAD",
                url,
                headers={"Accept-Encoding": "identity"},
                secrets=self.access.secrets,
                retries=0,
                source_origin=str(self.obtained.origin) if self.obtained.origin else _PUBLIC,
                allow_hosts=self.access.allow_hosts,
                ca=self.access.ca,
            )
        except UsageError:
            return None
        except DownloadError:
            self.dead.add(origin)
            return None
        length = answer.headers.get("content-length", "")
        plain = answer.status == 200 and "content-encoding" not in answer.headers
        return int(length) if plain and length.isdecimal() else None


def confirm(
    obtained: Obtained, plan: Plan, access: Access, ledger: Ledger, progress: Progress
) -> None:
    """Settle files with nothing to compare: of the server's length they are whole, else fetched.

    Those of which no server tells stay as they are.
    """
    waiting = list(plan.files(State.UNVERIFIED))
    if not waiting:
        return
    asker = _Asker(obtained, access)
    urls = [address(plan.catalog, row, access.stores) for row, _ in waiting]
    with (
        events.task(progress, "check what is here", total=len(waiting), unit="asset") as work,
        ThreadPoolExecutor(_ASKING) as pool,
    ):
        lengths = pool.map(lambda url: asker.length(url) if isinstance(url, str) else None, urls)
        for (row, path), length in zip(waiting, lengths, strict=True):
            _settle(plan, ledger, row, path, length)
            work.advance()


def _settle(plan: Plan, ledger: Ledger, row: int, path: str, length: int | None) -> None:
    holdings = plan.holdings
    if length is None:
        return
    if length != holdings.size(row):
        holdings.forget(row)
        return
    file = plan.assets.root / holdings.elsewhere.get(row, path)
    checksum = sha256_multihash(file)
    holdings.set(row, State.PRESENT, length, checksum)
    ledger.add([ledger.entry(file, checksum)])
