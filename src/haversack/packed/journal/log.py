"""The journal of a dataset: one file to which all writers append their small commits.

A frame is appended by one ``O_APPEND`` write and made durable by one ``fdatasync``. Its writer then
reads the journal on from where it last stood, and learns from the order of the frames what became
of its own.
"""

from __future__ import annotations

import os
import secrets
import weakref
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from haversack.errors import FormatError, HaversackError, IntegrityError, StorageError
from haversack.packed.chunks.fileheader import HEADER_SIZE
from haversack.packed.journal import frames
from haversack.packed.journal.frames import Frame, Operation
from haversack.packed.journal.replay import Outcome, Replay
from haversack.packed.manifests.manifest import Manifest
from haversack.packed.manifests.places import JOURNALS, MANIFESTS, journal_path
from haversack.storage.calls import calls
from haversack.storage.closing import close_quietly
from haversack.storage.looking import opened, refuse_endless
from haversack.storage.publish import create, make_directory, storage_error, sync_directory

MOST_BYTES = 16 << 20  # a journal that has grown to this is ended, ...
MOST_ROWS = 16_384  # ... or to so many records
_LARGEST: Final = 1 << 30  # what no journal of ours comes near
_TRIES: Final = 3  # of a write that the system cuts short


def make_journal(root: Path) -> str:
    """Create an empty, durable journal; it counts when a manifest names it."""
    journal_id = secrets.token_hex(16)
    make_directory(root / JOURNALS)
    sync_directory(root)  # a writer that died may have made the directory, and not synced it
    create(journal_path(root, journal_id), frames.header(journal_id))
    return journal_id


class Log:
    """The frames of a journal, read from its beginning on.

    Parameters
    ----------
    path, journal_id
        Its file, and the id that its frames must have.
    descriptor
        Read from this open file; otherwise the path is opened for each look.

    Attributes
    ----------
    end
        Where the last whole frame ends. What lies behind is being written, or was cut off.
    gaps
        (start, end) of bytes before that which are no frame: what a writer that died, or a full
        disk, left of one.
    """

    def __init__(self, path: Path, journal_id: str, descriptor: int | None = None) -> None:
        self.path, self.id, self._descriptor = path, journal_id, descriptor
        self.end, self.size = 0, 0
        self.gaps: list[tuple[int, int]] = []
        self._ends: list[int] = []
        self._promised = (0, 0)  # the largest that a frame says was synced, and its count
        self._ended = False

    @property
    def promised(self) -> int:
        """How many bytes a frame says were synced."""
        return self._promised[0]

    def count_up_to(self, offset: int) -> int:
        """Count the whole frames that end there or before."""
        return bisect_right(self._ends, offset)

    @property
    def ended(self) -> bool:
        """Whether a frame that was read ends it."""
        return self._ended

    @property
    def torn(self) -> int:
        """Bytes behind the last whole frame."""
        return self.size - self.end

    def read_on(self, stop: int | None = None) -> list[Frame]:
        """Read the frames that were appended since the last call, up to an offset if given.

        Raises
        ------
        FileNotFoundError, StorageError
            It is gone, or cannot be read.
        FormatError, IntegrityError
            It is no journal, or another.
        """
        data = self._read(stop)
        if self.end == 0:
            frames.check_header(data, self.id, self.path)
            found = list(self._frames(data, HEADER_SIZE))
            self.end = self.end or HEADER_SIZE
            return found
        return list(self._frames(data, 0))

    def salvage(self) -> list[Frame]:
        """Read every whole frame that can be found, whatever is damaged before and behind it."""
        return list(self._frames(self._read(None), HEADER_SIZE))

    def _read(self, stop: int | None) -> bytes:
        try:
            if self._descriptor is not None:
                return self._read_from(self._descriptor, stop)
            with opened(self.path) as descriptor:
                return self._read_from(descriptor, stop)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_error("read", self.path, error) from error

    def _read_from(self, descriptor: int, stop: int | None) -> bytes:
        size = os.fstat(descriptor).st_size
        if size > _LARGEST:
            raise FormatError(f"{self.path} has {size} bytes, more than any journal")
        self.size = size if stop is None else min(size, stop)
        os.lseek(descriptor, self.end, os.SEEK_SET)
        pieces, left = [], max(0, self.size - self.end)
        while left and (piece := os.read(descriptor, left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _frames(self, data: bytes, at: int) -> Iterator[Frame]:
        offset = self.end
        while True:
            frame = frames.decode(data, at, offset, self.id, self.path)
            if frame is None:
                frame = self._behind(data, at, offset)
                if frame is None:
                    return
                self.gaps.append((offset + at, frame.start))
            self._ends.append(frame.end)
            if not self._ended:
                # Behind the end, frames may promise what a sync has failed to write.
                self._promised = max(self._promised, (frame.synced, frame.frames_synced))
            self._ended = self._ended or any(each.op == "end" for each in frame.operations)
            self.end = frame.end
            at = frame.end - offset
            yield frame

    def _behind(self, data: bytes, at: int, offset: int) -> Frame | None:
        """Find the next whole frame behind bytes that are none."""
        while (at := data.find(frames.FRAME_MAGIC, at + 1)) >= 0:
            frame = frames.decode(data, at, offset, self.id, self.path)
            if frame is not None:
                return frame
        return None

    def check(self) -> None:
        """Compare what was read with what its frames promise of those before them.

        Raises
        ------
        IntegrityError
            Frames that were durable once are damaged.
        """
        synced, count = self._promised
        lost = count - self.count_up_to(synced)
        if lost > 0 or synced > max(self.end, HEADER_SIZE):
            place = f" (bytes {self.gaps[0][0]} to {self.gaps[0][1]})" if self.gaps else ""
            raise IntegrityError(
                f"{self.path} is damaged{place}: {max(lost, 1)} commits cannot be read; "
                "`haversack repair` keeps all others"
            )


def end_journal(path: Path, journal_id: str) -> None:
    """Append the frame behind which all are void to a journal that may be damaged."""
    frame = frames.encode(
        journal_id, secrets.token_bytes(16), [Operation("end")], [], synced=0, count=0
    )
    refuse_endless(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
    try:
        os.write(descriptor, frame)
        os.fsync(descriptor)
    except OSError as error:
        raise storage_error("write", path, error) from error
    finally:
        close_quietly(descriptor)


def make_durable(log: Log) -> None:
    """Make durable what was read of a journal.

    Its writers may have died before they synced it; or in a sync that failed, after which another
    one writes nothing unless the data is written again.

    Raises
    ------
    FileNotFoundError
        It is gone.
    StorageError
        The disk refuses.
    """
    begin = min(log.promised, log.end)
    try:
        # A descriptor for appending cannot write anywhere else.
        with log.path.open("r+b") as file:
            file.seek(begin)
            data = file.read(log.end - begin)
            file.seek(begin)
            file.write(data)
            file.flush()
            (calls.fdatasync or os.fsync)(file.fileno())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error("write", log.path, error) from error


class Journal:
    """A journal open for appending, and what its frames have made of the dataset so far.

    Parameters
    ----------
    root, manifest
        The dataset, and the version that names the journal.
    ending
        End it, durably, before anything else.
    """

    def __init__(self, root: Path, manifest: Manifest, *, ending: bool = False) -> None:
        self.id = manifest.journal or ""
        self.manifest = manifest
        self.path = path = journal_path(root, self.id)
        self.replay = Replay(manifest)
        self._synced, self._count = 0, 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_error("open", path, error) from error
        self.close = weakref.finalize(self, close_quietly, self._file)
        # Read as it was opened, also when it was ended and removed meanwhile.
        self.log = Log(path, self.id, self._file)
        self.read_on()
        if ending:
            self.end()
            self.read_on()
        self._make_durable()

    @property
    def is_full(self) -> bool:
        return self.log.end >= MOST_BYTES or len(self.replay.rows) >= MOST_ROWS

    def read_on(self) -> dict[bytes, tuple[Frame, Outcome]]:
        """Apply the frames that were appended meanwhile; say what became of each."""
        found = {frame.id: (frame, self.replay.apply(frame)) for frame in self.log.read_on()}
        self.log.check()
        return found

    def append(self, operations: Sequence[Operation], payloads: Sequence[Any]) -> Outcome:
        """Append a commit; what was applied is durable.

        Raises
        ------
        StorageError
            The disk refuses. After a failed sync the journal is ended, as nobody can know what of
            it is on disk: this one must not be used again.
        """
        frame_id = secrets.token_bytes(16)
        self._write(frame_id, operations, payloads)
        try:
            self._sync()
        except StorageError:
            with suppress(HaversackError):
                self.end()
            raise
        found = self.read_on().get(frame_id)
        if found is None:
            raise StorageError(f"{self.path}: what was written cannot be read back")
        frame, outcome = found
        self._synced, self._count = frame.end, self.log.count_up_to(frame.end)
        return outcome

    def _make_durable(self) -> None:
        """Make what was read so far ours to promise, and the manifest that names the journal."""
        # What was removed meanwhile has been sealed, and needs it no more.
        with suppress(FileNotFoundError):
            make_durable(self.log)
        self._sync_manifests()
        self._synced, self._count = self.log.end, self.log.count_up_to(self.log.end)

    def end(self) -> None:
        """Append the frame behind which all frames are void."""
        self._write(secrets.token_bytes(16), [Operation("end")], [])

    def _write(self, frame_id: bytes, operations: Sequence[Operation], payloads: Any) -> None:
        frame = frames.encode(
            self.id, frame_id, operations, payloads, synced=self._synced, count=self._count
        )
        try:
            for _ in range(_TRIES):
                # A short write is void; going on behind it could fall into another's frame.
                if os.write(self._file, frame) == len(frame):
                    return
        except OSError as error:
            raise storage_error("write", self.path, error) from error
        raise StorageError(f"cannot write {self.path}: the disk takes a part only; is it full?")

    def _sync_manifests(self) -> None:
        try:
            sync_directory(self.path.parent.parent / MANIFESTS)
        except OSError as error:
            raise storage_error("sync", self.path, error) from error

    def _sync(self) -> None:
        try:
            (calls.fdatasync or os.fsync)(self._file)
        except OSError as error:
            raise storage_error("sync", self.path, error) from error
