"""Who may ask what: the key, the host name, and headers that keep browsers from mischief."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
# The page and the health check tell nothing without a key; the others are unguessable.
_OPEN = ("/assets/", "/archives/", "/healthz")
_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """ASGI middleware around all of the server."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, hosts: Collection[str] | None) -> None:
        self._app = app
        self._key = None if api_key is None else api_key.encode()
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None or (self._hosts is not None and host[1].lower() not in self._hosts):
            return JSONResponse({"detail": "This server does not answer for that host name."}, 400)
        tried = _take_keys(scope) + _bearer(headers)
        welcome = self._key is None or any(hmac.compare_digest(self._key, one) for one in tried)
        scope["haversack.welcome"] = welcome
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if welcome or path == "/" or path.startswith(_OPEN):
            return None
        told = {"detail": "Must provide API key or Bearer token that this server knows."}
        return JSONResponse(told, 401, {"www-authenticate": "Bearer"})


def _take_keys(scope: Scope) -> list[bytes]:
    """Take ``key=`` out of the query: what is not there can be neither logged nor echoed."""
    parts = scope["query_string"].split(b"&")
    is_key = [unquote_to_bytes(part.partition(b"=")[0]) == b"key" for part in parts]
    scope["query_string"] = b"&".join(
        part for part, key in zip(parts, is_key, strict=True) if not key
    )
    values = [part.partition(b"=")[2] for part, key in zip(parts, is_key, strict=True) if key]
    return [unquote_to_bytes(value.replace(b"+", b" ")) for value in values]


def _bearer(headers: Headers) -> list[bytes]:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return [token.strip().encode("latin-1")] if scheme.lower() == "bearer" else []


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped
