"""Wait for sockets, in the terms of libcurl's multi interface.

Linux's epoll is spoken to directly: for small files, Python's selectors cost as much as curl does.
"""

from __future__ import annotations

import select
import selectors
from typing import Any, Protocol

import pycurl

_IN, _OUT = pycurl.CSELECT_IN, pycurl.CSELECT_OUT
_BITS = {
    pycurl.POLL_IN: _IN,
    pycurl.POLL_OUT: _OUT,
    pycurl.POLL_INOUT: _IN | _OUT,
}
Ready = list[tuple[int, int]]


class Sockets(Protocol):
    """The sockets to wait for."""

    def watch(self, what: int, descriptor: int, *_: object) -> None:
        """Wait for what curl says (``POLL_IN`` and so on) of a socket, or no longer for it."""

    def wait(self, seconds: float) -> Ready:
        """Give the sockets that are ready, each with curl's bits for what it is ready for."""

    def close(self) -> None:
        """Let go of what waiting takes."""


class _Epoll:
    def __init__(self) -> None:
        self._poll: Any = select.epoll()
        # Curl lets go of a connection after each file and takes it up for the next, so sockets
        # stay registered meanwhile; one that is closed leaves by itself.
        self._wanted: set[int] = set()
        both = select.EPOLLIN | select.EPOLLOUT
        self._masks = {
            pycurl.POLL_IN: select.EPOLLIN,
            pycurl.POLL_OUT: select.EPOLLOUT,
            pycurl.POLL_INOUT: both,
        }
        # An error or a hang-up is for whoever reads or writes.
        self._bits = [
            (_OUT if event & select.EPOLLOUT else 0) | (_IN if event & ~select.EPOLLOUT else 0)
            for event in range(256)
        ]

    def watch(self, what: int, descriptor: int, *_: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._wanted.discard(descriptor)
            return
        self._wanted.add(descriptor)
        try:
            self._poll.modify(descriptor, self._masks[what])
        except FileNotFoundError:
            self._poll.register(descriptor, self._masks[what])

    def wait(self, seconds: float) -> Ready:
        ready = []
        for descriptor, event in self._poll.poll(seconds):
            if descriptor in self._wanted:
                ready.append((descriptor, self._bits[event & 255]))
            else:
                # Nobody waits for it now; when somebody does, it is registered again.
                self._poll.unregister(descriptor)
        return ready

    def close(self) -> None:
        self._poll.close()


class _Selector:
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, what: int, descriptor: int, *_: object) -> None:
        known = descriptor in self._selector.get_map()
        if what == pycurl.POLL_REMOVE:
            if known:
                self._selector.unregister(descriptor)
            return
        bits = _BITS[what]
        events = (selectors.EVENT_READ if bits & _IN else 0) | (
            selectors.EVENT_WRITE if bits & _OUT else 0
        )
        if known:
            self._selector.modify(descriptor, events)
        else:
            self._selector.register(descriptor, events)

    def wait(self, seconds: float) -> Ready:
        return [
            (
                key.fd,
                (_IN if ready & selectors.EVENT_READ else 0)
                | (_OUT if ready & selectors.EVENT_WRITE else 0),
            )
            for key, ready in self._selector.select(seconds)
        ]

    def close(self) -> None:
        self._selector.close()


def sockets() -> Sockets:
    """Make the quickest that this machine has."""
    return _Epoll() if hasattr(select, "epoll") else _Selector()
