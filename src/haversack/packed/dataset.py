"""Read a packed dataset: by position, key, slice, mask or query; in batches; as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from haversack.errors import RecordNotFoundError, UsageError
from haversack.packed import query
from haversack.packed.batches.loader import Loader, make_loader
from haversack.packed.choosing import beyond, places
from haversack.packed.encoding.keys import Key
from haversack.packed.frame import empty_frame, make_frame
from haversack.packed.openversion import OpenVersion
from haversack.packed.reading.current import is_current
from haversack.packed.reading.locate import Positions
from haversack.packed.reading.records import Batch, Record
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.reading.versions import open_exactly, open_version
from haversack.storage.looking import as_path

if TYPE_CHECKING:
    import pandas as pd


def open_packed(path: str | os.PathLike[str], *, version: int | str | None = None) -> PackedDataset:
    """Open a packed dataset.

    Only its manifest is read, and its journal if there is one; files are mapped when their records
    are first asked for.

    Parameters
    ----------
    path
        Directory of the dataset.
    version
        The number of a version that is still kept, or a tag; otherwise the current one.

    Raises
    ------
    PathNotFoundError
        There is nothing at the path.
    FormatError
        It is not a packed dataset, or a damaged one.
    VersionGoneError, NotFoundError
        It has no such version (any more), or no such tag.
    """
    return PackedDataset(open_version(as_path(path).absolute(), version))


class PackedDataset(OpenVersion):
    """The records of one version of a packed dataset, or some of them.

    It never changes while others write: ``refresh()`` moves on to the current version. It can be
    pickled (as a path, a version and a selection), used in threads, and used after a fork.

    Examples
    --------
    >>> from haversack.packed import PackWriter, open_packed
    >>> with PackWriter("numbers") as writer:
    ...     for number in range(5):
    ...         writer.append(np.full((2, 2), number), key=f"n{number}", even=number % 2 == 0)
    >>> ds = open_packed("numbers")
    >>> len(ds), ds[3].data.tolist(), ds[3].metadata
    (5, [[3, 3], [3, 3]], {'even': False})
    >>> ds.filter("even").keys()
    ['n0', 'n2', 'n4']
    >>> ds.take([4, 0]).shape
    (2, 2, 2)
    """

    def __init__(self, snapshot: Snapshot, selection: range | Positions | None = None) -> None:
        super().__init__(snapshot, snapshot.rows if selection is None else len(selection))
        self._selection = selection

    # Records.

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        """Give a Record for an integer; a dataset of fewer records for a slice, mask or list."""
        if type(index) is not int:
            if not isinstance(index, np.integer):
                return PackedDataset(self._snapshot, self._chosen(index))
            index = int(index)
        position = index + self._length if index < 0 else index
        if not 0 <= position < self._length:
            raise beyond(index, self._length)
        if self._selection is not None:
            position = int(self._selection[position])
        return Record(self._snapshot.peek(position), self._snapshot, position)

    def __iter__(self) -> Iterator[Record]:
        snapshot, read = self._snapshot, self._snapshot.read
        chosen = range(self._length) if self._selection is None else map(int, self._selection)
        return (Record(read(position), snapshot, position) for position in chosen)

    def _chosen(self, index: Any) -> range | Positions:
        everything = range(self._length) if self._selection is None else self._selection
        if isinstance(index, slice):
            return everything[index]
        return self._positions(index)

    def _positions(self, indices: Any) -> Positions:
        """Turn indices, checked, into positions of the version."""
        return self._of_version(places(indices, self._length))

    def _of_version(self, chosen: Positions) -> Positions:
        if self._selection is None:
            return chosen
        if isinstance(self._selection, range):
            return self._selection.start + chosen * self._selection.step
        return self._selection.take(chosen)

    def take(self, indices: Any, out: NDArray[Any] | None = None) -> Any:
        """Read several records.

        Parameters
        ----------
        indices
            Positions, in any order, or a boolean mask.
        out
            A C-contiguous array of shape ``(len(indices), *shape)`` and their dtype to fill.

        Returns
        -------
        One stacked array where dtypes and shapes agree, else a list of arrays.

        Raises
        ------
        IndexError, UsageError, IntegrityError
        """
        positions = places(indices, self._length)
        if self._selection is not None:
            positions = self._of_version(positions)
        return self._snapshot.take(positions, out)

    def batches(
        self,
        size: int,
        *,
        shuffle: bool | Literal["window"] = False,
        window: int | None = None,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
        even: bool = False,
        threads: int | None = None,
        prefetch: int | None = None,
        transform: Callable[[Batch], Any] | None = None,
    ) -> Loader:
        """Draw all records once an epoch, in batches.

        The arrays of a batch are yours for as long as you keep them, or views of them; then their
        memory is used for later batches.

        Parameters
        ----------
        size
            Records in a batch; the last may have fewer unless ``drop_last``.
        shuffle
            Draw in an order that is a permutation of all records, chosen by ``seed`` and
            ``epoch``; it needs no memory and is the same everywhere. With ``"window"`` blocks of
            neighbouring records are read together and shuffled within a window of them, for data
            that is not in memory.
        window
            Records in a window; implies ``shuffle="window"``.
        epoch
            The first iteration's; each further one is the next.
        rank, world
            Deal the batches to so many ranks in turn, and give this one's: together they have every
            record once. Ranks differ by one batch at most; with ``even`` by none, and the batches
            that are left over are dropped.
        threads
            Threads that fill batches ahead while you work on one; by default one, and for records
            of 64 kB and more as many as there are processors, but 4 at most. 0 fills each when it
            is asked for. The order of batches never depends on it.
        prefetch
            Batches that are kept ahead; by default two, of very large ones one, and where threads
            do not share the work on a batch one for each.
        transform
            Called in these threads with each Batch; what it gives is drawn instead.

        Raises
        ------
        UsageError
            An argument makes no sense.

        Examples
        --------
        >>> from haversack.packed import pack
        >>> ds = pack([(np.arange(3) + i, {}) for i in range(10)], "tens")
        >>> [len(batch) for batch in ds.batches(4, shuffle=True, seed=7)]
        [4, 4, 2]
        >>> [batch.indices.tolist() for batch in ds.batches(4, rank=1, world=2)]
        [[4, 5, 6, 7]]
        """
        return make_loader(
            PackedDataset(self._snapshot, self._selection),
            size,
            shuffle=shuffle,
            window=window,
            seed=seed,
            epoch=epoch,
            drop_last=drop_last,
            rank=rank,
            world=world,
            even=even,
            threads=threads,
            prefetch=prefetch,
            transform=transform,
        )

    # Keys and metadata.

    def get(self, key: Any, default: Any = None) -> Any:
        """Give the record of a key, or the default."""
        position = self._find(key)
        if position is None:
            return default
        return Record(self._snapshot.peek(position), self._snapshot, position)

    def record(self, key: Any) -> Record:
        """Give the record of a key.

        Raises
        ------
        RecordNotFoundError
            There is none (a KeyError too).
        """
        found: Record | None = self.get(key)
        if found is None:
            raise RecordNotFoundError(f"{self._snapshot.root} has no record of key {key!r}")
        return found

    def metadata_of(self, key: Any) -> dict[Any, Any] | None:
        """Give the metadata of a key's record, whose array is not read; None if there is none."""
        position = self._find(key)
        return None if position is None else self._snapshot.metadata(position)

    def __contains__(self, key: Any) -> bool:
        return self._find(key) is not None

    def _find(self, key: Any) -> int | None:
        """Find the position, in the version, of a record that is among those selected."""
        position = self._snapshot.find(key)
        if position is None or self._selection is None:
            return position
        chosen = self._selection
        is_chosen = position in chosen if isinstance(chosen, range) else (chosen == position).any()
        return position if is_chosen else None

    def keys(self) -> list[Key | None]:
        """List the records' keys, None where one has none."""
        keys = self._snapshot.keys()
        return keys if self._selection is None else [keys[at] for at in self._selection]

    def texts(self) -> list[str]:
        """Give the metadata of all records as the JSON that is stored."""
        chosen = range(self._length) if self._selection is None else self._selection
        return self._snapshot.texts(chosen)

    def metadata(self) -> pd.DataFrame:
        """Give the metadata of all records as a DataFrame, values as they were given.

        Keys that a record lacks are None there; record keys, if any, are column ``_key``. Of no
        records it has the columns of the whole dataset.
        """
        keyed = self._snapshot.key_type is not None
        if self._length == 0:
            return empty_frame(self._snapshot.columns, keyed=keyed)
        return make_frame(self.texts(), self.keys() if keyed else None)

    def filter(self, predicate: str) -> PackedDataset:
        """Choose records by an SQL predicate over their metadata.

        Columns are metadata keys whose values have one type, ``_key``, and ``_meta`` (all metadata
        as JSON). The order of records stays.

        Raises
        ------
        UsageError
            The predicate is not SQL, or asks for a column that is missing or has several types.

        Examples
        --------
        >>> from haversack.packed import pack
        >>> ds = pack([(np.zeros(2), {"cloud": c}) for c in (5, 40, 8)], "clouds")
        >>> ds.filter("cloud < 10").metadata()["cloud"].tolist()
        [5, 8]
        """
        found = query.matching(self._snapshot, predicate)
        if self._selection is None:
            return PackedDataset(self._snapshot, found)
        chosen = np.asarray(self._selection, np.int64)
        return PackedDataset(self._snapshot, chosen[np.isin(chosen, found)])

    def sql_source(self) -> str:
        """Give the DuckDB query of this version's records, to be used without haversack."""
        return query.whole_source(self._snapshot)

    def located(self) -> tuple[Snapshot, Positions]:
        """Give the snapshot, and the rows in it of these records."""
        chosen = range(self._length) if self._selection is None else self._selection
        return self._snapshot, self._snapshot.rows_at(np.asarray(chosen, np.int64))

    # Other versions.

    def refresh(self) -> Self:
        """Move on to the current version, in place.

        Raises
        ------
        UsageError
            This is a selection: refresh the dataset that it came from and select again.
        """
        if self._selection is not None:
            raise UsageError("a selection belongs to its version: refresh the whole dataset")
        PackedDataset.__init__(self, self._latest())
        return self

    def latest(self) -> PackedDataset:
        """Open the current version as a dataset of its own; this one stays where it is."""
        return PackedDataset(self._latest())

    def _latest(self) -> Snapshot:
        if is_current(self._snapshot):
            return self._snapshot
        return open_version(self.path, before=self._snapshot)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.path), self.snapshot, self._selection)


def open_snapshot(path: str | os.PathLike[str], snapshot: Mapping[str, Any]) -> PackedDataset:
    """Open exactly what ``ds.snapshot`` named, whatever was committed since.

    Raises
    ------
    VersionGoneError
        That version is no longer kept, or the dataset was made anew.
    """
    return PackedDataset(open_exactly(as_path(path).absolute(), snapshot))


def _reopen(
    path: str, snapshot: Mapping[str, Any], selection: range | Positions | None
) -> PackedDataset:
    return PackedDataset(open_exactly(Path(path), snapshot), selection)
