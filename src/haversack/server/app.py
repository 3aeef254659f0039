"""Put the server together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from os import PathLike
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from haversack.errors import UsageError
from haversack.server.api import Api
from haversack.server.archive import Archives
from haversack.server.guard import Guard
from haversack.server.index import Index
from haversack.server.page import page

log = logging.getLogger("haversack.server")


def make(
    root: str | PathLike[str],
    *,
    api_key: str | None,
    base_url: str | None,
    hosts: Collection[str] | None,
) -> Starlette:
    """Make the application; see :func:`haversack.server.create_app`."""
    _check_key(api_key)
    base = _checked(base_url)
    index, archives = Index(Path(root)), Archives()
    api = Api(index, archives, base)

    def entrance(request: Request) -> Response:
        welcome = request.scope["haversack.welcome"]
        return page(api.contents() if welcome else None, api.addresses(request))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        archives.close()

    app = Starlette(
        routes=[Route("/", entrance), *(Route(path, ask) for path, ask in api.routes().items())],
        middleware=[Middleware(Guard, api_key=api_key, hosts=hosts)],
        exception_handlers={
            HTTPException: _refused,
            OSError: _unreadable,
            msgspec.DecodeError: _unreadable,
            RecursionError: _unreadable,
            Exception: _failed,
        },
        lifespan=lifespan,
    )
    app.state.index = index
    app.router.redirect_slashes = False
    return app


def _checked(base_url: str | None) -> str | None:
    if base_url is None:
        return None
    from haversack.download.origin import canonical, shown

    try:
        canonical(base_url)
    except UsageError as error:
        raise UsageError(f"base_url must be like https://hub.example.org: {error}") from None
    if not {"?", "#"}.isdisjoint(base_url):
        raise UsageError(f"base_url must be like https://hub.example.org, not {shown(base_url)}")
    return base_url.strip().rstrip("/")


def _check_key(api_key: str | None) -> None:
    """Refuse keys that no client sends."""
    if api_key is None:
        return
    if not api_key.strip():
        raise UsageError("the API key is empty: give one, or None to let everybody in")
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise UsageError(
            "the API key holds characters that no client sends: take ASCII letters, digits and "
            "signs, without spaces"
        )


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


def _unreadable(_: Request, error: Exception) -> Response:
    # The disk, or a document that changed under us: worth another try, and no client's fault.
    log.error("a file cannot be read: %s", error)
    return JSONResponse({"detail": "The files of this dataset cannot be read now."}, 503)


def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"detail": "The server failed; its log says why."}, 500)
