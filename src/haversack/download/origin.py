"""Origins: who answers a URL. Secrets and rules are bound to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

from haversack.errors import UsageError

_PORTS = {"http": 80, "https": 443}
_URL_SAFE = "!$&'()*+,;=:@/?%-._~[]"
_PLAIN = re.compile(r"(https?://[a-z0-9.-]+(?::\d+)?)/[\w!$&'()*+,;=:@/?%.~\[\]-]*", re.ASCII)
_BAD_HOST = re.compile(r"[\x00-\x20\x7f\\/?#@<>^`{|}%\"]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answers a URL: scheme, host and port.

    Examples
    --------
    >>> Origin.of("HTTPS://Hub.example:443/mlhub/v1/")
    Origin(scheme='https', host='hub.example', port=443)
    >>> print(Origin.of("http://127.0.0.1:8000/x"))
    http://127.0.0.1:8000
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Read the origin of an http or https URL."""
        plain = _PLAIN.fullmatch(url)
        return _parsed(plain.group(1) if plain else canonical(url))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _PORTS[self.scheme] == self.port
        return f"{self.scheme}://{host}" if default else f"{self.scheme}://{host}:{self.port}"


@lru_cache(maxsize=4096)
def _parsed(url: str) -> Origin:
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])


def located(url: str) -> tuple[str, Origin]:
    """Give the canonical form of a URL and its origin, looking at it once."""
    plain = _PLAIN.fullmatch(url)
    if plain:
        return url, _parsed(plain.group(1))
    url = canonical(url)
    return url, Origin.of(url)


def canonical(url: str) -> str:
    """Write a URL so that every parser reads it alike; refuse what cannot be.

    Examples
    --------
    >>> canonical("HTTP://Example.com/a b/ü?q=1#there")
    'http://example.com/a%20b/%C3%BC?q=1'

    Raises
    ------
    UsageError
        Not http or https, without a host, or with a user or password in it.
    """
    if _PLAIN.fullmatch(url):
        return url
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
        scheme = parts.scheme.lower()
    except ValueError as error:
        raise UsageError(f"{url[:200]!r} is no URL: {error}") from None
    if scheme not in _PORTS:
        raise UsageError(f"cannot fetch {shown(url)}: only http and https URLs are")
    if "@" in parts.netloc:
        raise UsageError(
            f"the URL of {scheme}://{host} holds a user or password: leave it out and give "
            "the key of the hub instead"
        )
    if not host or _BAD_HOST.search(host):
        raise UsageError(f"{shown(url)} names no valid host")
    netloc = _netloc(host) + (f":{port}" if port is not None and port != _PORTS[scheme] else "")
    path = quote(parts.path, safe=_URL_SAFE) or "/"
    return urlunsplit((scheme, netloc, path, quote(parts.query, safe=_URL_SAFE), ""))


def _netloc(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise UsageError(f"{host!r} is no valid host name") from None


def lower_scheme(reference: str) -> str:
    """Write the scheme of a reference in small letters, as what compares it has it.

    Examples
    --------
    >>> lower_scheme("HTTPS://A.example/B"), lower_scheme("./B.tif")
    ('https://A.example/B', './B.tif')
    """
    scheme, separator, rest = reference.partition("://")
    return f"{scheme.lower()}{separator}{rest}" if separator else reference


def shown(url: str) -> str:
    """Write a URL for a message or a log: its query may be a signature, so it is left out.

    Examples
    --------
    >>> shown("https://blob.example/a.tif?sig=secret")
    'https://blob.example/a.tif?…'
    """
    base, question, _ = url.split("#", maxsplit=1)[0].partition("?")
    scheme, separator, rest = base.partition("://")
    authority, slash, path = rest.partition("/")
    base = f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" if separator else base
    return f"{base}?…" if question else base
