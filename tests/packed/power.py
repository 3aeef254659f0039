"""Every state that a disk may be in after a power cut, from a trace of a program's system calls.

What was written is sure to be there only after ``fsync`` of the file, and a name only after
``fsync`` of its directory; until then any part of the bytes, and any first few of a directory's
changes, may have reached the disk.
"""

import itertools
import re
from collections import defaultdict
from pathlib import PurePosixPath

CALLS = "openat,write,close,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,mkdir"
KNOWN = set(CALLS.split(","))
_LINE = re.compile(r"^(?:\d+\s+)?(\w+)\((.*)\)\s+=\s+(-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def operations(trace, root):
    """Turn the lines of a trace into what happened below a directory, in order."""
    names = {}
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None or int(match[3]) < 0:
            continue
        call, arguments, result = match[1], match[2], int(match[3])
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)]
        paths = [_below(text, root) for text in texts] if call != "write" else []
        descriptor = arguments.split(",")[0]
        if call == "openat":
            names[str(result)] = paths[0]
            if paths[0] and "O_CREAT" in arguments:
                yield "create", paths[0]
        elif call == "close":
            names.pop(descriptor, None)
        elif call == "write" and descriptor == "1" and texts[0].startswith(b"ACK"):
            yield "ack", int(texts[0].split()[1])
        elif call == "write" and names.get(descriptor):
            yield "write", names[descriptor], texts[0][:result]
        elif call in {"fsync", "fdatasync"} and names.get(descriptor):
            yield "sync", names[descriptor]
        elif paths and all(paths):
            yield (call.removesuffix("2").removesuffix("at"), *paths)


def _below(text, root):
    path = text.decode(errors="replace")
    return path.removeprefix(f"{root}/") if path.startswith(f"{root}/") else None


class Disk:
    """Files with what of them is durable, and directories with what of them is."""

    def __init__(self):
        self.safe, self.pending = defaultdict(bytes), defaultdict(bytes)
        self.names, self.durable = {}, {}
        self.changes = defaultdict(list)
        self.folders = {""}

    def apply(self, operation, *paths):
        if operation == "create" and paths[0] not in self.names:
            self._change("link", paths[0], object())
        elif operation == "write":
            self.pending[self.names[paths[0]]] += paths[1]
        elif operation == "sync" and paths[0] in self.folders:
            for change in self.changes.pop(paths[0], []):
                _apply(self.durable, change)
        elif operation == "sync":
            file = self.names[paths[0]]
            self.safe[file] += self.pending.pop(file, b"")
        elif operation == "mkdir":
            self.folders.add(paths[0])
        elif operation == "link":
            self._change("link", paths[1], self.names[paths[0]])
        elif operation == "unlink":
            self._change("unlink", paths[0], None)
        elif operation == "rename":
            self._change("rename", paths[1], self.names[paths[0]], paths[0])

    def _change(self, *change):
        parent = str(PurePosixPath(change[1]).parent)
        self.changes["" if parent == "." else parent].append(change)
        _apply(self.names, change)

    def states(self):
        """Yield each legal state as name -> bytes."""
        folders = list(self.changes)
        for counts in itertools.product(*(range(len(self.changes[f]) + 1) for f in folders)):
            names = dict(self.durable)
            for folder, count in zip(folders, counts, strict=True):
                for change in self.changes[folder][:count]:
                    _apply(names, change)
            loose = [file for file in dict.fromkeys(names.values()) if self.pending.get(file)]
            for parts in itertools.product((0, 0.5, 1), repeat=len(loose)):
                kept = {
                    file: self.pending[file][: int(len(self.pending[file]) * part)]
                    for file, part in zip(loose, parts, strict=True)
                }
                yield {name: self.safe[file] + kept.get(file, b"") for name, file in names.items()}


def _apply(names, change):
    operation, path, file, *old = change
    if operation == "unlink":
        names.pop(path, None)
        return
    names[path] = file
    if old:
        names.pop(old[0], None)


def after_power_cuts(trace, root):
    """Yield (files, acknowledged) for every instant of a cut and every state it may leave."""
    disk, acknowledged, before = Disk(), 0, None
    for operation in operations(trace, root):
        if operation[0] == "ack":
            acknowledged = operation[1]
            continue
        disk.apply(*operation)
        for files in disk.states():
            state = (files, acknowledged)
            if state != before:
                yield state
            before = state
    yield from ((files, acknowledged) for files in disk.states())
