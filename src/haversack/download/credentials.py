"""Credentials beyond a fixed key: netrc, SAS tokens, and the signatures of S3.

Each is a :class:`haversack.download.secrets.Credential`, bound to an origin by
:class:`haversack.download.secrets.Secrets`.
"""

from __future__ import annotations

import base64
import netrc
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from haversack.download.addresses import is_loopback
from haversack.download.http import request
from haversack.download.origin import Origin, parsed, shown
from haversack.download.secrets import Credential, Fixed, Secrets, Signed
from haversack.errors import AuthenticationError, DownloadError, UsageError

_SOON = 60.0  # seconds before its end from which a token counts as expired


def from_netrc(path: str | os.PathLike[str] | None = None) -> Secrets:
    """Take user names and passwords from a netrc file, for https (and loopback) hosts only.

    Parameters
    ----------
    path
        By default ``NETRC``, else ``~/.netrc``.

    Raises
    ------
    UsageError
        The file does not exist, or is none.

    Examples
    --------
    >>> _ = Path("netrc").write_text("machine data.example login me password secret")
    >>> secrets = from_netrc("netrc")
    >>> secrets.headers(Origin.of("https://data.example/"))["Authorization"]
    'Basic bWU6c2VjcmV0'
    >>> secrets.headers(Origin.of("http://data.example/"))
    {}
    """
    place = Path(path or os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        entries = netrc.netrc(place)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
        # The parser's own message may show what it stumbled over, such as a password.
        raise UsageError(f"{place} cannot be read as netrc: {type(error).__name__}") from None

    def find(origin: Origin) -> Credential | None:
        found = entries.hosts.get(origin.host)
        if found is None or not (origin.scheme == "https" or is_loopback(origin.host)):
            return None
        login, _, password = found
        basic = base64.b64encode(f"{login}:{password}".encode()).decode()
        return Fixed({"Authorization": f"Basic {basic}"})

    return Secrets.found_by(find)


class SasToken:
    """A shared access signature of Azure that is added to the query of each request.

    Examples
    --------
    >>> SasToken("?sv=1&sig=x").sign("GET", "https://a.blob.core.windows.net/c/a.tif")
    ('https://a.blob.core.windows.net/c/a.tif?sv=1&sig=x', {})
    """

    def __init__(self, token: str) -> None:
        self._token = token.strip().lstrip("?")

    def sign(self, method: str, url: str) -> Signed:  # noqa: ARG002
        return _with_token(url, self._token), {}

    def renew(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "SasToken()"


class SasService:
    """Signatures from a service that gives one for each container, such as Planetary Computer's.

    Parameters
    ----------
    url
        Asked as ``URL/ACCOUNT/CONTAINER``; answers ``{"token": ..., "msft:expiry": ...}``.
    secrets
        Keys of the service itself.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        url: str,
        *,
        secrets: Secrets | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url, self._secrets, self._clock = url.rstrip("/"), secrets, clock
        self._tokens: dict[str, tuple[str, float]] = {}
        self._has_signed = False
        self._lock = threading.Lock()

    def sign(self, method: str, url: str) -> Signed:  # noqa: ARG002
        parts = parsed(url)
        if "sig=" in parts.query:
            return url, {}
        account = (parts.hostname or "").partition(".")[0]
        container = parts.path.lstrip("/").partition("/")[0]
        with self._lock:
            return _with_token(url, self._token(f"{account}/{container}")), {}

    def _token(self, place: str) -> str:
        token, until = self._tokens.get(place, ("", 0.0))
        if until - self._clock() < _SOON:
            token, until = self._fetch(f"{self._url}/{place}")
            self._tokens[place] = token, until
            self._has_signed = True
        return token

    def _fetch(self, url: str) -> tuple[str, float]:
        answer = request("GET", url, secrets=self._secrets)
        if answer.status != 200:
            raise AuthenticationError(f"{shown(url)} gives no signature: HTTP {answer.status}")
        told = answer.json()
        try:
            until = datetime.fromisoformat(told["msft:expiry"]).timestamp()
            return str(told["token"]), until
        except (KeyError, TypeError, ValueError):
            raise DownloadError(f"{shown(url)} answers no token with an expiry") from None

    def renew(self) -> bool:
        with self._lock:
            # Of several files whose signature has expired the first takes it away.
            self._tokens.clear()
            return self._has_signed

    def __repr__(self) -> str:
        return f"SasService({shown(self._url)!r})"


def _with_token(url: str, token: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{token}" if token else url
