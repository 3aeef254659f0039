"""What blocks and journals tell of a split array without its metadata."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from haversack.errors import FormatError, HaversackError, NewerFormatError
from haversack.split.blockfiles.block import check_dtype
from haversack.split.blockfiles.tail import BlockHead, has_tail, read_tail
from haversack.split.directory.finding import METADATA, block_files
from haversack.split.directory.journal import count_pieces, journal_name, read_header, slab_of
from haversack.storage import publish
from haversack.storage.ranges import RangeFile

_BLOCK = re.compile(r"([0-9]{4}|[0-9]{6,})\.h5")


@dataclass(frozen=True, slots=True)
class Remains:
    """The blocks and journals of one array.

    Attributes
    ----------
    root
        Their directory.
    array
        The id that all of them carry.
    dtype
        What the blocks are of; None where there are journals alone.
    files, heads
        The blocks that are there, by number: their paths, and what they say of themselves.
    starts
        The first row of each journal, by slab.
    is_long
        Whether names have the six digits of an array that grows, or of very many blocks.
    pieces
        Whether a journal shows how many blocks a slab has, and how many it shows.
    """

    root: Path
    array: str
    dtype: np.dtype[Any] | None
    files: dict[int, Path]
    heads: dict[int, BlockHead]
    starts: dict[int, int]
    is_long: bool
    pieces: tuple[bool, int]

    @property
    def ndim(self) -> int:
        """Number of axes; 0 where there are journals alone."""
        return len(next(iter(self.heads.values())).shape) if self.heads else 0

    @property
    def blocks(self) -> str:
        """Tell how many blocks there are, and of what."""
        if not self.heads:
            return f"no blocks, but {len(self.starts)} journals of frames"
        first, last = self.heads[min(self.heads)], self.heads[max(self.heads)]
        if first is last:
            return f"one block of {self.dtype}, number {first.block}, of shape {first.shape}"
        text = f"{len(self.heads)} blocks of {self.dtype}"
        if first.shape == last.shape:
            return f"{text}, the last, number {last.block}, of shape {last.shape}"
        return (
            f"{text}, number {first.block} of shape {first.shape}, the last, number {last.block}, "
            f"of shape {last.shape}"
        )


def journals(folder: Path) -> list[int]:
    """List the slabs that have journals."""
    return sorted(slab for slab in map(slab_of, publish.names_in(folder)) if slab is not None)


def has_remains(folder: Path) -> bool:
    """Whether a directory has blocks of haversack, or its journals."""
    return bool(journals(folder)) or any(map(_is_ours, block_files(folder)))


def _is_ours(path: Path) -> bool:
    with suppress(HaversackError):
        return has_tail(RangeFile(path))
    return False


def remove_blocks(folder: Path, array: str) -> None:
    """Remove the blocks of an array that is not to be, as far as the disk lets us."""
    for path in block_files(folder):
        with suppress(HaversackError, OSError):
            if read_tail(RangeFile(path)).head.array == array:
                path.unlink()


def repair_advice(folder: Path) -> str:
    """Say what to do where metadata are lost or damaged, and haversack wrote blocks or journals."""
    return f"haversack wrote what is there: `haversack repair {folder}` writes {METADATA} anew"


def find_remains(folder: Path) -> Remains | None:
    """Gather what blocks and journals say, or None where haversack wrote none of them.

    Raises
    ------
    FormatError
        One is damaged, or they are not of one array.
    """
    # Journals first: the rows of one that is published meanwhile are then in it, or in blocks.
    slabs = {slab: RangeFile(folder / journal_name(slab)) for slab in journals(folder)}
    paths = block_files(folder)
    if not slabs and not any(map(_is_ours, paths)):
        return None
    files = _named_as_blocks(paths)
    heads = _heads(files)
    headers = {slab: read_header(file) for slab, file in slabs.items()}
    owners = {path: heads[number].array for number, path in files.items()}
    owners.update((slabs[slab].path, array) for slab, (_, array) in headers.items())
    if not owners:  # blocks whose names are not those that haversack gives
        return None
    (first, array), *others = owners.items()
    for path, other in others:
        if other != array:
            raise FormatError(
                f"{path} is of the array {other}, {first.name} of {array}: move those that do not "
                f"belong elsewhere. Nothing was changed"
            )
    return Remains(
        root=folder,
        array=array,
        dtype=_dtype(files, heads),
        files=files,
        heads=heads,
        starts={slab: start for slab, (start, _) in headers.items()},
        is_long=any(len(path.stem) > 4 for path in files.values()),
        pieces=max(map(count_pieces, slabs.values()), default=(False, 0)),
    )


def _named_as_blocks(paths: list[Path]) -> dict[int, Path]:
    """Find the files that have a block's name, by the number in it."""
    found: dict[int, Path] = {}
    for path in paths:
        if _BLOCK.fullmatch(path.name) is None:
            continue
        other = found.setdefault(int(path.stem), path)
        if len(other.stem) != len(path.stem):
            raise FormatError(
                f"{path} and {other.name} are named as blocks of two arrays: move those that do "
                f"not belong elsewhere. Nothing was changed"
            )
    return found


def _heads(files: dict[int, Path]) -> dict[int, BlockHead]:
    """Read what each block says of itself."""
    heads: dict[int, BlockHead] = {}
    for number, path in files.items():
        try:
            heads[number] = head = read_tail(RangeFile(path)).head
        except NewerFormatError:
            raise
        except FormatError as error:
            raise type(error)(
                f"{error}. Nothing was changed: bring it back, or move it elsewhere to repair the "
                "array without it"
            ) from error
        if head.block != number:
            raise FormatError(
                f"{path} does not belong here: its block number is {head.block}. Nothing was "
                "changed: give it its name back, or move it elsewhere"
            )
        if not head.shape or len(head.shape) != len(next(iter(heads.values())).shape):
            raise FormatError(f"{path} does not belong here: its shape is {head.shape}")
    return heads


def _dtype(files: dict[int, Path], heads: dict[int, BlockHead]) -> np.dtype[Any] | None:
    """Find the one dtype of all blocks."""
    found: np.dtype[Any] | None = None
    for number, head in heads.items():
        try:
            dtype = np.dtype(head.dtype)
            check_dtype(dtype)
        except (TypeError, ValueError) as error:
            raise FormatError(
                f"{files[number]}: the tail's head makes no sense: {error}"
            ) from error
        if dtype != (found or dtype):
            raise FormatError(
                f"{files[number]} is {dtype}, the blocks before it are {found}: move those that do "
                "not belong elsewhere. Nothing was changed"
            )
        found = dtype
    return found
