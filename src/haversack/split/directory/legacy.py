"""Directories of blocks without metadata of their own: old ones, and those not yet finished.

The first releases of the old package kept the metadata inside of the last block.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py

from haversack.errors import FormatError
from haversack.split.blockfiles.block import MOST_AXES
from haversack.split.blockfiles.foreign import H5PY_ERRORS, open_hdf5
from haversack.split.directory.finding import METADATA
from haversack.split.directory.remains import has_remains


def document_inside(folder: Path, blocks: list[Path]) -> dict[str, Any]:
    """Read the metadata inside of the last block, as JSON would have it.

    Raises
    ------
    FormatError
        There is none: the array may not be finished.
    """
    last = blocks[-1]
    try:
        hdf5 = open_hdf5(last)
    except FormatError as error:
        raise _unfinished(folder, blocks, f", and {error}") from error
    with hdf5:
        try:
            linked = isinstance(hdf5.get("stack_metadata", getlink=True), h5py.HardLink)
            group = hdf5["stack_metadata"] if linked else None
            if isinstance(group, h5py.Group):
                return {
                    "shape_full": _tuple(group["full_size"]),
                    "shape_block": _tuple(group["block_size"]),
                }
        except H5PY_ERRORS as error:
            raise FormatError(f"{last} has no readable stack_metadata: {error}") from error
    raise _unfinished(folder, blocks, "")


def _unfinished(folder: Path, blocks: list[Path], why: str) -> FormatError:
    if has_remains(folder):
        return FormatError(f"{folder} holds {len(blocks)} blocks but no {METADATA}: it was lost")
    return FormatError(
        f"{folder} holds {len(blocks)} blocks but no {METADATA}{why}: it is still being written, "
        "or its writer was stopped. Open it again when the writer has finished; if it was stopped, "
        'write the file yourself: {"shape_full": [...], "shape_block": [...]}, the lengths of the '
        "array and of a block on each axis. Then all blocks that are whole can be read"
    )


def _tuple(node: Any) -> list[int | None]:
    """Read what flammkuchen made of a tuple: numbers as attributes i0, i1, ..., None as a group."""
    if isinstance(node, h5py.Dataset):
        if node.ndim != 1 or not 0 < len(node) <= MOST_AXES or node.dtype.kind not in "iu":
            raise ValueError(f"{node.name} is no short list of integers")
        return [int(value) for value in node[()]]
    named = {*filter(re.compile(r"i[0-9]+").fullmatch, [*node.attrs, *node])}
    if not 0 < len(named) <= MOST_AXES:
        raise ValueError(f"{node.name} has {len(named)} items")
    return [_item(node, f"i{number}") for number in range(len(named))]


def _item(group: h5py.Group, name: str) -> int | None:
    if group.get(name, getlink=True) is not None:  # of the kind None, which is never looked into
        return None
    about = group.attrs.get_id(name)
    if about.shape or about.dtype.kind not in "iu":
        raise ValueError(f"{name} of {group.name} is no integer")
    return int(group.attrs[name])
