"""Write into an array that is there: each block that changes is replaced whole, or not at all."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from haversack.errors import ConflictError, UnsupportedError
from haversack.split.blockfiles.block import Place, refuse_masked
from haversack.split.blockfiles.encoding import encode_block
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.split.blockfiles.tail import read_tail
from haversack.split.chunks.threads import in_threads
from haversack.split.directory.growing import LOCK
from haversack.split.planning.indexing import select
from haversack.split.planning.layout import lay_out
from haversack.split.planning.plan import Part, divide, put
from haversack.split.pyramid import remove_pyramid
from haversack.storage import publish
from haversack.storage.lock import exclusive
from haversack.storage.ranges import RangeFile

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset


def write_region(dataset: SplitDataset, index: Any, value: Any) -> None:
    """Do as ``array[index] = value`` does, block by block, each durable when the next one begins.

    Raises
    ------
    IndexError, ValueError, TypeError
        As numpy does; nothing is written.
    UsageError
        The array was written by another program, or is padded, or the value is masked.
    ConflictError
        Another writer replaced a block in the meantime, or has its frames in a journal; the blocks
        before it are written.
    StorageError
        The disk refuses; the blocks before are written.
    """
    _check(dataset)
    refuse_masked(value)
    dataset.refresh()
    selection = select(index, dataset.shape)
    values, job = lay_out(selection, dataset.dtype)
    values[() if selection.is_scalar else ...] = value  # of one element numpy asks another way
    if job is None:
        return
    source, everything = job
    publish.sweep(dataset.root)
    remove_pyramid(dataset.root)
    for cell, part in divide(everything, dataset.shape_block, dataset.shape_grid):
        _write_block(dataset, dataset.cartesian_to_linear(cell), part, source)
    dataset.refresh()


def _check(dataset: SplitDataset) -> None:
    if not dataset.is_ours:
        raise UnsupportedError(
            f"{dataset.root} was written by another program: save it as a new array to write to it"
        )
    if any(dataset.padding):
        raise UnsupportedError(
            f"{dataset.root} has padding, which keeps elements twice: save it without, then write"
        )


def _write_block(dataset: SplitDataset, number: int, part: Part, source: Any) -> None:
    place, path = dataset.place_of(number)
    if place is None:
        raise _in_journal(number)
    block = OwnBlock(RangeFile(path), place, at_least=True)
    data = block.whole()
    put(data, part, source)
    start = place.bounds[0][0]
    bounds = ((start, start + len(data)), *place.bounds[1:])
    whole = Place(place.array, number, place.dtype, bounds)
    content = encode_block(data, whole, dataset.coding, in_threads)
    temporary = publish.temporary_beside(path)
    try:
        with publish.telling("write", path):
            with publish.writing(temporary) as file:
                file.write(content)
            with exclusive(dataset.root / LOCK):
                _check_unchanged(dataset, number, block)
                temporary.replace(path)
                publish.sync_directory(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _check_unchanged(dataset: SplitDataset, number: int, block: OwnBlock) -> None:
    if dataset.is_in_journal(number):
        raise _in_journal(number)
    if read_tail(RangeFile(block.path)).head.generation != block.head.generation:
        raise ConflictError(
            f"another writer replaced {block.path} in the meantime: read it again, then write"
        )


def _in_journal(number: int) -> ConflictError:
    return ConflictError(
        f"block {number} is in a journal: close its FrameWriter, or open one anew and close it"
    )
