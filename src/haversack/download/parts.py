"""Part files: what is here of a file that is still coming.

A part stands beside its final name as ``.part-NAME-VALIDATOR-SYNC-RUN``: a hash of the final name,
a hash of the validator that the server gave with these bytes (``0`` where it gave none, or the file
is too small for a part to be worth keeping), whether its bytes are on the disk, and the id of the
run that writes it with a number. So a later run knows from the name alone what it may go on with,
and two runs never write to the same file.

After a power cut a part that was not synced may hold zeros where its bytes were. A run that ends in
order syncs the parts that it leaves and says so: SYNC is then ``synced``. Before that it is a hash
of the machine's boot, and only runs of the same boot go on with the part; where a system tells its
boots not apart it is ``0``, and none does.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from haversack.download.digest import Digest
from haversack.storage.calls import calls
from haversack.storage.publish import sync_directory, sync_file

PREFIX = ".part-"
NO_VALIDATOR = "0"
SYNCED = "synced"
_UNKNOWN_BOOT = "0"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
WORTH_KEEPING = 64 << 10
_WORTH_BEGINNING = 256 << 10
_BLOCK = 1 << 20
_DIRECTORIES = 1024
_OPEN = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Those of earlier versions have no SYNC; they are cleared away.
_NAME = re.compile(
    re.escape(PREFIX)
    + r"([0-9a-f]{16})-(0|[0-9a-f]{12})(?:-(synced|0|[0-9a-f]{8}))?-([0-9a-f]{8})\.[0-9a-f]+"
)

WriteBack = Callable[[int, int, int], None]


def validator(headers: Mapping[str, str], total: int | None) -> str:
    """Hash what identifies a version of a file: its strong ETag, else its date and size.

    Examples
    --------
    >>> validator({"etag": 'W/"weak"'}, 10), len(validator({"etag": '"strong"'}, 10))
    ('0', 12)
    """
    etag = headers.get("etag", "")
    if etag.startswith('"'):
        return _hash(f"etag {etag}", 12)
    modified = headers.get("last-modified")
    if modified is None or total is None:
        return NO_VALIDATOR
    return _hash(f"date {modified} {total}", 12)


def _hash(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


@lru_cache(4096)
def stem_of(name: str) -> str:
    """Hash the final name of a file, as the names of its parts have it."""
    # The files of most items have the same names.
    return _hash(name, 16)


def boot() -> str:
    """Hash what tells this boot of the machine from others; ``0`` where nothing does."""
    try:
        return _hash(_BOOT_ID.read_text("ascii").strip(), 8)
    except (OSError, ValueError):
        return _UNKNOWN_BOOT


class PartName(NamedTuple):
    """What the name of a part says; ``sync`` is empty in those of earlier versions."""

    stem: str
    validator: str
    sync: str
    run: str

    def may_be_gone_on_with(self, size: int, boot: str) -> bool:
        """Tell whether a run of this boot takes the part over, if it has so many bytes."""
        trusted = {SYNCED, boot} - {_UNKNOWN_BOOT}
        return self.validator != NO_VALIDATOR and self.sync in trusted and size >= WORTH_KEEPING


def read_name(name: str) -> PartName | None:
    """Read the name of a part; None where it is none of ours."""
    found = _NAME.fullmatch(name)
    return PartName(*found.groups("")) if found else None


@dataclass(slots=True)
class Part:
    """A part of this run on disk; closed when nothing is being written to it.

    ``write_back`` begins to bring a range of it to the disk, where that is wanted and can be had;
    ``error`` is why bytes are missing in it; ``to_sync`` whether it is synced when it is left.
    ``modified`` (in ns) and ``device`` are what the system says of it once it is closed.
    """

    path: str
    validator: str
    write_back: WriteBack | None = None
    size: int = 0
    descriptor: int | None = None
    modified: int = 0
    device: int = 0
    error: OSError | None = None
    to_sync: bool = False

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        begun, descriptor = self.size, self.descriptor
        if descriptor is None:
            descriptor = self.descriptor = os.open(self.path, _OPEN, 0o666)
            if begun:
                os.lseek(descriptor, begun, os.SEEK_SET)
        written = os.write(descriptor, data)
        self.size = begun + written
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
            self.size = begun + written
        if written >= _WORTH_BEGINNING and self.write_back is not None:
            # The disk works while the rest comes; the sync waits for less.
            self.write_back(descriptor, begun, written)

    def finish(self, data: bytes) -> None:
        """Add the last bytes and close it, if nothing before was refused."""
        if self.error is not None:
            raise self.error
        self.write(data)
        self.close()

    def close(self) -> None:
        """Let go of the descriptor, and note what the system says of the file then."""
        if self.descriptor is not None:
            descriptor, self.descriptor = self.descriptor, None
            try:
                status = os.fstat(descriptor)
                self.modified, self.device = status.st_mtime_ns, status.st_dev
            finally:
                os.close(descriptor)

    def keep_or_remove(self, *, sync: bool) -> None:
        """Leave what a later run can go on with; remove the rest, and what may not be on disk.

        Where there is no time to ``sync``, only a run of the same boot goes on with it.
        """
        try:
            self.close()
            if self.validator == NO_VALIDATOR or self.size < WORTH_KEEPING:
                self.remove()
            elif sync and self.to_sync:
                sync_file(self.path)
                begin, _, run = self.path.rsplit("-", 2)
                os.rename(self.path, f"{begin}-{SYNCED}-{run}")  # noqa: PTH104 (plain texts)
        except FileNotFoundError:
            pass  # another run took it over
        except OSError:
            self.remove()

    def remove(self) -> None:
        """Throw the bytes away; where the disk refuses that, a later run clears them away."""
        with suppress(OSError):
            self.close()
        with suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 (a plain text, as paths cost more than the call)
        self.size = 0


class Parts:
    """Parts of one run, and those that earlier runs left behind.

    Parameters
    ----------
    run
        Id of the run, a few letters and digits.
    synced
        Whether they will be synced, so that bringing them to the disk may begin early; those that
        are left too.
    """

    def __init__(self, run: str, *, synced: bool) -> None:
        self._run, self._count = run, 0
        self._boot, self._synced = boot(), synced
        self._write_back: WriteBack | None = calls.write_back if synced else None
        self._left: OrderedDict[str, dict[str, list[str]]] = OrderedDict()

    def new(self, final: str, validator: str) -> Part:
        """Name the part of a file whose bytes have this validator."""
        self._count += 1
        folder, slash, name = final.rpartition(os.sep)
        begin = f"{folder}{slash}{PREFIX}{stem_of(name)}"
        part = f"{begin}-{validator}-{self._boot}-{self._run}.{self._count:x}"
        return Part(part, validator, self._write_back, to_sync=self._synced)

    def prepare(self, final: str) -> Sequence[str]:
        """Make the directory of a file; name the parts that earlier runs left of it there.

        Each directory is looked at once; the largest part comes first.
        """
        folder, slash, name = final.rpartition(os.sep)
        directory = folder + slash or "."
        left = self._left.get(directory)
        if left is None:
            made = self._make(directory)
            left = self._left[directory] = {} if made else _scan(directory, self._run)
            if len(self._left) > _DIRECTORIES:
                self._left.popitem(last=False)
        return left.get(stem_of(name), ()) if left else ()

    def _make(self, directory: str) -> bool:
        """Make a directory and those above it; tell whether it is new."""
        try:
            os.mkdir(directory)  # noqa: PTH102 (for most files)
        except FileExistsError:
            if not Path(directory).is_dir():
                raise
            return False
        except FileNotFoundError:
            self._make(os.path.dirname(directory.rstrip(os.sep)) or ".")  # noqa: PTH120 (texts)
            Path(directory).mkdir(exist_ok=True)
        return True

    def adopt(self, final: str, left: Sequence[str], digest: Digest) -> Part | None:
        """Take over the largest part that is worth it, and hash its bytes."""
        for name in left:
            path, named = Path(final).with_name(name), read_name(name)
            if named is None:
                continue
            part = self.new(final, named.validator)
            with suppress(FileNotFoundError):
                if named.may_be_gone_on_with(path.stat().st_size, self._boot):
                    # Of two runs that want it, one gets it.
                    path.rename(part.path)
                    if named.sync == SYNCED:
                        # Its name must not come back after a power cut, with more bytes in it.
                        sync_directory(path.parent)
                    part.size = _hash_file(Path(part.path), digest)
                    return part
        return None


def _scan(directory: str, run: str) -> dict[str, list[str]]:
    found: dict[str, list[tuple[int, str]]] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            named = read_name(entry.name)
            if named is None or named.run == run:
                continue
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.setdefault(named.stem, []).append((size, entry.name))
    return {stem: [name for _, name in sorted(names)[::-1]] for stem, names in found.items()}


def _hash_file(path: Path, digest: Digest) -> int:
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size
