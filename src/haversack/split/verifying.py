"""Read all of a split array, its journals and its pyramid, and say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from haversack import events
from haversack.errors import FormatError, StorageError
from haversack.split.blockfiles.foreign import ForeignBlock
from haversack.split.directory.numbering import gap_in
from haversack.split.planning.plan import Part
from haversack.split.pyramid import verify_pyramid
from haversack.split.results.tasks import check_reach
from haversack.storage.damage import Damage
from haversack.storage.looking import natural_order

if TYPE_CHECKING:
    from haversack.split.dataset import SplitDataset

_MOST_MISSING = 1000  # blocks that are told of one by one


def verify_split(dataset: SplitDataset, progress: events.Progress) -> list[Damage]:
    """Read every block and say what is wrong."""
    damages: list[Damage] = []
    missing = 0
    with events.task(progress, "verify", total=dataset.n_blocks, unit="block") as work:
        for number in range(dataset.n_blocks):
            is_missing = dataset.is_missing(number)
            missing += is_missing
            if missing <= _MOST_MISSING or not is_missing:
                damages.extend(_verify_block(dataset, number))
            work.advance()
        if missing > _MOST_MISSING:
            more = f"{missing - _MOST_MISSING} more blocks are missing"
            damages.append(Damage(dataset.root, "", more))
        damages.extend(dataset.verify_growth())
    if dataset.is_ours:
        damages.extend(verify_pyramid(dataset, progress))
    elif not missing:  # else the numbers are taken at their word
        damages.extend(_misnumbered([*dataset.files.flat]))
    return damages


def _verify_block(dataset: SplitDataset, number: int) -> Iterator[Damage]:
    place, path = dataset.place_of(number)
    if place is None:
        return
    where = f"block {number}"
    try:
        block = dataset.open_block(number)
        if isinstance(block, ForeignBlock):
            owned = tuple(range(each.stop - each.start) for each in dataset.owned(number))
            check_reach(block, Part(owned, (), None))
            if any(there > here for there, here in zip(block.shape, place.shape, strict=True)):
                what = f"its shape is {block.shape}, where the metadata says {place.shape}"
                yield Damage(path, where, what)
        yield from block.verify()
    except (FormatError, OSError, TypeError) as error:
        yield Damage(path, where, str(error), isinstance(error, StorageError))


def _misnumbered(paths: list[Path]) -> Iterator[Damage]:
    """Tell of a gap and of doubles in the numbers of files that are read in their order."""
    gap = gap_in(paths)
    for place, (path, here) in enumerate(pairwise(paths), 1):
        if natural_order(here)[0] == natural_order(path)[0]:  # only zeros tell them apart
            yield Damage(here, f"block {place}", f"it has the number of {path.name} too")
        elif place == gap:
            what = f"it is read behind {path.name}: blocks between them may be missing"
            yield Damage(here, f"block {place}", what)
