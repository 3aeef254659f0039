"""One process writes to a dataset's directory at a time, so that none does another's work.

The lease is a file that exists while somebody writes, and whose content changes every few seconds.
It saves work and no more: parts carry the id of their run, so two writers by mistake do no harm.
Locks of the kernel are not asked, for some network file systems grant every one of them.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from haversack.download.output import Output
from haversack.errors import StorageError
from haversack.storage.publish import storage_error

LEASE_NAME = ".haversack-lease"
_BEAT = 5.0
_DEAD = 30.0
_LOOK = 0.1

log = logging.getLogger("haversack.download")


@contextmanager
def lease(folder: Path) -> Iterator[None]:
    """Hold the lease of a dataset's directory, which is made when missing.

    Another holder is waited for, and named in the log. One that is dead (its process is gone, or
    its file has not changed for 30 s of our own clock) is replaced.

    Raises
    ------
    StorageError
        The directory cannot be written to, or is a symbolic link.
    """
    path = folder / LEASE_NAME
    holder = _Holder(path)
    _wait(holder, path)
    stop = threading.Event()
    beating = threading.Thread(
        target=holder.beat, args=(stop,), name="haversack-lease", daemon=True
    )
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join()
        holder.release()
        with suppress(OSError):
            folder.rmdir()  # only where nothing was written


class _Holder:
    """Who we are, as the file says it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._who = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "space": _process_space(),
            "run": secrets.token_hex(8),
        }

    def take(self) -> bool:
        """Make the file, unless somebody has."""
        Output(self._path.parent).folder("")
        try:
            with self._path.open("xb") as file:
                file.write(self._content(0))
        except (FileExistsError, FileNotFoundError):
            return False  # somebody holds it, or has just removed the directory with it
        except OSError as error:
            raise storage_error("write", self._path, error) from error
        return True

    def beat(self, stop: threading.Event) -> None:
        """Show that we are alive, until we stop or are taken over."""
        count = 0
        while not stop.wait(_BEAT):
            count += 1
            with suppress(OSError):
                if not self._is_ours():
                    return
                with self._path.open("r+b") as file:
                    file.write(self._content(count))

    def release(self) -> None:
        with suppress(OSError):
            if self._is_ours():
                self._path.unlink()

    def is_dead(self, other: dict[str, Any]) -> bool:
        """Tell that a process of this machine is gone; of others only time tells."""
        if (other.get("host"), other.get("space")) != (self._who["host"], self._who["space"]):
            return False
        try:
            pid = int(other["pid"])
            if pid > 0:  # others stand for whole groups of processes
                os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError, ValueError, TypeError, KeyError):
            return False
        return False

    def _content(self, count: int) -> bytes:
        # The same length each time, so that a reader never sees half of an old one.
        return json.dumps(self._who | {"beat": f"{count:012}"}).encode()

    def _is_ours(self) -> bool:
        return _read(self._path).get("run") == self._who["run"]


def _wait(holder: _Holder, path: Path) -> None:
    seen, since, told = b"", time.monotonic(), False
    while not holder.take():
        content = _bytes(path)
        if content != seen:
            seen, since = content, time.monotonic()
        other = _decode(content)
        if (content and holder.is_dead(other)) or time.monotonic() - since > _DEAD:
            _remove(path, content)
            continue
        if not told and other:
            told = True
            who = f"process {other.get('pid')} on {other.get('host')}"
            log.warning("waiting for %s, which is downloading into %s", who, path.parent)
        time.sleep(_LOOK)


def _remove(path: Path, content: bytes) -> None:
    """Take a dead holder's file away; of several that try, one succeeds."""
    aside = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    try:
        if _bytes(path) == content:
            path.rename(aside)
            aside.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise storage_error("take away", path, error) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}; remove it") from error


def _read(path: Path) -> dict[str, Any]:
    return _decode(_bytes(path))


def _decode(content: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        value = json.loads(content)
        return value if isinstance(value, dict) else {}
    return {}


def _process_space() -> int | None:
    """Give the number of the space of process ids, which containers of one host name differ in."""
    with suppress(OSError):
        return Path("/proc/self/ns/pid").stat().st_ino
    return None
