"""A large array kept in many block files, read as numpy reads an array in memory."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack import events
from haversack.errors import UnsupportedError
from haversack.split.blockfiles.block import Shape
from haversack.split.directory.about import About
from haversack.split.directory.metadata import METADATA, UNFINISHED
from haversack.split.directory.remains import journals
from haversack.split.directory.store import MUCH, BlockStore
from haversack.split.planning.blocks import Blocks
from haversack.split.planning.indexers import window
from haversack.split.planning.indexing import Selection
from haversack.split.planning.layout import finish, lay_out
from haversack.split.reading import DiskArray
from haversack.split.view import SplitView
from haversack.storage.damage import Damage
from haversack.storage.looking import as_path, is_directory, listed, state

if TYPE_CHECKING:
    from haversack.split.pyramid import Halved


def is_split(path: str | os.PathLike[str]) -> bool:
    """Whether a directory is, or is becoming, a split array.

    Examples
    --------
    >>> is_split(".")
    False
    """
    folder = as_path(path)
    if not is_directory(folder):
        return False
    names = [path.name for path in listed(folder) if not path.name.startswith(".")]
    return any(
        name.endswith(METADATA) or name == UNFINISHED or re.fullmatch(r"[0-9]{3,}\.h5", name)
        for name in names
    )


def holds_array(path: str | os.PathLike[str]) -> bool:
    """Whether a directory is a split array, or has journals of one whose metadata is lost."""
    return is_split(path) or (is_directory(as_path(path)) and bool(journals(as_path(path))))


class SplitDataset(BlockStore, DiskArray):
    """Open a split array for reading; nothing is read before it is asked for.

    Parameters
    ----------
    root
        Directory of the blocks and their ``stack_metadata.json``, written by haversack, by the old
        split_dataset package, or by the acquisition programs that save in its format.
    prefix
        What the file names begin with, or what stands in them before ``_`` and the number, where
        the directory holds several arrays.

    Raises
    ------
    PathNotFoundError
        There is no such directory.
    FormatError
        It is not a split array, not yet finished, damaged, or of a newer format, or none of its
        blocks has the prefix.
    UsageError
        ``prefix`` is a path, or no text, or ``root`` no path.

    Examples
    --------
    >>> import numpy as np
    >>> from haversack.split import save_to_split_dataset
    >>> made = save_to_split_dataset(np.arange(24).reshape(4, 6), "small", block_size=(2, None))
    >>> ds = SplitDataset("small")
    >>> ds
    SplitDataset('small': (4, 6) int64, 2 blocks of (2, 6))
    >>> ds[-1, ::2]
    array([18, 20, 22])
    """

    def refresh(self) -> int:
        """Look for frames that were appended since, and for blocks that were replaced.

        Returns
        -------
        int
            How many frames came.

        Raises
        ------
        ConflictError
            Another array stands in the directory now: open that.
        """
        before = len(self)
        with self._opening:
            if self.is_ours:
                self._growth.refresh()
                self._grow()
            self._let_go()
        return len(self) - before

    def follow(self, *, timeout: float | None = None, pause: float = 0.005) -> Iterator[Any]:
        """Go over the frames that are appended from now on, each as soon as it is there.

        Of an array of fixed length there are none, and the iteration ends at once.

        Parameters
        ----------
        timeout
            Seconds to wait for a frame before the iteration ends; None waits for ever.
        pause
            Seconds between looks.
        """
        for given in (0 if timeout is None else timeout, pause):
            if not isinstance(given, int | float | np.integer | np.floating):
                raise UnsupportedError(f"{given!r} is no number of seconds")
        seen, since = len(self), time.monotonic()
        while self._stack.growable and (timeout is None or time.monotonic() - since < timeout):
            self.refresh()
            if seen == len(self):
                time.sleep(pause)
                continue
            yield from self[seen : (seen := len(self))]
            since = time.monotonic()

    @property
    def shape(self) -> Shape:
        """Length of each axis."""
        return self._shape_full

    @property
    def about(self) -> About:
        return self._stack.about

    @property
    def data_key(self) -> str:
        """Name of the array inside of each block file."""
        if self.is_ours or not self.n_blocks:
            return f"stack_{self.ndim}D"
        return self._block(0).key

    def _window(self, index: Any) -> SplitView:
        return SplitView(self, window(index, tuple(map(range, self.shape))))

    def _rows_at(self, row: int) -> int:
        if not self.n_blocks:
            return 1
        number = min(row // self.shape_block[0], self.shape_grid[0] - 1)
        first = number * self.shape_block[0]
        rows = self._block(number * (self.n_blocks // self.shape_grid[0])).chunk_shape[0]
        return rows - (row - first) % rows

    def _read(self, selection: Selection, out: NDArray[Any] | None = None) -> Any:
        self._look_before(selection)
        result, job = lay_out(selection, self.dtype, out)
        if job is not None:
            self._fill([job])
        return finish(selection, result, out)

    def _look_before(self, selection: Selection) -> None:
        nbytes = math.prod(selection.shape) * self.dtype.itemsize
        if nbytes >= MUCH:
            self.look_at_ends(selection.axes, nbytes)

    def __setitem__(self, index: Any, value: Any) -> None:
        from haversack.split.regions import write_region

        write_region(self, index, value)

    def _read_all(self, selections: list[Selection]) -> list[Any]:
        for selection in selections:
            self._look_before(selection)
        laid = [lay_out(selection, self.dtype) for selection in selections]
        self._fill([job for _, job in laid if job is not None])
        pairs = zip(selections, laid, strict=True)
        return [finish(selection, result, None) for selection, (result, _) in pairs]

    def __reduce__(self) -> tuple[Any, ...]:
        return SplitDataset, (self.root, self._prefix)

    def info(self) -> dict[str, Any]:
        """Describe the array in plain words, ready for JSON."""
        journals = [journal.path for journal in self._growth.journals.values()]
        files = chain(self._block_files(), journals)
        stored = sum(found.st_size for path in files if (found := state(path)) is not None)
        return {
            "kind": "split array",
            "path": str(self.root),
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "block shape": list(self.shape_block),
            "blocks": self.n_blocks,
            "padding": list(self.padding),
            **_described(self.about),
            "bytes": self.nbytes,
            "bytes stored": stored,
            "checksums": self.is_ours,
        }

    def verify(self, progress: events.Progress = None) -> list[Damage]:
        """Read every block, and those of the pyramid's levels, and say what is wrong.

        Parameters
        ----------
        progress
            True draws a bar; a callable is told of every event.
        """
        from haversack.split.verifying import verify_split

        return verify_split(self, progress)

    @property
    def pyramid(self) -> list[SplitDataset]:
        """The array itself, then the copies that :meth:`build_pyramid` made of it as it is."""
        from haversack.split.pyramid import open_pyramid

        return open_pyramid(self)

    def build_pyramid(
        self,
        levels: int | None = None,
        axes: Halved = None,
        *,
        progress: events.Progress = None,
    ) -> list[SplitDataset]:
        """Make smaller copies for viewing, each half as long along some axes, inside of the array.

        They take the place of those that are there, which stay until all new ones are made, and
        where none is made.

        Parameters
        ----------
        levels
            How many at most; fewer where these axes have no more elements to halve. By default
            until the longest of the axes has at most 256 elements: none, where it has.
        axes
            The axes to halve, by their names or numbers, negative ones from the end: ``"yx"`` (each
            letter a name), ``("time", -1)``, ``0``. By default the last two.
        progress
            True draws a bar for each level; a callable is told of every event.

        Returns
        -------
        list of SplitDataset
            This array, and the levels that were made.

        Raises
        ------
        UnsupportedError
            Another program wrote the array; ``axes`` or ``levels`` are none.
        UsageError
            An axis is named twice; there is only one element along the axes, so that there are no
            ``levels`` to make.

        Examples
        --------
        >>> import numpy as np
        >>> from haversack.split import save_to_split_dataset
        >>> ds = save_to_split_dataset(np.zeros((3, 40, 60), "uint8"), "planes")
        >>> [level.shape for level in ds.build_pyramid(2, axes="yx")]
        [(3, 40, 60), (3, 20, 30), (3, 10, 15)]
        """
        from haversack.split.pyramid import build_pyramid

        return build_pyramid(self, levels, axes, progress)

    def apply_crop(
        self, crop: Sequence[tuple[int, int]], *, progress: events.Progress = None
    ) -> SplitDataset:
        """Save a part as an array of its own, beside this one: ``{name}_cropped``.

        Parameters
        ----------
        crop
            For each axis, how many elements to leave out at its start and at its end.
        progress
            True draws a bar; a callable is told of every event.

        Raises
        ------
        ExistsError
            It is already there.
        """
        from haversack.split.saving import save_to_split_dataset

        here = self.root.resolve()
        return save_to_split_dataset(
            self, here.parent, crop=crop, prefix=here.name, progress=progress
        )

    def __repr__(self) -> str:
        return (
            f"SplitDataset({str(self.root)!r}: {self.shape} {self.dtype}, "
            f"{self.n_blocks} blocks of {self.shape_block})"
        )


Blocks.register(SplitDataset)  # it is one to read, as in the old package, not one to change


def _described(about: About) -> dict[str, Any]:
    described = {
        "resolution": list(about.resolution),
        "axes": list(about.axes),
        "units": list(about.units),
        "frequency": about.frequency,
        "metadata": about.metadata,
    }
    return {key: value for key, value in described.items() if value}
