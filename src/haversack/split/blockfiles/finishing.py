"""See, before an array is finished, that its blocks go together, whoever wrote them.

Programs made for the old package often write the files of an array themselves, and leave only the
metadata to ``finalize``. Their blocks have no tails, so no checksums: an array of such blocks is
one of another program as a whole, never one that haversack wrote in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from haversack.errors import FormatError
from haversack.split.blockfiles.block import Block, Place
from haversack.split.blockfiles.foreign import ForeignBlock
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.split.blockfiles.tail import has_tail
from haversack.storage.ranges import RangeFile


class Found(NamedTuple):
    """What all blocks of an array are."""

    dtype: np.dtype[Any] | None
    is_ours: bool


def check_blocks(files: Sequence[Path], places: Sequence[Place]) -> Found:
    """See that each file is the block that belongs there, and all are of one writer and dtype.

    Raises
    ------
    FormatError
        One is damaged, or does not go together with the others.
    """
    found = Found(None, is_ours=True)
    for path, place in zip(files, places, strict=True):
        file = RangeFile(path)
        is_ours = has_tail(file)
        if found.dtype is not None and is_ours != found.is_ours:
            raise FormatError(
                f"{path} was written by {_writer(is_ours)}, the blocks before it by "
                f"{_writer(found.is_ours)}: remove it, and write all blocks in the same way"
            )
        expected = replace(place, dtype=found.dtype or place.dtype)
        block = OwnBlock(file, expected) if is_ours else _foreign(path, expected)
        found = Found(block.dtype, is_ours)
    return found


def _writer(is_ours: bool) -> str:
    return "save_block_data" if is_ours else "another program"


def _foreign(path: Path, place: Place) -> Block:
    block = ForeignBlock(path)
    if block.shape != place.shape or block.dtype != (place.dtype or block.dtype):
        raise FormatError(
            f"{path} does not belong here: it is {block.dtype} of shape {block.shape}, not "
            f"{place.dtype or block.dtype} of shape {place.shape}"
        )
    return block
