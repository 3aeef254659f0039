"""libcurl's multi interface: many transfers in one thread."""

from __future__ import annotations

import time
from typing import Self

import pycurl

from haversack.download.waiting import sockets

Finished = tuple[pycurl.Curl, int, str]


class Multi:
    """Run any number of curl handles; their connections are kept for the next ones."""

    def __init__(self, connections: int = 64) -> None:
        self._sockets = sockets()
        self._deadline: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._sockets.watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._wake)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)

    def add(self, handle: pycurl.Curl) -> None:
        """Start a transfer."""
        self._multi.add_handle(handle)

    def remove(self, handle: pycurl.Curl) -> None:
        """Take a handle out, in whatever state its transfer is."""
        self._multi.remove_handle(handle)

    def step(self, timeout: float) -> list[Finished]:
        """Move what can be moved, waiting for up to ``timeout`` seconds; give what ended.

        Each comes with curl's code (0 for success) and message, and still has to be removed.
        """
        for descriptor, ready in self._sockets.wait(self._wait(timeout)):
            self._multi.socket_action(descriptor, ready)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._ended()

    def close(self) -> None:
        """Close all connections."""
        self._multi.close()
        self._sockets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, timeout: float) -> float:
        if self._deadline is None:
            return timeout
        return max(0.0, min(timeout, self._deadline - time.monotonic()))

    def _wake(self, milliseconds: int) -> None:
        self._deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _ended(self) -> list[Finished]:
        ended: list[Finished] = []
        waiting = 1
        while waiting:
            waiting, done, failed = self._multi.info_read()
            ended += [(handle, 0, "") for handle in done]
            ended += failed
        return ended
