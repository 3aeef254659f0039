"""Scenarios of a split array that grows: frames appended one by one, and written over."""

import warnings
from contextlib import suppress

import numpy as np

from haversack.errors import RecordNotFoundError
from haversack.split import FrameWriter, SplitDataset, is_split
from haversack.storage.looking import exists

from .check import BrokenPromiseError
from .images import ALL
from .scenarios import scenario

__all__ = ["ALL"]
_PATTERN = np.arange(12, dtype="u4").reshape(3, 4)


class Frames:
    """A writer of frames that is used as any writer is; deleted frames are set to 0."""

    def __init__(self, path, rows=2, cut=2):
        self._path, self._size = path, (rows, cut, None)
        self._writer = None

    def append(self, _, metadata, *, key):
        size = None if exists(self._path / "stack_metadata.json") else self._size
        self._writer = self._writer or FrameWriter(self._path, block_size=size)
        self._writer.append(frame_of(key, metadata["step"]))

    def delete(self, key):
        self.close()
        dataset = SplitDataset(self._path)
        keys = [None if one is None else one[0] for one in map(named, dataset)]
        if key not in keys:
            raise RecordNotFoundError(f"no frame {key}")
        dataset[keys.index(key)] = 0

    def flush(self):
        """Do nothing: each frame is durable when it is in."""

    def close(self):
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def frame_of(key, step):
    """Make the frame that a step writes under a key."""
    return _PATTERN + 1000 * (key * 10 + step + 1)


def named(frame):
    """Find the key and the step of a frame."""
    if not frame.any():
        return None
    number = int(frame[0, 0]) // 1000 - 1
    key, step = divmod(number, 10)
    if not np.array_equal(frame, frame_of(key, step)):
        raise BrokenPromiseError(f"a frame is {frame!r}")
    return key, step


def visible(path, *, torn=False):
    """List the (key, step) of all frames, read in two ways."""
    if not is_split(path):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = SplitDataset(path)
        frames = dataset[...]
        if len(dataset):
            np.testing.assert_array_equal(dataset[-1, ::-1], frames[-1, ::-1])
    if damage := dataset.verify():
        raise BrokenPromiseError(f"verify() finds {damage}")
    return [one for one in map(named, frames) if one is not None]


@scenario([[("add", n)] for n in range(5)], writer=Frames, visible=visible)
def frames(path, step):
    """Frames in two blocks each; whole blocks are published in the background."""
    writer = Frames(path)
    for number in step:
        with step(number) as change:
            change(writer)
            if not step.left:
                writer.close()
        if step.failed:
            writer = Frames(path)


@scenario([[("add", n)] for n in range(4)], writer=Frames, visible=visible)
def stubborn_frames(path, step):
    """One writer that is asked again after it has failed."""
    writer = Frames(path, rows=3, cut=None)
    for number in step:
        with step(number) as change:
            change(writer)


@scenario(
    [[("add", 0)], [("add", 1)], [("delete", 0)], [("add", 2)], [("delete", 2)]],
    writer=Frames,
    visible=visible,
)
def frames_written_over(path, step):
    """Blocks that are replaced, and a last one that is not full and goes on to grow."""
    for number in step:
        with step(number) as change, Frames(path, rows=4, cut=None) as writer:
            change(writer)


@scenario(
    ([[("add", 0)], [("add", 1)], [("add", 2)]], [[("add", 1000)], [("add", 1001)]]),
    writer=Frames,
    visible=visible,
)
def frames_by_two(path, step):
    """Two processes that take the array over from each other."""
    for number in step:
        with step(number) as change, Frames(path, rows=2, cut=None) as writer:
            change(writer)


def forgotten(path):
    """Leave the journal of an array that has lost its metadata, and beside all a copy of it."""
    writer = Frames(path, rows=4, cut=None)
    for step in range(2):
        writer.append(None, {"step": step}, key=5)
    (path / "stack_metadata.json").unlink()
    (path.parent / "lost").write_bytes((path / "frames-000000.journal").read_bytes())


def _content(journal):
    with suppress(FileNotFoundError):  # published meanwhile
        return journal.read_bytes()


def visible_and_kept(path, *, torn=False):
    """List the frames, and see that those of the array without metadata are still somewhere."""
    lost = (path.parent / "lost").read_bytes()
    if lost not in map(_content, path.glob("frames-*")):
        raise BrokenPromiseError("frames of an array without metadata are gone")
    return visible(path, torn=torn)


@scenario(
    [[("add", 0)], [("add", 1)]],
    writer=Frames,
    visible=visible_and_kept,
    prepare=forgotten,
    spare=frozenset({"names in ."}),  # the directory is there before
)
def frames_begun_anew(path, step):
    """An array that is begun where the journal of another lies, whose metadata is lost."""
    for number in step:
        with step(number) as change, Frames(path, rows=2, cut=None) as writer:
            change(writer)
