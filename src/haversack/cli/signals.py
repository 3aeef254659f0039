"""Signals that end a command, as an interrupt does: temporary files go, and leases end."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

_NAMES: Final = ("SIGTERM", "SIGHUP")  # the latter where a system has it
_PAUSE: Final = 0.01  # seconds after which a signal that was not heard comes again


class _Ended(SystemExit):
    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def heed_signals() -> None:
    """Have signals end this process, wherever they find it.

    Python drops what is raised while it finalizes an object or calls back from C, be it the end of
    the process: there, the signal is sent once more.
    """
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, _end)
    sys.unraisablehook = _send_again


def _end(number: int, _frame: FrameType | None) -> None:
    raise _Ended(number)


def _send_again(dropped: sys.UnraisableHookArgs) -> None:
    error = dropped.exc_value
    if isinstance(error, _Ended | KeyboardInterrupt):
        number = error.number if isinstance(error, _Ended) else signal.SIGINT
        # Now it would only be dropped again.
        threading.Timer(_PAUSE, _send, (number,)).start()
    else:
        sys.__unraisablehook__(dropped)


def _send(number: int) -> None:
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, number)  # which wakes it, wherever it waits
    else:
        signal.raise_signal(number)
