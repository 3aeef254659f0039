"""Floor 5: serve a directory of datasets through the MLHub API (the ``server`` extra)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from os import PathLike
from typing import TYPE_CHECKING

from haversack.errors import MissingExtraError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from haversack.server.run import Running

__all__ = ["background", "create_app", "serve"]


def create_app(
    root: str | PathLike[str],
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    hosts: Collection[str] | None = None,
) -> Starlette:
    """Make the ASGI application that serves the datasets of a directory.

    Parameters
    ----------
    root
        A directory with one directory per dataset, each holding a ``catalog.json`` (what
        ``haversack download`` writes).
    api_key
        What clients must send, as ``Authorization: Bearer KEY`` or ``?key=KEY``, to see metadata,
        catalogs and archives; None lets everybody in.
    base_url
        The address that clients reach this application by, when a proxy stands in front of it;
        by default the address of each request.
    hosts
        The host names that requests may be for; None allows any.

    Raises
    ------
    PathNotFoundError
        ``root`` is not a directory.
    UsageError
        The key is empty or one that no client sends (with spaces, or beyond ASCII), ``base_url``
        is no http address, or ``root`` is itself a dataset.
    MissingExtraError
        The ``server`` extra is not installed.

    Examples
    --------
    >>> import tempfile
    >>> create_app(tempfile.mkdtemp(), api_key="secret")  # doctest: +ELLIPSIS
    <starlette.applications.Starlette object at ...>
    """
    _require_extra()
    from haversack.server.app import make

    return make(root, api_key=api_key, base_url=base_url, hosts=hosts)


def serve(
    root: str | PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    base_url: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the datasets of a directory until SIGINT or SIGTERM.

    How many there are goes to the log ``haversack.server``, with a warning when there are none.

    Parameters
    ----------
    root, api_key, base_url
        As :func:`create_app` takes them.
    host, port
        Where to listen; port 0 takes a free one. On a loopback address, requests for any other
        host name are refused.
    ready
        Called with the server's URL once it answers.

    Raises
    ------
    UsageError
        The port is taken or the host is not this machine's, and whatever :func:`create_app` finds
        wrong.
    """
    _require_extra()
    from haversack.server.run import serve as run

    run(root, host=host, port=port, api_key=api_key, base_url=base_url, ready=ready)


def background(
    root: str | PathLike[str], *, api_key: str | None = None
) -> AbstractContextManager[Running]:
    """Serve a directory of datasets on a free loopback port while the block runs.

    Parameters
    ----------
    root, api_key
        As :func:`create_app` takes them.

    Returns
    -------
    context manager
        Gives an object with ``url``, ``api_root`` (the MLHub API's root URL) and ``stop()``.

    Examples
    --------
    >>> import tempfile, urllib.request
    >>> with background(tempfile.mkdtemp()) as server:
    ...     urllib.request.urlopen(server.api_root + "datasets").read()
    b'[]'
    """
    _require_extra()
    from haversack.server.run import background as run

    return run(root, api_key=api_key)


def _require_extra() -> None:
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(
            f"serving needs {error.name}, which is not installed: pip install 'haversack[server]'"
        ) from error
    del starlette, uvicorn
