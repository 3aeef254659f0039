"""Take over what a writer of a growing array left, and go on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from haversack.errors import PathNotFoundError
from haversack.split.block import Place
from haversack.split.codec import Coding
from haversack.split.growing import piece_bounds
from haversack.split.journal import encode_header, journal_name
from haversack.split.metadata import Stack, block_name, read_stack
from haversack.split.ownblock import OwnBlock
from haversack.split.rows import encode_rows, rewrite
from haversack.split.slabs import OpenSlab
from haversack.storage import publish


def recover(root: Path, coding: Coding) -> tuple[Stack, list[OpenSlab]]:
    """Take over the slabs that a writer left in journals, the one to go on with last.

    The caller holds the array's lock.
    """
    stack = read_stack(root)
    number = stack.shape[0] // stack.shape_block[0]
    for name in publish.names_in(root):
        if name.endswith(".journal") and name < journal_name(number):
            (root / name).unlink(missing_ok=True)
    slabs: list[OpenSlab] = []
    while not slabs or slabs[-1].rows == stack.shape_block[0]:
        try:
            rows = rewrite(root, stack, number)
        except PathNotFoundError:
            rows = 0 if slabs else _unpublish(root, stack, number, coding)
            if not rows:
                break
        slabs.append(OpenSlab(root, stack, number, rows))
        number += 1
    return stack, slabs


def _unpublish(root: Path, stack: Stack, number: int, coding: Coding) -> int:
    """Copy the rows of a last slab that is not full into a journal."""
    rows = stack.shape[0] % stack.shape_block[0]
    if not rows:
        return 0
    start = number * stack.shape_block[0]
    frames = np.empty((rows, *stack.shape[1:]), stack.dtype)
    for piece in range(stack.pieces):
        bounds = piece_bounds(stack, piece)
        block = number * stack.pieces + piece
        place = Place(stack.array, block, stack.dtype, ((start, start + rows), *bounds))
        path = root / block_name(block, block + 1, growable=True)
        found = OwnBlock(path, place, at_least=True).whole()[:rows]
        frames[(slice(None), *(slice(*pair) for pair in bounds))] = found
    records = encode_rows(frames, stack, start, coding)
    content = encode_header(start, stack.array) + b"".join(records)
    publish.replace(root / journal_name(number), content)
    return rows
