"""Which addresses a reference may reach.

A catalog from the internet must not make us ask the machines of a private network, nor this one. A
reference reaches its source's own origin, and any address no more private than the source's:
loopback is more private than private networks, those more than the public internet. Link-local
addresses (where clouds keep credentials) are reached only when named.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

from haversack.download.origin import Origin, shown
from haversack.errors import UnsupportedError, UsageError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_CARRIER_GRADE_NAT = ipaddress.ip_network("100.64.0.0/10")
_HOST = re.compile(
    r"[\w.-]+(:\d{1,5})?|\[[\da-f:.]+\](:\d{1,5})?|[\da-f]*(:[\da-f.]*){2,9}", re.IGNORECASE
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Privacy(IntEnum):
    """How private an address is."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    NAMED_ONLY = 3


@lru_cache(maxsize=4096)
def privacy(address: str) -> Privacy:
    """Say how private an IP address is.

    Examples
    --------
    >>> [privacy(a).name for a in ("8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254")]
    ['PUBLIC', 'PRIVATE', 'LOOPBACK', 'NAMED_ONLY']
    """
    ip = _embedded(ipaddress.ip_address(address.partition("%")[0]))
    if ip.is_loopback:
        return Privacy.LOOPBACK
    if ip.is_link_local or ip.is_unspecified or ip.is_multicast:
        return Privacy.NAMED_ONLY
    if ip in _CARRIER_GRADE_NAT or not ip.is_global:
        return Privacy.PRIVATE
    return Privacy.PUBLIC


def _embedded(ip: _Address) -> _Address:
    """Take an IPv4 address out of the IPv6 one that stands for it."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def literal(host: str) -> str | None:
    """Read a host that is an IP address in any notation; None for a name.

    Examples
    --------
    >>> literal("127.1"), literal("0x7f000001"), literal("::1"), literal("hub.example")
    ('127.0.0.1', '127.0.0.1', '::1', None)
    """
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def is_loopback(host: str) -> bool:
    """Say whether a host name or address means this machine."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = literal(host)
    return address is not None and privacy(address) is Privacy.LOOPBACK


def hosts_of(allow_hosts: Iterable[str]) -> tuple[str, ...]:
    """Take the hosts that a caller allows.

    Raises
    ------
    UnsupportedError
        They are no list of texts.
    UsageError
        One is no host.

    Examples
    --------
    >>> hosts_of("10.0.0.1")
    Traceback (most recent call last):
    haversack.errors.UnsupportedError: allow_hosts is a list of hosts, as ['a.example'], not ...
    """
    wrong = UnsupportedError(
        f"allow_hosts is a list of hosts, as ['a.example'], not {allow_hosts!r}"
    )
    if isinstance(allow_hosts, str | bytes) or not isinstance(allow_hosts, Iterable):
        raise wrong
    hosts = tuple(allow_hosts)
    if not all(isinstance(host, str) for host in hosts):
        raise wrong
    return tuple(map(_host, hosts))


def _host(text: str) -> str:
    """Take a host as origins have it: without the brackets around an address."""
    if not _HOST.fullmatch(text):
        raise UsageError(
            f"{shown(text)[:200]} is no host to allow (allow_hosts=, --allow-host): a host is a "
            "name or an address, as a.example, a.example:8080 or 10.0.0.1, and no URL"
        )
    return text.replace("[", "").replace("]", "")


class AddressRule:
    """Decide for one source which addresses its references reach.

    Parameters
    ----------
    source
        Origin that the references came from; None for a source named by path, which counts as
        public.
    allow_hosts
        Hosts (``name`` or ``name:port``) that the user allows besides.

    Examples
    --------
    >>> rule = AddressRule(None)
    >>> rule.allows(Origin.of("http://169.254.169.254/"), "169.254.169.254")
    False
    >>> rule = AddressRule(Origin.of("http://127.0.0.1:1/"))
    >>> rule.allows(Origin.of("http://a.example/"), "10.1.1.1")
    True
    """

    def __init__(self, source: Origin | None, allow_hosts: Iterable[str] = ()) -> None:
        self._source = source
        self._allowed = {host.lower() for host in hosts_of(allow_hosts)}
        self._level: Privacy | None = None

    def allows(self, origin: Origin, address: str) -> bool:
        """Say whether a request to ``origin`` may talk to ``address``."""
        if origin == self._source or self._named(origin):
            return True
        return privacy(address) <= self._source_level()

    def allows_unresolved(self, origin: Origin) -> bool:
        """Say whether a request to ``origin`` may start: only an address can be refused by now."""
        address = "127.0.0.1" if is_loopback(origin.host) else literal(origin.host)
        return address is None or self.allows(origin, address)

    def refusal(self, origin: Origin) -> str:
        """Say why an origin is not reached, and what to do."""
        return (
            f"{origin} is a more private address than the catalog's own, so it is not reached: "
            f"allow it with allow_hosts=[{origin.host!r}] or --allow-host {origin.host}"
        )

    def _named(self, origin: Origin) -> bool:
        return not self._allowed.isdisjoint({origin.host, f"{origin.host}:{origin.port}"})

    def _source_level(self) -> Privacy:
        if self._level is None:
            level = Privacy.PUBLIC if self._source is None else _host_privacy(self._source.host)
            # What is reached only when named vouches for nothing but itself.
            self._level = Privacy.PUBLIC if level is Privacy.NAMED_ONLY else level
        return self._level


def _host_privacy(host: str) -> Privacy:
    """Say how private a host is: by the most public of its addresses."""
    if is_loopback(host):
        return Privacy.LOOPBACK
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return Privacy.PUBLIC
    return min(map(privacy, found), default=Privacy.PUBLIC)
