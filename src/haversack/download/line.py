"""One curl handle, and what it may talk to: the same rules for every request of ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from functools import cache

import pycurl

from haversack import __version__
from haversack.download.addresses import AddressRule
from haversack.download.environment import certificates, proxy_for
from haversack.download.failure import Failure, Kind, of_curl
from haversack.download.origin import Origin, canonical, joined, shown
from haversack.download.secrets import Credential, Secrets, secrets_of

MOST_REDIRECTS = 5
_GO, _STOP = int(pycurl.PREREQFUNC_OK), int(pycurl.PREREQFUNC_ABORT)
SLOWEST = 1024  # fewer bytes than these within a timeout are silence
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_SECONDS = 10
_BUFFER = 256 << 10  # bytes that are handed over at once, as each call costs
_HAS_HTTP2 = bool(pycurl.version_info()[4] & pycurl.VERSION_HTTP2)
_BLOB_HOST = ".blob.core.windows.net"
_STORES = (_BLOB_HOST, ".amazonaws.com", "storage.googleapis.com")
# What goes along to another origin; anything else might tell it something.
_TRAVELS = {"accept", "accept-encoding", "content-type", "range", "if-range"}


class Refused(Exception):  # noqa: N818 (a decision, not an error of the caller's)
    """A request that must not be sent."""


class Network:
    """What all requests of a run share: secrets, the address rule, proxies, certificates."""

    def __init__(
        self,
        *,
        source: str | Origin | None = None,
        secrets: Secrets | None = None,
        allow_hosts: Iterable[str] = (),
        ca: str | os.PathLike[str] | None = None,
    ) -> None:
        origin = Origin.of(source) if isinstance(source, str) else source
        self.rule = AddressRule(origin, allow_hosts)
        self.secrets = secrets_of(secrets)
        self.certificates = certificates(ca)
        self.proxy = cache(proxy_for)


class _Socket(socket.socket):
    """A socket for curl, which takes a copy of its descriptor and lets go of it."""

    def __del__(self) -> None:
        self.close()


class Line:
    """A curl handle that keeps the rules of its network, for one request after another."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._origin: Origin | None = None
        self._reached: set[str] = set()
        self._own_headers: dict[str, str] = {}
        self._credential: Credential | None = None
        self._sent: dict[str, str] | None = None
        self.headers: list[bytes] = []
        self.refused = False
        self.url = ""
        self.curl = pycurl.Curl()
        self._prepare()

    def _prepare(self) -> None:
        curl, bundle = self.curl, self._network.certificates
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.HEADERFUNCTION, self.headers.append)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        if _HAS_HTTP2:  # by TLS alone, where both sides say so; many transfers share a connection
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.CONNECTTIMEOUT, _CONNECT_SECONDS)
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)
        curl.setopt(pycurl.BUFFERSIZE, _BUFFER)
        curl.setopt(pycurl.USERAGENT, f"haversack/{__version__}")
        curl.setopt(pycurl.CAPATH if bundle.is_dir() else pycurl.CAINFO, str(bundle))

    def aim(self, url: str, origin: Origin, headers: dict[str, str], method: str = "GET") -> None:
        """Point the handle at a canonical URL, with its origin's secrets and the proxy it needs.

        Raises
        ------
        Refused
            The address rule forbids it.
        """
        self.url = url
        if origin is not self._origin and origin != self._origin:
            if not self._network.rule.allows_unresolved(origin):
                raise Refused(self._network.rule.refusal(origin))
            self._change_origin(origin)
        self.refused = False
        self.headers.clear()
        asked, sent = self.url, headers | self._own_headers
        if self._credential is not None:
            asked, more = self._credential.sign(method, asked)
            sent |= more
        self.curl.setopt(pycurl.URL, asked)
        if sent != self._sent:  # most requests of a run send the same
            self._sent = sent
            lines = [f"{name}: {value}" for name, value in sent.items()]
            self.curl.setopt(pycurl.HTTPHEADER, lines)

    def _change_origin(self, origin: Origin) -> None:
        self._origin = origin
        self._reached = set()
        blob = {"x-ms-version": "2021-06-08"} if origin.host.endswith(_BLOB_HOST) else {}
        # Curl would wait for "100 Continue" before it sends a body.
        self._own_headers = {"Expect": "", **blob}
        # To a store "a/../b" is the name of a file, and another one than "b".
        self.curl.setopt(pycurl.PATH_AS_IS, origin.host.endswith(_STORES))
        self._credential = self._network.secrets.of(origin)
        proxy = self._network.proxy(origin)
        self.curl.setopt(pycurl.PROXY, proxy or "")
        if proxy is not None:
            # The address is then the proxy's, which the user chose.
            self.curl.unsetopt(pycurl.OPENSOCKETFUNCTION)
            self.curl.setopt(pycurl.PREREQFUNCTION, lambda *_: _GO)
            return
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._before_request)

    def _open_socket(
        self, _purpose: int, target: tuple[int, int, int, tuple[str | bytes, ...]]
    ) -> socket.socket | int:
        family, kind, protocol, address = target
        if not self._allows(str(address[0])):
            return int(pycurl.SOCKET_BAD)
        return _Socket(family, kind, protocol)

    def _before_request(self, address: str, *_: object) -> int:
        # A connection kept from an earlier request has opened no socket for this one.
        return _GO if address in self._reached or self._allows(address) else _STOP

    def _allows(self, address: str) -> bool:
        assert self._origin is not None
        if self._network.rule.allows(self._origin, address):
            self._reached.add(address)
            return True
        self.refused = True
        return False

    def renew(self) -> bool:
        """Forget a signature that has expired; tell whether there may be another."""
        return self._credential is not None and self._credential.renew()

    def failure(self, code: int, detail: str) -> Failure:
        """Say why the request that just ended failed."""
        if self.refused:
            return Failure(Kind.FINAL, self._network.rule.refusal(Origin.of(self.url)))
        connected = self.curl.getinfo(pycurl.REQUEST_SIZE) > 0
        return of_curl(code, detail, self.url, connected=connected)

    def answer(self) -> tuple[int, dict[str, str]]:
        """Give status (0 before there is one) and headers, their names in lower case.

        Curl itself must not be asked while it is calling back.
        """
        return parse_answer(self.headers)


def parse_answer(lines: list[bytes]) -> tuple[int, dict[str, str]]:
    r"""Read the lines of a head; a proxy's and a 100's come before those of the answer itself.

    Examples
    --------
    >>> parse_answer([b"HTTP/1.1 200 OK: yes\r\n", b"ETag: x\r\n", b"\r\n"])
    (200, {'etag': 'x'})
    """
    status, headers = 0, dict[str, str]()
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if name.startswith("HTTP/"):
            status, headers = int(line.split(maxsplit=2)[1]), {}
        elif colon:
            headers[name.lower().rstrip()] = value.strip()
    return status, headers


def next_hop(url: str, location: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Follow one redirect: where to, and which headers go along.

    Raises
    ------
    Refused
        From https to http.
    UsageError
        To what is no URL.
    """
    target = canonical(joined(url, location))
    here, there = Origin.of(url), Origin.of(target)
    if here.scheme == "https" and there.scheme == "http":
        raise Refused(f"{shown(url)} redirects from https to {shown(target)}: refused")
    if here == there:
        return target, headers
    return target, {name: value for name, value in headers.items() if name.lower() in _TRAVELS}
