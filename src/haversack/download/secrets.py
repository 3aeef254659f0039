"""Secrets, each bound to an origin.

A secret goes to the origin (scheme, host and port) it was given for and to no other, whatever
redirects, links or hrefs say, and is never part of what is shown, logged or kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from haversack.download.origin import Origin
from haversack.errors import UnsupportedError, UsageError

Signed = tuple[str, dict[str, str]]
_LINE_BREAKS = frozenset("\r\n\0")


class Credential(Protocol):
    """What makes a request to one origin one of somebody's: a plug-in."""

    def sign(self, method: str, url: str) -> Signed:
        """Give the URL to ask for, and the headers to send along.

        Called as each request is sent, in the thread that moves bytes.
        """

    def renew(self) -> bool:
        """Forget what may have expired; tell whether another try may fare better."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Headers and query parameters that stay the same."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if not _LINE_BREAKS.isdisjoint(name + value):
                raise UsageError(
                    f"the value of the header {name!r} has a line break: take it off, as in "
                    "key.strip()"
                )

    def sign(self, method: str, url: str) -> Signed:  # noqa: ARG002 (as every credential takes it)
        if self.query:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(self.query)}"
        return url, dict(self.headers)

    def renew(self) -> bool:
        return False


class Secrets:
    """Credentials that only one origin each gets to see.

    Parameters
    ----------
    headers
        For each origin (or any URL of it) the headers to send there, or a :class:`Credential`.

    Raises
    ------
    UsageError
        A value has a line break, which would end its header.

    Examples
    --------
    >>> secrets = Secrets.bearer("https://hub.example/mlhub/v1/", "my-key")
    >>> secrets
    Secrets(for https://hub.example)
    >>> secrets.headers(Origin.of("https://hub.example/catalog/a"))
    {'Authorization': 'Bearer my-key'}
    >>> secrets.headers(Origin.of("https://other.example/"))
    {}
    """

    def __init__(
        self, headers: Mapping[str | Origin, Mapping[str, str] | Credential] | None = None
    ) -> None:
        self._of: dict[Origin, Credential] = {}
        self._finders: list[Callable[[Origin], Credential | None]] = []
        for place, given in (headers or {}).items():
            self._of[_origin(place)] = Fixed(dict(given)) if isinstance(given, Mapping) else given

    @classmethod
    def bearer(cls, url: str, key: str) -> Secrets:
        """Send ``Authorization: Bearer KEY`` to the origin of ``url``."""
        return cls({url: {"Authorization": f"Bearer {key}"}})

    @classmethod
    def in_query(cls, url: str, key: str, *, name: str = "key") -> Secrets:
        """Add ``?key=KEY`` to what the origin of ``url`` is asked, as the request is sent."""
        return cls({url: Fixed(query={name: key})})

    @classmethod
    def found_by(cls, find: Callable[[Origin], Credential | None]) -> Secrets:
        """Take the credential of each origin from a function, asked once for each."""
        secrets = cls()
        secrets._finders.append(find)
        return secrets

    def joined(self, other: Secrets | None) -> Secrets:
        """Give these and others; for an origin of both, these."""
        other, both = secrets_of(other), Secrets()
        both._of = dict(self._of)
        both._finders = [*self._finders, *([other.of] if other else [])]
        return both

    def of(self, origin: Origin) -> Credential | None:
        """Find the credential of an origin."""
        if origin not in self._of:
            found = (find(origin) for find in self._finders)
            credential = next((one for one in found if one is not None), None)
            if credential is None:
                return None
            self._of[origin] = credential
        return self._of[origin]

    def headers(self, origin: Origin) -> dict[str, str]:
        """Headers to send to an origin; empty where there is no secret for it."""
        credential = self.of(origin)
        return credential.sign("GET", f"{origin}/")[1] if credential else {}

    def signed(self, url: str, origin: Origin) -> str:
        """Add the origin's secret query parameters to a URL about to be sent."""
        credential = self.of(origin)
        return credential.sign("GET", url)[0] if credential else url

    def __bool__(self) -> bool:
        return bool(self._of or self._finders)

    def __repr__(self) -> str:
        names = [
            *map(str, self._of),
            *(["others that are found as they are asked"] if self._finders else []),
        ]
        return f"Secrets(for {', '.join(names) or 'nobody'})"


def secrets_of(given: Secrets | None) -> Secrets:
    """Take the secrets that a caller gives, if any.

    Raises
    ------
    UnsupportedError
        They are something else, which is not shown.
    """
    if not isinstance(given, Secrets | None):
        raise UnsupportedError(
            f"secrets is haversack.download.secrets.Secrets, not {type(given).__name__}: bind each "
            "to its origin, as Secrets({'https://a.example': {'X-API-Key': '...'}})"
        )
    return Secrets() if given is None else given


def _origin(place: str | Origin) -> Origin:
    return place if isinstance(place, Origin) else Origin.of(place)
