"""Origins: who answers a URL. Secrets and rules are bound to them.

Nothing else takes URLs apart or joins them: Python's parser raises what nobody expects, and says
passwords.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from haversack.errors import UsageError

_PORTS = {"http": 80, "https": 443}
_URL_SAFE = "!$&'()*+,;=:@/?%-._~[]"
_PLAIN = re.compile(r"(https?://[a-z0-9.-]+(?::\d+)?)/[\w!$&'()*+,;=:@/?%.~\[\]-]*", re.ASCII)
_BAD_HOST = re.compile(r"[\x00-\x20\x7f\\/?#@<>^`{|}%\"]")
_LONGEST = 200
# What stands before "@" where a host begins, as strict and as lenient parsers see it.
_USER = re.compile(
    r"((?:^[^/\\]*|:)[/\\]{2,}|^https?:[/\\]?)[^/]*@|^([^/\\@:]*:[/\\]?)[^/\\]*@", re.IGNORECASE
)
# What other parsers take for another host, and Python's for a path.
_ODD = re.compile(r"\s*(?:https?:(?!//)|(?:[a-z][a-z0-9+.-]*:)?(?:\\[/\\]|/\\))", re.IGNORECASE)
# A password that is cut short reads like a port.
_NO_PORT = re.compile(
    r"((?:[^/\\]*[/\\]{2,}|https?:[/\\]?)(?!\[[\da-f:.]*\](?::\d*)?(?:[/\\]|$))[^:/\\]*:)"
    r"(?!\d*(?:[/\\]|$))",
    re.IGNORECASE,
)
# Parameters of a path, and a query that was taken for a part of a name.
_PARAMETERS = re.compile(r"(?:;|%3f|%23)[^/]*?(?:=|%3d)", re.IGNORECASE)


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
    parts = parsed(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])


def parsed(url: str) -> SplitResult:
    """Take a URL apart; its host and port can then be asked for.

    Raises
    ------
    UsageError
        It has brackets around no address, or a port that is none.
    """
    try:
        parts = urlsplit(url)
        if "[" in parts.netloc:
            ipaddress.IPv6Address(parts.hostname or "")
        is_url = parts.port != 0
    except ValueError:  # its message may show a password
        is_url = False
    if not is_url:
        raise _no_url(url)
    return parts


def _no_url(text: str) -> UsageError:
    return UsageError(f"{shown(text)[:_LONGEST]} is no URL: its host or port cannot be one")


def joined(base: str, reference: str) -> str:
    """Give the address that a reference in the document at ``base`` means.

    Raises
    ------
    UsageError
        It is none.

    Examples
    --------
    >>> joined("https://a.example/b/c.json", "../d.tif")
    'https://a.example/d.tif'
    """
    if _ODD.match(reference):
        raise _no_url(reference)
    try:
        url = urljoin(base, reference)
    except ValueError:
        raise _no_url(reference) from None
    parsed(url)
    return url


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
    if plain := _PLAIN.fullmatch(url):
        _parsed(plain.group(1))
        return url
    parts = parsed(url.strip())
    host, port, scheme = parts.hostname or "", parts.port, parts.scheme
    if scheme not in _PORTS:
        raise UsageError(f"cannot fetch {shown(url)[:_LONGEST]}: only http and https URLs are")
    if "@" in parts.netloc:
        raise UsageError(
            f"the URL of {scheme}://{host} holds a user or password, which is taken from no URL: "
            "leave it out, and give a hub its api_key=, any other host secrets= (--netrc)"
        )
    try:
        netloc = _netloc(host)
        path = quote(parts.path, safe=_URL_SAFE) or "/"
        query = quote(parts.query, safe=_URL_SAFE)
    except UnicodeError:
        raise UsageError(f"{shown(url)[:_LONGEST]} is no URL: it is no valid text") from None
    if not host or _BAD_HOST.search(netloc):
        raise UsageError(f"{shown(url)[:_LONGEST]} names no valid host")
    netloc += f":{port}" if port is not None and port != _PORTS[scheme] else ""
    return urlunsplit((scheme, netloc, path, query, ""))


def _netloc(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    return host if host.isascii() else host.encode("idna").decode()


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
    """Write a URL, or what should be one, for a message or a log: what may be secret is left out.

    That is its user and password, its query and fragment, and parameters of its path.

    Examples
    --------
    >>> shown("https://me:secret@blob.example/a.tif?sig=secret")
    'https://blob.example/a.tif?…'
    >>> shown("a.tif;sig=secret"), shown("http://me:sec?ret@blob.example/")
    ('a.tif…', 'http://me:…?…')
    """
    found = re.match(r"([^?#]*)(\??)", re.sub(r"[\t\r\n]", "", url))
    assert found is not None
    base, question = found.groups()
    base = _USER.sub(lambda user: user[1] or user[2], base)
    if cut := _NO_PORT.match(base):
        base = f"{cut[1]}…"
    if cut := _PARAMETERS.search(base):
        base = f"{base[: cut.start()]}…"
    text = f"{base}?…" if question else base
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
