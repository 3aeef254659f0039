"""Run programs in processes of their own, and let a fault befall one of their calls on files."""

import errno
import os
import signal
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field

from . import ptrace
from .calls import CHANGING, READING, STRANGE, Call, look

_PATIENCE = 0.5  # seconds that others may do nothing while one is held


class NotModelledError(AssertionError):
    """A program changes files by a call that the model of the disk does not know."""


@dataclass(frozen=True)
class Fault:
    """What befalls the ``at``-th call, counted from 0, of those that it may befall."""

    # kill, hold, short, an errno of any call or of "late", "reading", "sync" ones, or a kill in a
    # sync that fails
    kind: str
    at: int
    writer: int | None = None

    def may_befall(self, call):
        if self.writer is not None and call.writer != self.writer:
            return False
        if self.kind in {"kill", "hold"}:
            return call.changes and not call.data.startswith(b"TRY")
        if self.kind == "short":
            return call.writes and len(call.data) > 1
        if self.kind == "reading EIO":
            return not call.changes
        if self.kind in {"sync EIO", "kill in sync EIO"}:
            return call.is_sync
        return call.changes and call.name != "say"

    @property
    def code(self):
        return getattr(errno, self.kind.split()[-1])


@dataclass
class Run:
    """What came of a run: the calls that changed files, in order, and how the processes ended."""

    calls: list[Call] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    struck: Call | None = None
    since: int = 0  # how many calls were made before it
    met: int = 0  # how many calls there were that the fault might have befallen


def run(programs, root, fault=None):
    """Run each program, a function, in a process of its own until all have ended.

    Their calls on files below ``root`` are made one at a time, so that the order in which they
    are listed is the order in which they happened. What a program writes to descriptor 1 is heard.
    """
    names = CHANGING | STRANGE
    if fault is not None and fault.kind == "reading EIO":
        names |= READING
    tracer = _Tracer(os.path.realpath(root), fault)
    for number, program in enumerate(programs):
        tracer.start(number, program, names)
    while tracer.living:
        tracer.step()
    return tracer.run


class _Tracer:
    def __init__(self, root, fault):
        self.root, self.fault = root, fault
        self.run = Run()
        self.living = {}  # the programs' processes: pid -> number of the writer
        self.held = None
        self.told_later = set()
        self.deadline = 0.0

    def start(self, number, program, names):
        pid = os.fork()
        if pid == 0:
            _live(program, names)
        self.living[pid] = number
        ptrace.started(pid)

    def step(self):
        stop = ptrace.next_stop(wait=self.held is None)
        if stop is None:
            self._wait_for_others()
            return
        pid, before_call, status = stop
        if before_call:
            # Killed by another thread's fault, or by the end of its process: /proc has it no more.
            with suppress(ProcessLookupError, FileNotFoundError):
                self._at_call(pid)
        elif pid in self.living:
            self.run.ends[self.living.pop(pid)] = status
        if self.held is not None:
            self.deadline = time.monotonic() + _PATIENCE
            if set(self.living) <= {os.getpgid(self.held)}:
                self._release()

    def _wait_for_others(self):
        # One that waits for the held one's lock would wait for ever.
        if time.monotonic() > self.deadline:
            self._release()
        else:
            time.sleep(0.0005)

    def _release(self):
        pid, self.held = self.held, None
        self._make(pid, look(pid, self._writer(pid), self.root))

    def _at_call(self, pid):
        if os.getpgid(pid) not in self.living:
            os.kill(pid, signal.SIGKILL)  # the program that started it was killed
            return
        call = look(pid, self._writer(pid), self.root)
        if call is None:
            ptrace.go(pid)
        elif call.name in STRANGE:
            for one in self.living:
                os.kill(one, signal.SIGKILL)
            raise NotModelledError(f"{call}: teach tests/crash/power.py what it does to a disk")
        elif call.is_sync and (os.getpgid(pid), call.inode) in self.told_later:
            self.told_later.remove((os.getpgid(pid), call.inode))
            self._refuse(pid, call)
        elif self._strikes(call):
            self.run.struck, self.run.since = call, len(self.run.calls)
            self._strike(pid, call)
        elif call.changes:
            self._make(pid, call)
        else:
            ptrace.go(pid)

    def _writer(self, pid):
        # Threads, and processes that a program starts, are in its process group.
        return self.living[os.getpgid(pid)]

    def _strikes(self, call):
        if self.fault is None or self.run.struck is not None or not self.fault.may_befall(call):
            return False
        self.run.met += 1
        return self.run.met > self.fault.at

    def _strike(self, pid, call):
        kind = self.fault.kind
        if kind == "kill":
            os.kill(pid, signal.SIGKILL)
        elif kind == "hold":
            self.held, self.deadline = pid, time.monotonic() + _PATIENCE
        elif kind == "short":
            ptrace.set_length(pid, len(call.data) // 2)
            self._make(pid, call)
        elif kind.startswith("late") or call.name == "close":
            self._make(pid, call, answer=-self.fault.code)
        else:
            if "sync" in kind:
                self._tell_others_later(pid, call)
            self._refuse(pid, call, killed=kind.startswith("kill"))

    def _refuse(self, pid, call, *, killed=False):
        call.result = -self.fault.code
        self._note(call)
        if killed:
            os.kill(pid, signal.SIGKILL)
            return
        ptrace.refuse(pid, self.fault.code)
        ptrace.go(pid)

    def _tell_others_later(self, pid, call):
        """Linux tells of a failed sync through each descriptor that is open then, once."""
        for other in self.living:
            if other != os.getpgid(pid) and call.inode in _open_inodes(other):
                self.told_later.add((other, call.inode))

    def _make(self, pid, call, answer=None):
        call.result = ptrace.finish(pid)
        if call.result is None:  # killed meanwhile
            if pid in self.living:
                self.run.ends[self.living.pop(pid)] = -signal.SIGKILL
            return
        self._note(call)
        if answer is not None:
            ptrace.answer(pid, answer)
        ptrace.go(pid)

    def _note(self, call):
        if call.result >= 0 and (call.creates or call.name.startswith("mkdir")):
            call.inode = os.stat(os.path.join(self.root, call.paths[-1])).st_ino
        if call.changes:
            self.run.calls.append(call)
        if call.name == "say":
            self.run.said.append((call.writer, call.data.decode()))


def _open_inodes(pid):
    folder, found = f"/proc/{pid}/fd", set()
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.stat(f"{folder}/{name}").st_ino)
    return found


def _live(program, names):
    """Be the process of a program, and say of any error that is none of the library's."""
    try:
        os.setpgid(0, 0)
        for descriptor in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        ptrace.begin(names)
        program()
    except BaseException:  # noqa: BLE001 (whatever it is, it is to be told of)
        os.write(1, f"ERROR {traceback.format_exc()}".encode())
        os._exit(1)
    os._exit(0)
