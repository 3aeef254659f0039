"""Run the server: until a signal, or beside other work."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address
from os import PathLike
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from haversack.errors import UsageError
from haversack.server.app import make
from haversack.server.guard import LOOPBACK
from haversack.server.index import Index
from haversack.server.tree import ENTRANCE

log = logging.getLogger("haversack.server")

_GRACE = 2.0  # seconds that answers under way have to end by themselves
_LAST = 5.0  # and for the server after them


def serve(
    root: str | PathLike[str],
    *,
    host: str,
    port: int,
    api_key: str | None,
    base_url: str | None,
    ready: Callable[[str], None] | None,
) -> None:
    """Serve until SIGINT or SIGTERM; see :func:`haversack.server.serve`."""
    local = _is_loopback(host)
    hosts = LOOPBACK | {_bracketed(host)} if local and base_url is None else None
    app = make(root, api_key=api_key, base_url=base_url, hosts=hosts)
    if api_key is None and not local:
        log.warning("serving on %s without a key: everybody who reaches it can read all", host)
    with closing(_listen(host, port)) as listening:
        _announce(app.state.index)
        url = f"http://{_bracketed(host)}:{listening.getsockname()[1]}"
        _Server(app, lambda: ready(url) if ready else None).run([listening])


def _announce(index: Index) -> None:
    count = len(index.refresh().datasets)
    if count:
        log.info("serving %d %s in %s", count, "dataset" if count == 1 else "datasets", index.root)
    else:
        log.warning(
            "no datasets in %s yet: each is a directory in it that holds a %s", index.root, ENTRANCE
        )


class Running:
    """A server in a thread of this process."""

    def __init__(self, app: Starlette, listening: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.api_root = self.url + "/mlhub/v1/"
        started = threading.Event()
        self._server = _Server(app, started.set)
        self._thread = threading.Thread(
            target=self._run, args=(listening, started), name="haversack-server", daemon=True
        )
        self._thread.start()
        try:
            started.wait()
        except BaseException:
            self.stop()
            raise

    def _run(self, listening: socket.socket, started: threading.Event) -> None:
        try:
            self._server.run([listening])
        finally:
            started.set()

    def stop(self) -> None:
        """End the server; answers under way have a few seconds to finish."""
        self._server.should_exit = True
        try:
            self._thread.join(_GRACE + _LAST)
        finally:
            self._server.force_exit = True
            self._thread.join(_LAST)


@contextmanager
def background(root: str | PathLike[str], *, api_key: str | None) -> Iterator[Running]:
    """Serve while the block runs; see :func:`haversack.server.background`."""
    app = make(root, api_key=api_key, base_url=None, hosts=LOOPBACK)
    with closing(_listen("127.0.0.1", 0)) as listening:
        running = Running(app, listening)
        try:
            yield running
        finally:
            running.stop()


class _Server(uvicorn.Server):
    """uvicorn that says when it answers, and returns after a signal instead of raising it again."""

    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._loop: asyncio.AbstractEventLoop | None = None
        # No access log: paths hold the unguessable segments, queries the key.
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=int(_LAST),
            ws="none",
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Cut off, a stalled connection ends as if its client had left; cancelled, it would leak.
        cut = asyncio.get_running_loop().call_later(_GRACE, self._cut_connections)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # they are handled outside of the event loop, until it is gone

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        if threading.current_thread() is not threading.main_thread():
            super().run(sockets)
            return
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            super().run(sockets)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        # Never uvicorn's force_exit: it leaves the application half ended, with a traceback.
        if self.should_exit and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it ends anyway
                self._loop.call_soon_threadsafe(self._cut_connections)
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Made with its protocol: asyncio turns Nagle's algorithm off only where that is TCP.
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name != "nt":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(2048)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another port or host"
        ) from error
    return listening


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
