"""Who may ask what: the key, the host name, and headers that keep browsers from mischief."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from urllib.parse import parse_qsl

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
        scope["haversack.welcome"] = welcome = self._knows_key(scope, headers)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if welcome or path == "/" or path.startswith(_OPEN):
            return None
        told = {"detail": "Must provide API key or Bearer token that this server knows."}
        return JSONResponse(told, 401, {"www-authenticate": "Bearer"})

    def _knows_key(self, scope: Scope, headers: Headers) -> bool:
        if self._key is None:
            return True
        query = parse_qsl(scope["query_string"].decode("latin-1"), encoding="utf-8")
        tried = [value.encode("utf-8", "replace") for name, value in query if name == "key"]
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            tried.append(token.strip().encode("latin-1"))
        return any(hmac.compare_digest(self._key, one) for one in tried)


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped
