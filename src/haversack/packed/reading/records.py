"""What reading gives: records, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from haversack.packed.dataset import PackedDataset
    from haversack.packed.reading.snapshot import Snapshot


class Record:
    """One array with its metadata.

    ``data`` is read-only and may be a view of the file itself: copy it to keep it alone. The
    metadata is read, and an image decoded, when it is first asked for. ``data, metadata = record``
    works too.
    """

    __slots__ = ("_metadata", "_position", "_snapshot", "data")
    _metadata: dict[Any, Any]
    data: NDArray[Any]

    def __init__(self, data: NDArray[Any] | None, snapshot: Snapshot, position: int) -> None:
        if data is not None:
            self.data = data
        self._snapshot = snapshot
        self._position = position

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Only what was not set comes here, so that reading ``data`` costs nothing beside.
            if name != "data":
                raise AttributeError(f"a record has no {name!r}")
            self.data = self._snapshot.read(self._position)
            return self.data

    @property
    def encoded(self) -> bytes | None:
        """The bytes of an image that was packed as a JPEG, PNG or TIFF file; None of others.

        Nothing is decoded. Appending them elsewhere copies the record as it is.
        """
        file = self._snapshot.file(self._position)
        return None if file is None else file.tobytes()

    @property
    def metadata(self) -> dict[Any, Any]:
        """The metadata with its types as they were given."""
        try:
            return self._metadata
        except AttributeError:
            self._metadata = self._snapshot.metadata(self._position)
            return self._metadata

    @property
    def key(self) -> str | int | None:
        """The record's key, None if it has none."""
        return self._snapshot.key(self._position)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.data, self.metadata))

    def __repr__(self) -> str:
        named = "" if self.key is None else f"{self.key!r}, "
        return f"Record({named}{self.data.dtype}{list(self.data.shape)}, {self.metadata})"


class Batch:
    """Some records of a dataset: ``data`` as ``take`` gives it, and their ``indices`` there."""

    __slots__ = ("_dataset", "data", "indices")

    def __init__(self, data: Any, indices: NDArray[np.int64], dataset: PackedDataset) -> None:
        self.data, self.indices, self._dataset = data, indices, dataset

    def metadata(self) -> pd.DataFrame:
        """Read the metadata of the batch, a row for each of its records."""
        chosen: PackedDataset = self._dataset[self.indices]
        return chosen.metadata()

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        shape = getattr(self.data, "shape", None)
        return f"Batch({len(self)} records{'' if shape is None else f', {list(shape)}'})"
