"""Write and hash large files while more of them comes: the thread between mover and committer."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple

from haversack.download.digest import Digest
from haversack.download.ending import Ending
from haversack.download.parts import Part
from haversack.download.whole import Whole, settle_in_time

_BEHIND = 32 << 20  # bytes that wait, beyond which the network has to


class _Bytes(NamedTuple):
    part: Part
    digest: Digest
    chunks: Sequence[bytes]
    size: int


class Writer:
    """The thread that writes; everything is done in the order in which it is given.

    Parameters
    ----------
    done
        Takes each whole file, in this thread.
    ending
        When it is over, nothing more is written: parts stay as long as they are.
    """

    def __init__(self, done: Callable[[Whole], None], ending: Ending) -> None:
        self._done, self.ending = done, ending
        self._tasks: SimpleQueue[_Bytes | Whole | threading.Event | None] = SimpleQueue()
        self._given = self._written = 0
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def is_behind(self) -> bool:
        """Tell whether the disk has fallen behind the network; raise what ended the writing."""
        if self._failure is not None:
            raise self._failure
        return self._given - self._written > _BEHIND

    def write(self, part: Part, digest: Digest, chunks: Sequence[bytes], size: int) -> None:
        """Have bytes written to a part and hashed.

        Raises
        ------
        OSError
            The disk refused earlier ones.
        """
        if part.error is not None:
            raise part.error
        self._given += size
        self._give(_Bytes(part, digest, chunks, size))

    def finish(self, whole: Whole) -> None:
        """Have a file checked and handed on, once all its bytes are written."""
        self._give(whole)

    def wait(self) -> None:
        """Wait until all that was given is done."""
        if self._thread is not None:
            passed = threading.Event()
            self._give(passed)
            passed.wait()

    def close(self) -> None:
        """Do what was given, and end the thread."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()

    def _give(self, task: _Bytes | Whole | threading.Event) -> None:
        if self._thread is None:  # of small files alone nothing comes here
            self._thread = threading.Thread(target=self._run, name="haversack-write", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._do(task)
            except BaseException as error:  # noqa: BLE001 (raised again in the mover's thread)
                self._failure = error

    def _do(self, task: _Bytes | Whole | threading.Event) -> None:
        if isinstance(task, _Bytes):
            self._write(task)
        elif isinstance(task, Whole):
            settle_in_time(task, self.ending)
            self._done(task)
        else:
            task.set()

    def _write(self, task: _Bytes) -> None:
        if task.part.error is None and self.ending.is_over():
            task.part.error = OSError(errno.ECANCELED, "the run was ended")
        try:
            if task.part.error is None:
                # At once: each call lets go of the interpreter, and has to get it back.
                data = b"".join(task.chunks)
                task.part.write(data)
                task.digest.update(data)
        except OSError as error:
            task.part.error = error
        self._written += task.size
