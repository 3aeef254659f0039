"""Stop processes before their system calls, look at these, and change what comes of them.

Linux on x86-64 alone: the kernel is asked by its own numbers, through ``ctypes``. A filter
(seccomp) in the traced processes keeps the calls that nobody asked for at full speed.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
from contextlib import suppress

NUMBERS = {
    "read": 0,
    "write": 1,
    "open": 2,
    "close": 3,
    "stat": 4,
    "fstat": 5,
    "mmap": 9,
    "ioctl": 16,
    "pread64": 17,
    "pwrite64": 18,
    "readv": 19,
    "writev": 20,
    "sendfile": 40,
    "flock": 73,
    "fsync": 74,
    "fdatasync": 75,
    "truncate": 76,
    "ftruncate": 77,
    "rename": 82,
    "mkdir": 83,
    "rmdir": 84,
    "creat": 85,
    "link": 86,
    "unlink": 87,
    "symlink": 88,
    "mknod": 133,
    "sync": 162,
    "io_submit": 209,
    "getdents64": 217,
    "openat": 257,
    "mkdirat": 258,
    "mknodat": 259,
    "newfstatat": 262,
    "unlinkat": 263,
    "renameat": 264,
    "linkat": 265,
    "symlinkat": 266,
    "splice": 275,
    "fallocate": 285,
    "preadv": 295,
    "pwritev": 296,
    "syncfs": 306,
    "renameat2": 316,
    "copy_file_range": 326,
    "preadv2": 327,
    "pwritev2": 328,
    "statx": 332,
    "io_uring_setup": 425,
    "openat2": 437,
}
NAMES = {number: name for name, number in NUMBERS.items()}

_TRACEME, _POKEUSER, _CONT, _SYSCALL = 0, 6, 7, 24
_SETOPTIONS, _GET_SYSCALL_INFO = 0x4200, 0x420E
_SYSGOOD, _FORK, _VFORK, _CLONE, _SECCOMP, _EXITKILL = 1, 2, 4, 8, 0x80, 0x100000
_RAX, _RDX, _ORIG_RAX = 80, 96, 120
_WALL = 0x40000000
_EVENT_SECCOMP = 7
_MAP_ANONYMOUS = 0x20

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def missing():
    """Say why nothing can be traced here, None where it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "needs Linux on x86-64"
    child = os.fork()
    if child == 0:
        os._exit(_libc.ptrace(_TRACEME, 0, None, None) != 0)
    refused = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "needs ptrace (in a container: --cap-add SYS_PTRACE)" if refused else None


def _ptrace(request, pid, address=0, data=0):
    result = _libc.ptrace(request, pid, address, data)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace: {os.strerror(code)}")
    return result


def _filter(names):
    """Write the filter that stops before these calls, and before maps of files."""
    numbers = sorted(NUMBERS[name] for name in names if name != "mmap")
    maps = [(0x15, 0, 2, NUMBERS["mmap"]), (0x20, 0, 0, 40), (0x45, 0, 1, _MAP_ANONYMOUS)]
    last = len(numbers) + len(maps) + 2
    lines = [
        (0x20, 0, 0, 0),
        *((0x15, last - at - 1, 0, number) for at, number in enumerate(numbers, 1)),
        *maps,
        (0x06, 0, 0, 0x7FFF0000),  # go on
        (0x06, 0, 0, 0x7FF00000),  # stop
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


def begin(names):
    """Let the parent trace this process, from here on and with all that it starts."""
    _ptrace(_TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    code = _filter(names)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    for option, *arguments in ((38, 1, 0, 0, 0), (22, 2, program, 0, 0)):
        if _libc.prctl(option, *arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def end_with_parent():
    """Let the kernel kill this process when its parent has ended."""
    _libc.prctl(1, signal.SIGKILL, 0, 0, 0)


def started(pid):
    """Wait for a child to :func:`begin`, and let it go on."""
    os.waitpid(pid, _WALL)
    _ptrace(_SETOPTIONS, pid, 0, _SYSGOOD | _FORK | _VFORK | _CLONE | _SECCOMP | _EXITKILL)
    go(pid)


def go(pid, passed_on=0):
    """Let a stopped process go on."""
    _ptrace(_CONT, pid, 0, passed_on)


def next_stop(*, wait=True):
    """Give ``(pid, stopped before a call, exit status)`` of the next process that has something.

    Stops for other reasons are passed over; None where all is running and ``wait`` is false.
    """
    while True:
        pid, status = os.waitpid(-1, _WALL | (0 if wait else os.WNOHANG))
        if pid == 0:
            return None
        if not os.WIFSTOPPED(status):
            return pid, False, os.waitstatus_to_exitcode(status)
        if status >> 16 == _EVENT_SECCOMP:
            return pid, True, None
        _pass_over(pid, status)


def _pass_over(pid, status):
    number = os.WSTOPSIG(status)
    ours = status >> 16 or number in {signal.SIGSTOP, signal.SIGTRAP, signal.SIGTRAP | 0x80}
    with suppress(ProcessLookupError):  # killed meanwhile
        go(pid, 0 if ours else number)


def arguments(pid):
    """Give the name and the arguments of the call before which a process has stopped."""
    buffer = ctypes.create_string_buffer(88)
    _ptrace(_GET_SYSCALL_INFO, pid, 88, ctypes.addressof(buffer))
    number, *values = struct.unpack_from("<7Q", buffer.raw, 24)
    return NAMES[number], values


def finish(pid):
    """Let the call be made, and give its result; None if the process died meanwhile."""
    _ptrace(_SYSCALL, pid)
    while True:
        _, status = os.waitpid(pid, _WALL)
        if not os.WIFSTOPPED(status):
            return None
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            break
        _ptrace(_SYSCALL, pid, 0, 0 if status >> 16 else os.WSTOPSIG(status))
    buffer = ctypes.create_string_buffer(88)
    _ptrace(_GET_SYSCALL_INFO, pid, 88, ctypes.addressof(buffer))
    return struct.unpack_from("<q", buffer.raw, 24)[0]


def refuse(pid, code):
    """Make the call fail that a process is about to make, without making it."""
    _ptrace(_POKEUSER, pid, _ORIG_RAX, (1 << 64) - 1)
    answer(pid, -code)


def answer(pid, result):
    """Change the result of the call that was made."""
    _ptrace(_POKEUSER, pid, _RAX, result & ((1 << 64) - 1))


def set_length(pid, length):
    """Change the third argument of the call: how many bytes to write."""
    _ptrace(_POKEUSER, pid, _RDX, length)


def memory(pid, address, length):
    """Read a process's memory."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        return os.pread(file.fileno(), length, address)


def text(pid, address):
    """Read a zero-terminated path of a process's memory."""
    found = b""
    while b"\0" not in found:
        page = 4096 - (address + len(found)) % 4096
        found += memory(pid, address + len(found), page)
    return os.fsdecode(found.split(b"\0", 1)[0])
