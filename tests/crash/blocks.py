"""A scenario of a split array that is recorded block by block, finalized, and then written over."""

import json

import numpy as np

from haversack.split import EmptySplitDataset, SplitDataset
from haversack.split.blockfiles.block import Place
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.storage.looking import exists
from haversack.storage.ranges import RangeFile

from .check import NEXT, BrokenPromiseError
from .frames import ALL, frame_of, named, visible
from .scenarios import Direct, scenario

__all__ = ["ALL"]
_KEYS = [0, 1, 2, 1000, NEXT]  # whose frame is which block; 1000 is of a second writer


def _is_finalized(path):
    return exists(path / "stack_metadata.json")


class Blocks(Direct):
    """A program that records; what it does not know of it sets to 0 before it finalizes."""

    def __init__(self, path):
        self._path = path

    def _recording(self):
        shape = (len(_KEYS), 3, 4)
        return EmptySplitDataset(
            self._path.parent, self._path.name, shape, (1, None, None), dtype="u4"
        )

    def append(self, _, metadata, *, key):
        number, frame = _KEYS.index(key), frame_of(key, metadata["step"])
        if not _is_finalized(self._path):
            recording = self._recording()
            if number in recording.missing:
                recording.save_block_data(number, frame[None])
                return
            self.finish()
        SplitDataset(self._path)[number] = frame

    def finish(self):
        if not _is_finalized(self._path):
            recording = self._recording()
            for number in recording.missing:
                recording.save_block_data(number, np.zeros((1, 3, 4), "u4"))
            recording.finalize()

    def delete(self, key):
        self.finish()
        SplitDataset(self._path)[_KEYS.index(key)] = 0


def visible_blocks(path, *, torn=False):
    """List the (key, step) of all blocks that are there, also while the array is not finalized."""
    if _is_finalized(path):
        return visible(path, torn=torn)
    if not exists(path / "unfinished.json"):
        return []
    array = json.loads((path / "unfinished.json").read_text())["array"]
    found = []
    for number in range(len(_KEYS)):
        if exists(file := path / f"{number:04d}.h5"):
            bounds = ((number, number + 1), (0, 3), (0, 4))
            block = OwnBlock(RangeFile(file), Place(array, number, np.dtype("u4"), bounds))
            if damage := list(block.verify()):
                raise BrokenPromiseError(f"verify() finds {damage}")
            found.append(named(block.whole()[0]))
    return [one for one in found if one is not None]


@scenario([[("add", 0)], [("add", 1)], [("add", 2)]], writer=Blocks, visible=visible_blocks)
def blocks(path, step):
    """Blocks saved one by one; the last step also finalizes the array."""
    writer = Blocks(path)
    for number in step:
        with step(number) as change:
            change(writer)
            if not step.left:
                writer.finish()
