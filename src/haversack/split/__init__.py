"""Floor 2: one large array in many blocks."""

from haversack.split.appending import FrameWriter
from haversack.split.blocks import Blocks
from haversack.split.dataset import SplitDataset, is_split
from haversack.split.frames import save_frames
from haversack.split.restoring import Repaired, repair
from haversack.split.saving import save_to_split_dataset
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
