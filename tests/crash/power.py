"""Every state that a disk may be in after a power cut, from the calls that a program made.

What was written is sure to be there only after a sync of the file, and a name only after a sync of
its directory. Until then any of a file's writes may have reached the disk without the others, in
part, or as length alone, with zeros or old bytes where the data should be; and so may any first few
of the changes to a directory, or all but one of them. A sync that failed is never made good by a
later one: the kernel has dropped what it could not write.
"""

import math
import os
import random
from itertools import product
from typing import Any

from .calls import removes_directory

MOST = 300  # states at one instant; of more, this many are drawn
_SECTOR = 512
_OLD = random.Random(1).randbytes(1 << 16)  # what a disk block held before


class File:
    """Contents of which one is durable, and the writes since."""

    def __init__(self, content=b""):
        self.safe, self.pending = [content], []
        self._images = None

    def write(self, offset, data):
        """Note a write, or with data None a new size."""
        self.pending.append((offset, data))
        self._images = None

    def sync(self):
        self.safe = [_written(content, self.pending) for content in self.safe]
        self.pending, self._images = [], None

    def fail_to_sync(self):
        self.safe, self.pending, self._images = self.images(), [], None

    def images(self):
        """List what a reader may find after a power cut, without repetitions."""
        if self._images is None:
            found = {
                image: None for content in self.safe for image in _images(content, self.pending)
            }
            self._images = list(found)
        return self._images


def _images(content, pending):
    for count, write in enumerate(pending):
        before, rest = pending[:count], pending[count + 1 :]
        yield _written(content, before)
        if write[1] is not None:
            yield _written(content, [*before, (write[0], write[1][: len(write[1]) // 2])])
        if rest:
            yield _written(content, [*before, *rest])
    full = _written(content, pending)
    if not pending:
        yield full
        return
    if len(pending) > 1:
        yield _written(content, pending[-1:])
    if len(full) > len(content):
        half = full[: (len(content) + len(full)) // 2]
        for begin in (content, half):
            yield begin + bytes(len(full) - len(begin))
            yield begin + (_OLD * (len(full) // len(_OLD) + 1))[len(begin) : len(full)]
        yield from (_sectors(content, full, part) for part in range(2))
    yield full


def _sectors(before, after, part):
    """Mix two states by disk sectors, of which any may have been written."""
    chance, mixed = random.Random(part), bytearray(before.ljust(len(after), b"\0"))
    for at in range(0, len(after), _SECTOR):
        if chance.random() < 0.5:
            mixed[at : at + _SECTOR] = after[at : at + _SECTOR]
    return bytes(mixed)


def _written(content, writes):
    buffer = bytearray(content)
    for offset, data in writes:
        if data is None:
            del buffer[offset:]
        if len(buffer) < offset:
            buffer.extend(bytes(offset - len(buffer)))
        if data is not None:
            buffer[offset : offset + len(data)] = data
    return bytes(buffer)


class Directory:
    """Names that are durable, those that programs see, and the changes between."""

    def __init__(self, names=()):
        self.names, self.safe, self.pending = dict(names), dict(names), []

    def change(self, *pairs):
        """Give names to files, or with None take them away, at once."""
        self.pending.append(pairs)
        _apply(self.names, pairs)

    def sync(self):
        for pairs in self.pending:
            _apply(self.safe, pairs)
        self.pending = []

    def variants(self):
        """List the names that may be there after a power cut, without repetitions."""
        count, found = len(self.pending), []
        chosen = [list(range(length)) for length in range(count)]
        chosen += [[at for at in range(count) if at != out] for out in range(count - 1)]
        for numbers in [*chosen, list(range(count))]:
            names = dict(self.safe)
            for number in numbers:
                _apply(names, self.pending[number])
            if names in found:
                found.remove(names)  # all of them comes last
            found.append(names)
        return found


def _apply(names, pairs):
    for name, node in pairs:
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """A directory and all below it, as it is and as a power cut may leave it."""

    def __init__(self, root):
        self.inodes = {}
        self.top: Any = self._read(root)

    def _read(self, path) -> File | Directory:
        node: File | Directory
        if os.path.isdir(path):
            node = Directory({name: self._read(f"{path}/{name}") for name in os.listdir(path)})
        else:
            with open(path, "rb") as file:
                node = File(file.read())
        self.inodes[os.stat(path).st_ino] = node
        return node

    def apply(self, call):
        """Take in a call that was made."""
        failed = call.result is None or call.result < 0
        if call.is_sync:
            self._sync(call, failed)
        elif failed or call.name == "say":
            return
        elif call.writes:
            self.inodes[call.inode].write(call.offset, call.data[: call.result])
        elif call.name == "ftruncate":
            self.inodes[call.inode].write(call.values[1], None)
        else:
            self._change_names(call)

    def _sync(self, call, failed):
        if call.name == "syncfs":
            nodes = [] if failed else [self.top, *self.inodes.values()]
        else:
            nodes = [self.inodes[call.inode]]
        for node in nodes:
            if not failed:
                node.sync()
            elif isinstance(node, File):
                node.fail_to_sync()

    def _change_names(self, call):
        *_, (folder, name) = places = [self._place(path) for path in call.paths]
        if call.creates:
            if not call.existed:
                self._add(call.inode, folder, name, File())
            elif call.flags & os.O_TRUNC:
                folder.names[name].write(0, None)
        elif call.name.startswith("mkdir"):
            self._add(call.inode, folder, name, Directory())
        elif call.name.startswith("unlink") or removes_directory(call):
            folder.change((name, None))
        elif call.name.startswith("link"):
            folder.change((name, places[0][0].names[places[0][1]]))
        elif call.name.startswith("rename"):
            (old_folder, old), node = places[0], places[0][0].names[places[0][1]]
            if old_folder is folder:
                folder.change((name, node), (old, None))
            else:
                folder.change((name, node))
                old_folder.change((old, None))

    def _add(self, inode, folder, name, node):
        self.inodes[inode] = node
        folder.change((name, node))

    def _place(self, path):
        *folders, name = path.split("/")
        node = self.top
        for folder in folders:
            node = node.names[folder]
        return node, name

    def states(self, chance):
        """Yield the states, each path -> bytes (None: a directory)."""
        folders = [node for node in _below(self.top) if isinstance(node, Directory)]
        open_ones = [folder for folder in folders if folder.pending]
        variants = [folder.variants() for folder in open_ones]
        total, plans = 0, []
        for chosen in _products(variants, chance):
            names = {id(folder): one for folder, one in zip(open_ones, chosen, strict=True)}
            found = dict(_walk(self.top, names))
            loose = list(dict.fromkeys(node for node in found.values() if _is_loose(node)))
            total += math.prod(len(file.images()) for file in loose)
            plans.append((found, loose))
        return _drawn(plans, total, chance)


def _products(variants, chance):
    if math.prod(map(len, variants)) <= MOST:
        yield from product(*variants)
        return
    yield [each[0] for each in variants]
    yield from ([chance.choice(each) for each in variants] for _ in range(MOST))
    yield [each[-1] for each in variants]


def _drawn(plans, total, chance):
    if total <= MOST:
        for found, loose in plans:
            for images in product(*(file.images() for file in loose)):
                yield _filled(found, dict(zip(loose, images, strict=True)))
        return
    # The extremes always: nothing that was not synced, all of it, and all names without data.
    for (found, loose), which in ((plans[0], 0), (plans[-1], 0), (plans[-1], -1)):
        yield _filled(found, {file: file.images()[which] for file in loose})
    for _ in range(MOST):
        found, loose = chance.choice(plans)
        yield _filled(found, {file: chance.choice(file.images()) for file in loose})


def _filled(found, images):
    return {
        path: images[node] if node in images else node.safe[0] if isinstance(node, File) else None
        for path, node in found.items()
    }


def _is_loose(node):
    return isinstance(node, File) and len(node.images()) > 1


def _below(node):
    """Yield all directories and files, under durable names and current ones."""
    seen, waiting = {}, [node]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            if isinstance(node, Directory):
                waiting += [*node.names.values(), *node.safe.values()]
                waiting += [one for pairs in node.pending for _, one in pairs if one is not None]
    return list(seen.values())


def _walk(folder, names, prefix=""):
    for name, node in names.get(id(folder), folder.safe).items():
        yield prefix + name, node
        if isinstance(node, Directory):
            yield from _walk(node, names, f"{prefix}{name}/")


def cuts(disk, calls, *, left_out=None, since=0, instants=None, chance=None):
    """Yield (state, what was said so far) for every instant of a cut, each pair once.

    Parameters
    ----------
    disk
        The disk as it was before the calls; it is changed.
    left_out
        Called with each sync: whether it is left out.
    since, instants
        The number of the call before which no cut comes, and of those after which one comes (all).
    """
    chance = chance or random.Random(0)
    said, seen = [], set()
    for number, call in enumerate(calls):
        if call.name == "say":
            said = [*said, (call.writer, call.data.decode())]
        elif not (call.is_sync and left_out is not None and left_out(call)):
            disk.apply(call)
        if number < since or (instants is not None and number not in instants):
            continue
        for state in disk.states(chance):
            mark = hash((frozenset(state.items()), len(said)))
            if mark not in seen:
                seen.add(mark)
                yield state, said
