"""Scenarios of a download's files, each written, synced, named, and remembered in the ledger."""

import hashlib
import os
from pathlib import Path

from haversack.download.commit import Committer
from haversack.download.digest import Digest
from haversack.download.ending import Ending
from haversack.download.ledger import LEDGER_NAME, Ledger
from haversack.download.outcome import Request
from haversack.download.parts import PREFIX, Parts
from haversack.download.syncing import Disk
from haversack.download.whole import Whole
from haversack.storage import publish
from haversack.storage.publish import storage_error, sync_directory

from .blocks import ALL
from .check import NEXT, BrokenPromiseError
from .scenarios import Direct, scenario

__all__ = ["ALL"]


def content_of(key, step):
    return f"{key} {step}\n".encode() * 150


class Files(Direct):
    """One run that publishes files as they come, in folders that it makes."""

    def __init__(self, path):
        self._path = path
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise storage_error("make", path, error) from error

    def append(self, _, metadata, *, key):
        final = str(self._path / f"folder{key % 2}" / f"{key}.bin")
        parts = Parts(os.urandom(4).hex(), synced=True)
        with Ledger(self._path / LEDGER_NAME) as ledger:
            committer = Committer(Disk("batch", Ending()), ledger, Ending())
            try:
                self._publish(committer, parts, final, content_of(key, metadata["step"]))
            except OSError as error:
                raise storage_error("publish", Path(final), error) from error
            finally:
                committer.close()

    put = append

    def _publish(self, committer, parts, final, content):
        request, left = Request("http://a.example/x", final), parts.prepare(final)
        part = parts.new(final, "0")
        committer.put(Whole(request, final, part, content, Digest([]), None, None, left, None))
        while committer.open:
            for whole in committer.published(1.0):
                if whole.error is not None:
                    raise whole.error

    def delete(self, key):
        file = self._path / f"folder{key % 2}" / f"{key}.bin"
        file.unlink()
        sync_directory(file.parent)


def whole_files(path, *, torn=False):
    """List the (key, step) of all files that have their names, each of which must be whole."""
    found = []
    for file in sorted(path.rglob("*")) if path.exists() else ():
        if file.suffix != ".bin" or file.name.startswith(PREFIX):
            continue
        content = file.read_bytes()
        key, step = map(int, content.split(b"\n")[0].split() or (-1, -1))
        if file.stem != str(key) or content != content_of(key, step):
            raise BrokenPromiseError(f"{file.name} has its name and is not whole")
        found.append((key, step))
    _check_ledger(path)
    return sorted(found, key=lambda one: (one[0] == NEXT, one[1], one[0]))


def _check_ledger(path):
    """What the ledger takes for here must be: other programs never look again."""
    if not (path / LEDGER_NAME).exists():
        return
    with Ledger(path / LEDGER_NAME) as ledger:
        for entry in ledger:
            file = path / entry.path
            if ledger.whole(file) is None:
                continue
            if entry.checksum != "1220" + hashlib.sha256(file.read_bytes()).hexdigest():
                raise BrokenPromiseError(f"the ledger takes {entry.path} for what it is not")


STEPS = [[("add", 0)], [("add", 1)], [("put", 0)], [("add", 2)]]


@scenario(
    STEPS,
    writer=Files,
    visible=whole_files,
    spare=frozenset({"data in ds"}),  # the ledger's, which is no more than a cache
)
def files(path, step):
    """Files each of which is synced by itself, as few are at a time."""
    for number in step:
        with step(number) as change:
            change(Files(path))


@scenario(
    STEPS,
    writer=Files,
    visible=whole_files,
    # As above; and a folder's name is synced with the whole file system, before a file is in it.
    spare=frozenset({"data in ds", "names in ds"}),
)
def files_at_once(path, step):
    """Files that are synced with all others of their file system, as many are."""
    vars(publish).update(_WORTH_A_SYNCFS=1)
    for number in step:
        with step(number) as change:
            change(Files(path))
