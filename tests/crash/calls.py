"""What a system call does to the files below one directory."""

import os
from dataclasses import dataclass, field

from . import ptrace

CHANGING = {
    *("write", "pwrite64", "ftruncate", "fsync", "fdatasync", "syncfs"),
    *("open", "openat", "creat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat"),
    *("rename", "renameat", "renameat2", "link", "linkat"),
}
# Whoever uses one of these on our files has to add it to the model of the disk first. (But for
# sync_file_range: what is not synced may be on the disk or not, with it and without it.)
STRANGE = {
    *("writev", "pwritev", "pwritev2", "truncate", "fallocate", "mmap", "ioctl", "openat2"),
    *("symlink", "symlinkat", "mknod", "mknodat", "sendfile", "splice", "copy_file_range"),
    *("sync", "io_uring_setup", "io_submit"),
}
READING = {
    *("read", "pread64", "readv", "preadv", "preadv2", "getdents64", "flock", "close"),
    *("newfstatat", "fstat", "stat", "statx"),
}

_PATHS = {  # where the paths of a call are: (argument of the directory or None, of the path)
    "open": [(None, 0)],
    "creat": [(None, 0)],
    "openat": [(0, 1)],
    "openat2": [(0, 1)],
    "rename": [(None, 0), (None, 1)],
    "renameat": [(0, 1), (2, 3)],
    "renameat2": [(0, 1), (2, 3)],
    "link": [(None, 0), (None, 1)],
    "linkat": [(0, 1), (2, 3)],
    "symlink": [(None, 1)],
    "symlinkat": [(1, 2)],
    "unlink": [(None, 0)],
    "unlinkat": [(0, 1)],
    "mkdir": [(None, 0)],
    "mkdirat": [(0, 1)],
    "rmdir": [(None, 0)],
    "mknod": [(None, 0)],
    "mknodat": [(0, 1)],
    "truncate": [(None, 0)],
    "stat": [(None, 0)],
    "newfstatat": [(0, 1)],
    "statx": [(0, 1)],
}
_DESCRIPTOR = {"mmap": 4, "copy_file_range": 2, "splice": 2}
_FLAGS = {"open": 1, "openat": 2}
_AT_CWD = (1 << 32) - 100
_FICLONE, _REMOVE_DIRECTORY, _SHARED, _WRITABLE = 0x40049409, 0x200, 1, 2
_BLIND = {"io_uring_setup", "io_submit", "sync"}  # they name no file


@dataclass
class Call:
    """A call that a process is about to make, or has made, on files below a directory."""

    pid: int
    writer: int
    name: str
    paths: list[str]
    values: list[int]
    flags: int = 0
    data: bytes = b""
    offset: int = 0
    inode: int = 0
    existed: bool = False
    result: int | None = field(default=None, compare=False)

    @property
    def creates(self):
        return bool(self.flags & os.O_CREAT)

    @property
    def changes(self):
        """Whether it changes what is there, makes it last, or tells of it."""
        if self.name in {"open", "openat"}:
            return bool(self.flags & (os.O_CREAT | os.O_TRUNC))
        return self.name == "say" or self.name in CHANGING

    @property
    def is_sync(self):
        return self.name in {"fsync", "fdatasync", "syncfs"}

    @property
    def writes(self):
        return self.name in {"write", "pwrite64"}

    def __str__(self):
        return f"{self.name}({', '.join(self.paths)})"


def look(pid, writer, root):
    """Describe the call before which a process has stopped, None if it is not on our files."""
    name, values = ptrace.arguments(pid)
    if name in _BLIND:
        return Call(pid, writer, name, ["?"], values)
    if name == "write" and values[0] & 0xFFFFFFFF == 1:
        return Call(pid, writer, "say", [], values, data=ptrace.memory(pid, values[1], values[2]))
    paths = list(_paths(pid, name, values))
    if not any(_is_ours(path, root) for path in paths):
        return None
    call = Call(pid, writer, name, [os.path.relpath(path, root) for path in paths], values)
    if name == "ioctl" and values[1] != _FICLONE:
        return None
    if name == "mmap" and not (values[3] & _SHARED and values[2] & _WRITABLE):
        return None
    call.flags = values[_FLAGS[name]] if name in _FLAGS else os.O_CREAT if name == "creat" else 0
    call.existed = os.path.lexists(paths[-1])
    _add_data(call)
    return call


def _add_data(call):
    if call.name not in {"write", "pwrite64", "fsync", "fdatasync", "ftruncate"}:
        return
    descriptor = call.values[0] & 0xFFFFFFFF
    state = os.stat(f"/proc/{call.pid}/fd/{descriptor}")
    call.inode = state.st_ino
    if call.writes:
        call.data = ptrace.memory(call.pid, call.values[1], call.values[2])
        position, flags = _place(call.pid, descriptor)
        call.offset = call.values[3] if call.name == "pwrite64" else position
        if flags & os.O_APPEND:
            call.offset = state.st_size


def _place(pid, descriptor):
    with open(f"/proc/{pid}/fdinfo/{descriptor}") as file:
        lines = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    return int(lines["pos"]), int(lines["flags"], 8)


def _paths(pid, name, values):
    if name not in _PATHS:
        yield _of_descriptor(pid, values[_DESCRIPTOR.get(name, 0)])
        return
    for directory, at in _PATHS[name]:
        text = ptrace.text(pid, values[at]) if values[at] else ""
        base = _AT_CWD if directory is None else values[directory] & 0xFFFFFFFF
        if not os.path.isabs(text):
            text = os.path.join(_of_descriptor(pid, base), text)
        yield os.path.normpath(text)


def _of_descriptor(pid, descriptor):
    descriptor &= 0xFFFFFFFF
    link = "cwd" if descriptor == _AT_CWD else f"fd/{descriptor}"
    try:
        return os.readlink(f"/proc/{pid}/{link}").removesuffix(" (deleted)")
    except FileNotFoundError:
        return "/"


def _is_ours(path, root):
    return path == root or path.startswith(f"{root}/")


def removes_directory(call):
    """Whether the call is a rmdir."""
    return call.name == "rmdir" or (
        call.name == "unlinkat" and bool(call.values[2] & _REMOVE_DIRECTORY)
    )
