"""libcurl's multi interface, driven by a selector: many transfers in one thread."""

from __future__ import annotations

import selectors
import time
from typing import Self

import pycurl

# pycurl says what to wait for in its own bits.
_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
Finished = tuple[pycurl.Curl, int, str]


class Multi:
    """Run any number of curl handles; their connections are kept for the next ones."""

    def __init__(self, connections: int = 64) -> None:
        self._selector = selectors.DefaultSelector()
        self._deadline: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
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
        for key, ready in self._selector.select(self._wait(timeout)):
            self._multi.socket_action(key.fd, _bits(ready))
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._ended()

    def close(self) -> None:
        """Close all connections."""
        self._multi.close()
        self._selector.close()

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

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        known = descriptor in self._selector.get_map()
        if what == pycurl.POLL_REMOVE:
            if known:
                self._selector.unregister(descriptor)
        elif known:
            self._selector.modify(descriptor, _EVENTS[what])
        else:
            self._selector.register(descriptor, _EVENTS[what])

    def _ended(self) -> list[Finished]:
        ended: list[Finished] = []
        while True:
            waiting, done, failed = self._multi.info_read()
            ended += [(handle, 0, "") for handle in done]
            ended += [(handle, code, message) for handle, code, message in failed]
            if not waiting:
                return ended


def _bits(ready: int) -> int:
    return (pycurl.CSELECT_IN if ready & selectors.EVENT_READ else 0) | (
        pycurl.CSELECT_OUT if ready & selectors.EVENT_WRITE else 0
    )
