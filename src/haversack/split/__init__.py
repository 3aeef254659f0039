"""Floor 2: one large array in many blocks.

The file format is told in ``docs/spec/split-v1.md``. The modules of this folder are what users
meet, and what those are made of; below them are floors, each of which imports those under it alone
(but for the names of types)::

    dataset, view, reading, writing, ...          what users meet
      reductions      upkeep                      one pass over all of it; lost metadata made again
              growth                              frames that are appended: journal, slabs, blocks
              directory                           blocks, journals and metadata: one array on disk
              results                             from blocks into the result, on all cores
              blockfiles                          one block: HDF5, and what is kept behind its end
              chunks                              one chunk: compressed bytes
              planning                            what is wanted, in which cells of which blocks

``tests/test_house.py`` holds this order. Each folder says which of its modules to read first.
"""

from haversack.split.appending import FrameWriter
from haversack.split.dataset import SplitDataset, is_split
from haversack.split.frames import save_frames
from haversack.split.planning.blocks import Blocks
from haversack.split.saving import save_to_split_dataset
from haversack.split.upkeep.restoring import Repaired, repair
from haversack.split.view import SplitView
from haversack.split.writing import EmptySplitDataset

__all__ = [
    "Blocks",
    "EmptySplitDataset",
    "FrameWriter",
    "Repaired",
    "SplitDataset",
    "SplitView",
    "is_split",
    "repair",
    "save_frames",
    "save_to_split_dataset",
]
