"""Write a split array block by block."""

from __future__ import annotations

import json
import operator
import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from haversack import events
from haversack.errors import ExistsError, FormatError, HaversackError, UsageError
from haversack.split.blockfiles.block import MOST_AXES, Place, as_array, as_dtype, check_dtype
from haversack.split.blockfiles.encoding import encode_block
from haversack.split.blockfiles.finishing import check_blocks
from haversack.split.chunks.codec import coding_named
from haversack.split.chunks.threads import in_threads
from haversack.split.dataset import SplitDataset, is_split
from haversack.split.directory.about import check_distances, check_names, describe
from haversack.split.directory.finding import part_of_name
from haversack.split.directory.metadata import (
    FORMAT,
    METADATA,
    UNFINISHED,
    Stack,
    block_name,
    is_unfinished,
    metadata_document,
)
from haversack.split.directory.remains import has_remains, remove_blocks, repair_advice
from haversack.split.planning.blocks import Blocks
from haversack.split.planning.cutting import Numbers, PartialShape
from haversack.storage import publish
from haversack.storage.looking import as_path, exists, listed, read_file


class EmptySplitDataset(Blocks):
    """Start a split array that is written block by block, by one process or by several.

    Every process gives the same arguments; each block is whole and durable under its name when
    :meth:`save_block_data` returns, and the array opens after one process calls :meth:`finalize`.

    Parameters
    ----------
    root
        Directory in which the array's own is made.
    name
        Name of the array's directory.
    shape_full, shape_block, dim_split, blocks_number, padding, crop
        As for :class:`Blocks`.
    resolution
        Distance between elements, in microns, on each axis or on each but the first; ones by
        default.
    compression
        ``"blosc"`` (lz4), ``"zstd"`` (smaller), ``"zlib"``, or None.
    layout
        As for :func:`save_to_split_dataset`.
    dtype
        What the blocks must be; by default the first one decides.
    about
        ``axes``, ``units``, ``frequency`` and ``metadata``, as :func:`save_to_split_dataset` has
        them.

    Raises
    ------
    ExistsError
        The directory already holds a split array, or one with other arguments is being written.
    UsageError
        Arguments that do not fit the axes.

    Examples
    --------
    >>> empty = EmptySplitDataset(".", "volume", (4, 6), (2, None), resolution=(1, 0.5))
    >>> for number, (_, where) in enumerate(empty.slices()):
    ...     empty.save_block_data(number, np.ones((4, 6), "uint16")[where])
    >>> empty.finalize()
    SplitDataset('volume': (4, 6) uint16, 2 blocks of (2, 6))
    """

    _alone = False  # whether no other writer may join
    _chosen: str | None = None  # what the array is called in its blocks, where that is not made up

    def __init__(
        self,
        root: str | os.PathLike[str],
        name: str,
        shape_full: Sequence[int],
        shape_block: PartialShape = None,
        dim_split: Numbers | None = None,
        blocks_number: Numbers | None = None,
        padding: Numbers = 0,
        crop: Sequence[tuple[int, int]] | None = None,
        *,
        resolution: Sequence[float] | None = None,
        compression: str | None = "blosc",
        layout: str = "balanced",
        dtype: DTypeLike | None = None,
        **about: Any,
    ) -> None:
        super().__init__(shape_full, shape_block, dim_split, blocks_number, padding, crop)
        if not 0 < self.n_dims <= MOST_AXES:
            raise UsageError(
                f"a split array has 1 to {MOST_AXES} axes, as HDF5 can store: not {self.n_dims}"
            )
        self.root = as_path(root) / part_of_name(name, "name")
        check_names(about, "EmptySplitDataset")
        if not self._alone:  # what is saved anew may be an array of others, whose resolution it has
            check_distances(resolution, self.n_dims)
        self._about = describe(self.n_dims, resolution=resolution, **about)
        self._coding, self._names = coding_named(compression, layout), (compression, layout)
        self._dtype = None if dtype is None else as_dtype(dtype)
        self._array = self._begin()

    def _check_changeable(self) -> None:
        if len(self.missing) < self.n_blocks:
            raise UsageError(f"{self.root} has blocks already: their shapes cannot be changed now")

    @property
    def resolution(self) -> tuple[float, ...]:
        """Distance between elements; until :meth:`finalize` it may still be set."""
        return self._about.resolution

    @resolution.setter
    def resolution(self, value: Sequence[float] | None) -> None:
        check_distances(value, self.n_dims)
        self._about = describe(self.n_dims, **{**asdict(self._about), "resolution": value})

    @property
    def files(self) -> list[str]:
        """Names of the block files."""
        return [block_name(block, self.n_blocks) for block in range(self.n_blocks)]

    @property
    def missing(self) -> list[int]:
        """Numbers of the blocks that no process has written yet: what is left after a crash."""
        there = {path.name for path in listed(self.root)}
        return [block for block, name in enumerate(self.files) if name not in there]

    def _begin(self) -> str:
        """Begin the array, or join others that write the same one."""
        draft, array = self.root / UNFINISHED, self._chosen or secrets.token_hex(16)
        if not exists(draft) and is_split(self.root):
            raise taken(self.root)
        about = json.loads(json.dumps(asdict(self._about)))
        plan = {**self.serialize(), "about": about, "format": FORMAT}
        own = {**plan, "array": array, "alone": self._alone}
        with publish.in_new_directory(self.root):
            with publish.telling("write", self.root):  # who made it may have died before
                publish.sync_directory(self.root.absolute().parent)
            publish.sweep(self.root)
            try:
                publish.create(draft, json.dumps(own).encode())
            except ExistsError:
                return self._join(draft, plan)
        if exists(self.root / METADATA):  # finished by another since we looked
            draft.unlink()
            raise taken(self.root)
        return array

    def _join(self, draft: Path, plan: dict[str, Any]) -> str:
        try:
            begun: dict[str, Any] = json.loads(read_file(draft))
            array, alone = str(begun.pop("array")), begun.pop("alone", False)
        except FileNotFoundError as error:
            raise taken(self.root) from error
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise FormatError(f"{draft} is damaged: remove {self.root} and begin anew") from error
        if exists(self.root / METADATA):
            raise taken(self.root)
        if alone or self._alone:
            raise taken(self.root)
        if begun != plan:
            raise ExistsError(
                f"{self.root} is being written with other arguments: {begun} instead of {plan}"
            )
        return array

    def save_block_data(self, n: SupportsIndex, data: ArrayLike, verbose: bool = False) -> None:
        """Write one block; it is durable when this returns.

        Parameters
        ----------
        n
            Number of the block.
        data
            What it holds, padding included: numbers, with the shape of ``self[n]``.
        verbose
            Print the name of the file.

        Raises
        ------
        UsageError
            The shape or dtype is not the block's, or the data is masked.
        NoBlockError
            There is no such block.
        ExistsError
            The block was already written.
        """
        path, content = self._encoded(n, as_array(data))
        publish.create(path, content)
        if verbose:
            print(f"Saved {path}")  # noqa: T201 (asked for)

    def _encoded(self, n: SupportsIndex, array: NDArray[Any]) -> tuple[Path, bytes]:
        """Make the file of a block: its path, and what it holds."""
        bounds = self.bounds(n)
        n = operator.index(n)
        place = Place(self._array, n, array.dtype, bounds)
        check_dtype(array.dtype)
        if array.shape != place.shape:
            raise UsageError(f"block {n} has shape {place.shape}, the data {array.shape}")
        if array.dtype != (self._dtype or array.dtype):
            raise UsageError(f"the other blocks are {self._dtype}, the data is {array.dtype}")
        content = encode_block(array, place, self._coding, in_threads)
        self._dtype = array.dtype
        return self.root / block_name(n, self.n_blocks), content

    def finalize(self) -> SplitDataset:
        """Check that all blocks are there, publish the metadata, and open the array.

        Blocks that another program wrote under the names in :attr:`files` are taken as they are:
        the array is then one of another program, without checksums, and is not written to.

        Raises
        ------
        FormatError
            Blocks are missing, damaged, or do not go together.
        """
        if missing := self.missing:
            names = ", ".join(block_name(block, self.n_blocks) for block in missing[:5])
            more = " ..." if len(missing) > 5 else ""
            raise FormatError(
                f"{self.root} lacks {len(missing)} of {self.n_blocks} blocks: {names}{more}"
            )
        places = [
            Place(self._array, number, self._dtype, self.bounds(number))
            for number in range(self.n_blocks)
        ]
        found = check_blocks([self.root / name for name in self.files], places)
        compression, layout = self._names if found.is_ours else ("", "")
        stack = Stack(
            shape=self.shape_cropped,
            shape_block=self.shape_block,
            padding=self.padding,
            about=self._about,
            array=self._array if found.is_ours else "",
            dtype=np.dtype(found.dtype or self._dtype or np.float64),
            compression="none" if compression is None else compression,
            layout=layout,
        )
        publish.create(self.root / METADATA, metadata_document(stack))
        with suppress(OSError):  # beside the metadata it means nothing
            (self.root / UNFINISHED).unlink()
        return SplitDataset(self.root)


class LoneWriter(EmptySplitDataset):
    """A split array that one call writes: it joins no other, and no other joins it."""

    _alone = True

    def __init__(self, *arguments: Any, array: str | None = None, **options: Any) -> None:
        self._chosen = array
        super().__init__(*arguments, **options)

    def save_all(self, source: Any, work: events.Task) -> None:
        """Write all blocks; one is encoded while the one before goes to the disk."""
        with ThreadPoolExecutor(1, "haversack-save") as disk:
            before: Future[None] | None = None
            for number in range(self.n_blocks):
                path, content = self._encoded(number, as_array(source[self[number]]))
                if before is not None:
                    before.result()
                    work.advance()
                before = disk.submit(publish.create, path, content)
            if before is not None:
                before.result()
                work.advance()


@contextmanager
def all_or_nothing(root: Path) -> Iterator[str]:
    """Say what a lone writer is to call its array; if the block fails, nothing of that is left.

    A signal may end the block at any line: also before a name is bound to the writer.
    """
    array = secrets.token_hex(16)
    with publish.clearing_away(root):
        try:
            yield array
        except BaseException:
            _discard(root, array)
            raise


def _discard(root: Path, array: str) -> None:
    """Remove what a lone writer has written of an array, and nothing of another's."""
    draft = root / UNFINISHED
    try:
        begun = json.loads(read_file(draft))["array"] == array
    except (HaversackError, OSError, ValueError, LookupError, TypeError, RecursionError):
        return
    if exists(root / METADATA) or not begun:
        return
    remove_blocks(root, array)
    publish.sweep(root, older_than=0)  # nobody else writes there
    with suppress(OSError):
        draft.unlink()


def taken(root: Path) -> ExistsError:
    """Say that a directory holds a split array, finished or not."""
    if is_unfinished(root):
        return ExistsError(
            f"{root} is being written by another, or was left unfinished by a writer that was "
            "killed: if so, remove it first, or finish what EmptySplitDataset began"
        )
    if not exists(root / METADATA) and has_remains(root):
        return ExistsError(
            f"{root} holds a split array whose {METADATA} was lost. {repair_advice(root)}; or "
            "remove the directory first"
        )
    return ExistsError(f"{root} already holds a split array: remove it first")
