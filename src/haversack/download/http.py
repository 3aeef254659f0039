"""Ask for small things: one request, its whole answer in memory."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pycurl

from haversack.download.failure import Failure, Kind, of_status, pause
from haversack.download.line import (
    MOST_REDIRECTS,
    REDIRECTS,
    SLOWEST,
    Line,
    Network,
    Refused,
    next_hop,
)
from haversack.download.multi import Multi
from haversack.download.origin import canonical, located, shown
from haversack.download.secrets import Secrets
from haversack.errors import UnexpectedAnswerError, UsageError

_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-api-key"}
_LONGEST_WAIT = 60.0
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_kept = threading.local()

log = logging.getLogger("haversack.download")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; header names are in lower case, ``url`` is where the redirects ended."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """Read the body as JSON.

        Raises
        ------
        UnexpectedAnswerError
            It is something else: a web page, half an answer.
        """
        try:
            value = json.loads(self.body)
            return _printable(value) if _SURROGATE.search(self.body) else value
        except (ValueError, RecursionError) as error:
            raise UnexpectedAnswerError(f"{shown(self.url)} answers {self._told(error)}") from None

    def _told(self, error: Exception) -> str:
        """Say what the answer is instead of JSON."""
        kind = self.headers.get("content-type", "no type")
        if "json" not in kind and self.body.lstrip()[:1] not in (b"{", b"["):
            return f"{kind} where JSON was expected: is it the right URL?"
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        return f"with what is no whole JSON: {why}"


def _printable(value: Any) -> Any:
    """Put question marks for halves of surrogate pairs, which no file or terminal takes."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    secrets: Secrets | None = None,
    body: bytes | None = None,
    timeout: float = 30.0,
    retries: int = 3,
    patience: float = math.inf,
    max_bytes: int = 64 << 20,
    source_origin: str | None = None,
    allow_hosts: Iterable[str] = (),
    ca: str | os.PathLike[str] | None = None,
) -> Response:
    """Send a request, follow up to 5 redirects, and give the answer, whatever its status.

    Connections are kept for the next request of the same thread. Failed connections, answers 408,
    425, 429 and 5xx and answers cut short are tried again; 401, 403, 404, 410 never.

    Parameters
    ----------
    method, url
        As HTTP has them; http and https only.
    headers
        Headers that are no secrets; to other origins only a few of them go along.
    secrets
        Sent to their own origins only.
    body
        Bytes to send.
    timeout
        Seconds of near silence after which the server counts as stalled; there is no total limit.
    retries
        How often to try again.
    patience
        Seconds after the first try within which another may begin.
    max_bytes
        Most bytes to take, unpacked.
    source_origin
        Where the URL was read from (see :mod:`haversack.download.addresses`); by default the user
        named it.
    allow_hosts
        Hosts to reach although more private than the source.
    ca
        File or directory of certificate authorities.

    Raises
    ------
    DownloadError
        The server is not reached, the answer is cut short or too large, or the request or one of
        its redirects goes where it may not.

    Examples
    --------
    >>> import http.server, threading
    >>> class Hello(http.server.BaseHTTPRequestHandler):
    ...     def do_GET(self):
    ...         self.send_response(200)
    ...         self.send_header("Content-Length", "2")
    ...         self.end_headers()
    ...         self.wfile.write(b"{}")
    ...     def log_message(self, *_): pass
    >>> server = http.server.HTTPServer(("127.0.0.1", 0), Hello)
    >>> threading.Thread(target=server.serve_forever, daemon=True).start()
    >>> request("GET", f"http://127.0.0.1:{server.server_port}/").json()
    {}
    >>> server.shutdown(); server.server_close()
    """
    _refuse_secret_headers(headers or {})
    network = Network(source=source_origin or url, secrets=secrets, allow_hosts=allow_hosts, ca=ca)
    exchange = _Exchange(network, method.upper(), body, timeout, max_bytes)
    since = time.monotonic()
    for tries in range(retries + 1):
        answer = exchange.run(canonical(url), dict(headers or {}))
        failure = (
            answer
            if isinstance(answer, Failure)
            else of_status(answer.status, answer.headers, answer.url)
        )
        if failure is None or failure.kind is Kind.FINAL or tries == retries:
            break
        seconds = pause(tries, failure)
        if seconds > min(_LONGEST_WAIT, since + patience - time.monotonic()):
            break
        time.sleep(seconds)
    if isinstance(answer, Failure):
        raise answer.error(answer.message)
    return answer


def _refuse_secret_headers(headers: Mapping[str, str]) -> None:
    for name in headers:
        if name.lower() in _SECRET_HEADERS:
            raise UsageError(f"{name} is a secret: give it as secrets=, bound to its origin")


class _Exchange:
    """One try of a request with its redirects."""

    def __init__(
        self, network: Network, method: str, body: bytes | None, timeout: float, max_bytes: int
    ) -> None:
        self._network, self._max_bytes, self._timeout = network, max_bytes, timeout
        self._method, self._body = method, body

    def run(self, url: str, headers: dict[str, str]) -> Response | Failure:
        method, body = self._method, self._body
        for _ in range(MOST_REDIRECTS + 1):
            try:
                answer = self._hop(method, url, headers, body)
                location = None if isinstance(answer, Failure) else _location(answer)
                if location is None:
                    return answer
                target, headers = next_hop(url, location, headers)
            except (Refused, UsageError) as refused:
                return Failure(Kind.FINAL, str(refused))
            if isinstance(answer, Response) and answer.status == 303 and method != "HEAD":
                method, body = "GET", None
            url = target
        return Failure(Kind.FINAL, f"{shown(url)}: more than {MOST_REDIRECTS} redirects")

    def _hop(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Response | Failure:
        line, content = Line(self._network), _Content(self._max_bytes)
        url, origin = located(url)
        line.aim(url, origin, headers, method)
        log.debug("%s %s", method, shown(url))
        _set_method(line.curl, method, body)
        line.curl.setopt(pycurl.WRITEFUNCTION, content.receive)
        line.curl.setopt(pycurl.ACCEPT_ENCODING, "")
        try:
            code, detail = _run(line.curl, content, self._timeout)
            if content.too_large:
                message = f"{shown(url)} answers more than {self._max_bytes} bytes"
                return Failure(Kind.FINAL, message)
            status, got = line.answer()
            if code and status < 400:  # an error is one, also where its body breaks off
                return line.failure(code, detail)
            return Response(status, got, b"".join(content.chunks), line.url)
        finally:
            line.curl.close()


class _Content:
    """The bytes of an answer, up to a limit."""

    def __init__(self, most: int) -> None:
        self.chunks: list[bytes] = []
        self.size, self._most = 0, most

    @property
    def too_large(self) -> bool:
        return self.size > self._most

    def receive(self, chunk: bytes) -> int | None:
        self.size += len(chunk)
        self.chunks.append(chunk)
        return 0 if self.too_large else None


def _location(answer: Response) -> str | None:
    return answer.headers.get("location") if answer.status in REDIRECTS else None


def _set_method(curl: pycurl.Curl, method: str, body: bytes | None) -> None:
    if method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
        return
    if body is not None:
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.POSTFIELDS, body)
    curl.setopt(pycurl.CUSTOMREQUEST, method)


def _run(curl: pycurl.Curl, content: _Content, timeout: float) -> tuple[int, str]:
    multi = _multi()
    multi.add(curl)
    mark, since = 0, time.monotonic()
    try:
        while True:
            # Short waits, so that Ctrl-C is answered.
            for _, code, detail in multi.step(0.2):
                return code, detail
            if content.size - mark >= (SLOWEST if mark else 1):
                mark, since = content.size, time.monotonic()
            elif time.monotonic() - since > timeout:
                silence = f"for {timeout:g} s"
                if mark:
                    detail = f"less than {SLOWEST} bytes came {silence}"
                else:
                    detail = f"the connection was accepted, but not answered {silence}"
                return pycurl.E_OPERATION_TIMEDOUT, detail
    finally:
        multi.remove(curl)


def _multi() -> Multi:
    """Give this thread's connections; a forked child does not talk over its parent's."""
    if getattr(_kept, "owner", None) != os.getpid():
        _kept.multi, _kept.owner = Multi(connections=8), os.getpid()
    multi: Multi = _kept.multi
    return multi
