"""Classes of failure: what went wrong, and whether to try again."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import pycurl

from haversack.download.origin import Origin, shown
from haversack.errors import (
    AccessRefusedError,
    DownloadError,
    NetworkError,
    SourceNotFoundError,
    UnexpectedAnswerError,
)

_NEVER_BETTER = {501, 505}
_BUSY = {408, 425, 429}
_CONNECT = {
    pycurl.E_COULDNT_RESOLVE_HOST: "its name does not resolve",
    pycurl.E_COULDNT_RESOLVE_PROXY: "the proxy's name does not resolve",
    pycurl.E_COULDNT_CONNECT: "nothing accepts the connection",
    pycurl.E_SSL_CONNECT_ERROR: "the TLS handshake failed",
}
_UNTRUSTED = {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE}
_MEANING = {
    401: "the key is missing or refused",
    403: "access is refused",
    404: "it does not exist",
    410: "it is gone",
    429: "too many requests",
}
_ERRORS: dict[int, type[DownloadError]] = {
    401: AccessRefusedError,
    403: AccessRefusedError,
    404: SourceNotFoundError,
    410: SourceNotFoundError,
}
_LONGEST_PAUSE = 30.0
_LONGEST_WAIT = 300.0


class Kind(Enum):
    """What a failure calls for."""

    CONNECT = "connect"  # the host is not reached: its other assets fare no better
    BUSY = "busy"  # the host asks for patience
    BODY = "body"  # cut short or stalled: go on from where it ended
    FINAL = "final"  # trying again changes nothing


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed.

    ``wait`` is how long the server asks to wait, in seconds; ``refused`` that somebody is there and
    says no, rather than silence; ``status`` is that of the answer, 0 where none came.
    """

    kind: Kind
    message: str
    wait: float | None = None
    refused: bool = False
    status: int = 0

    @property
    def sends_away(self) -> bool:
        """Whether the server asks to wait for longer than anybody would."""
        return self.wait is not None and self.wait > _LONGEST_WAIT

    @property
    def error(self) -> type[DownloadError]:
        """The error that tells a caller of it."""
        if self.status in _ERRORS:
            return _ERRORS[self.status]
        is_other = self.kind is Kind.FINAL and 200 <= self.status < 300
        return UnexpectedAnswerError if is_other else NetworkError


def of_status(status: int, headers: Mapping[str, str], url: str) -> Failure | None:
    """Judge an answer's status: None when it is a success or a redirect.

    Examples
    --------
    >>> of_status(404, {}, "https://a.example/x").message
    'https://a.example/x: HTTP 404, it does not exist'
    >>> of_status(503, {"retry-after": "7"}, "https://a.example/x").wait
    7.0
    """
    if 200 <= status < 400:
        return None
    meaning = _MEANING.get(status, "the server failed" if status >= 500 else "refused")
    message = f"{shown(url)}: HTTP {status}, {meaning}"
    if status in _BUSY or (status >= 500 and status not in _NEVER_BETTER):
        wait = retry_after(headers.get("retry-after"))
        failure = Failure(Kind.BUSY, message, wait, status=status)
        if failure.sends_away:
            return replace(failure, message=f"{message}; it asks to wait {failure.wait:,.0f} s")
        return failure
    return Failure(Kind.FINAL, message, status=status)


def of_curl(code: int, detail: str, url: str, *, connected: bool) -> Failure:
    """Judge a transfer that libcurl gave up."""
    origin = Origin.of(url)
    if code in _UNTRUSTED:
        return Failure(
            Kind.FINAL,
            f"{origin} shows a certificate that is not trusted ({detail}): name its authority's "
            "bundle in SSL_CERT_FILE",
        )
    if code in _CONNECT:
        reason = f" ({detail})" if code == pycurl.E_SSL_CONNECT_ERROR else ""
        message = f"cannot reach {origin}: {_CONNECT[code]}{reason}"
        return Failure(Kind.CONNECT, message, refused=code == pycurl.E_COULDNT_CONNECT)
    if code == pycurl.E_OPERATION_TIMEDOUT and not connected:
        return Failure(Kind.CONNECT, f"cannot reach {origin}: it does not answer")
    return Failure(Kind.BODY, f"{shown(url)}: the transfer broke off ({detail or f'curl {code}'})")


def retry_after(value: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date; None when it is neither.

    Examples
    --------
    >>> retry_after("120"), retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), retry_after("soon")
    (120.0, 0.0, None)
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds)


def pause(tries: int, failure: Failure) -> float:
    """Seconds before the next try: what the server asks for, else random and growing."""
    if failure.wait is not None:
        # A little more for each client, so that they do not all come back at once.
        return failure.wait + random.uniform(0, 0.2)  # noqa: S311
    return random.uniform(0, min(_LONGEST_PAUSE, 0.5 * 2.0**tries))  # noqa: S311
