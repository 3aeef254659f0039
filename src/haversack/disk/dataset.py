"""Images on disk, kept by place and source."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from haversack.disk.ids import ids_of, image_key, named
from haversack.disk.place import IMAGES, check, writing_turn
from haversack.errors import KeyExistsError, RecordNotFoundError
from haversack.events import Progress
from haversack.packed import PackedDataset, PackWriter, Record, is_packed, open_packed
from haversack.storage.damage import Damage

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("location_id", "source_id", "metadata")


class DiskDataset:
    """Keep images on disk by location and source, each with metadata.

    Any number of threads and processes may read and write one dataset at once: each call sees what
    was there when it began. An image is durable when :meth:`add_image` returns.

    Parameters
    ----------
    base_dir
        Directory of the dataset; made by the first image that is added.
    lock_timeout_sec
        How long to wait for other writers; None waits for its turn, however long.

    Examples
    --------
    >>> dataset = DiskDataset("sites")
    >>> dataset.add_image("mine_0", "landsat8", np.ones((4, 4, 3)), {"bands": ["B1", "B2", "B3"]})
    >>> dataset.load_image("mine_0", "landsat8").shape
    (4, 4, 3)
    >>> dataset.has_image("mine_0", "sentinel2")
    False
    """

    def __init__(
        self, base_dir: str | os.PathLike[str], lock_timeout_sec: float | None = None
    ) -> None:
        self._base = Path(base_dir)
        self._timeout = lock_timeout_sec
        self._opened: PackedDataset | None = None
        check(self._base)

    @property
    def base_dir(self) -> str:
        """Directory of the dataset."""
        return str(self._base)

    # Reading.

    def images(self) -> PackedDataset | None:
        """Open the images as a packed dataset, as they are now; None where none was ever added.

        Its keys are JSON lists of the two ids; ``batches`` and ``filter`` work on it.
        """
        if self._opened is None and not is_packed(self._base / IMAGES):
            check(self._base)
            return None
        # Another thread may be reading what is open: it is replaced, never moved.
        opened = self._opened = (
            self._opened.latest() if self._opened else open_packed(self._base / IMAGES)
        )
        return opened

    def _find(self, location_id: str, source_id: str) -> Record | None:
        key = image_key(location_id, source_id)
        current = self.images()
        return None if current is None else current.get(key)

    def has_image(self, location_id: str, source_id: str) -> bool:
        """Whether there is an image of this location and source."""
        return self._find(location_id, source_id) is not None

    def load_image(self, location_id: str, source_id: str) -> NDArray[Any]:
        """Load an image: an array of its own, with the dtype and shape that were added.

        Raises
        ------
        RecordNotFoundError
            There is none (a KeyError too).
        """
        record = self._find(location_id, source_id)
        if record is None:
            raise RecordNotFoundError(
                f"{self._base} has no image of {named(location_id, source_id)}"
            )
        return np.array(record.data)

    def image_metadata(self, location_id: str, source_id: str) -> pd.Series[Any] | None:
        """Give the ids and metadata of an image as a Series, None if there is none."""
        record = self._find(location_id, source_id)
        return None if record is None else _series(record)

    def load_images(self, source_id: str) -> Iterator[tuple[NDArray[Any], pd.Series[Any]]]:
        """Load all images of a source, one by one, in the order of their locations.

        Yields
        ------
        tuple
            The image, and a Series of ``location_id``, ``source_id`` and ``metadata``. The images
            are those that were there at the first one.
        """
        current = self.images()
        if current is None:
            return
        places = [
            (ids, position)
            for position, ids in enumerate(map(ids_of, _keys(current)))
            if ids[1] == source_id
        ]
        # A selection stays with its version while others write.
        chosen = current[[position for _, position in sorted(places)]]
        for record in chosen:
            yield np.array(record.data), _series(record)

    def metadata(self) -> pd.DataFrame:
        """List all images: a DataFrame of ``location_id``, ``source_id`` and ``metadata``."""
        import pandas as pd

        current = self.images()
        records = [] if current is None else current.metadata().to_dict("records")
        columns = {name: [record[name] for record in records] for name in _COLUMNS}
        return pd.DataFrame(columns, dtype=object, columns=list(_COLUMNS))

    # Writing.

    @contextmanager
    def writing(self) -> Iterator[PackWriter]:
        """Wait for the turn to write; what is written in the block is published at its end."""
        with writing_turn(self._base, self._timeout) as images, PackWriter(images) as writer:
            yield writer

    def add_image(
        self,
        location_id: str,
        source_id: str,
        image: ArrayLike,
        metadata: Mapping[Any, Any] | None = None,
    ) -> None:
        """Add an image; it is durable when this returns.

        Parameters
        ----------
        location_id, source_id
            Any text.
        image
            An array of numbers of any shape; its dtype is kept.
        metadata
            Anything of numbers, text, dates, bytes, lists, tuples and dicts, kept as it is.

        Raises
        ------
        KeyExistsError
            There is an image of that location and source: remove it first.
        LockTimeoutException
            Others wrote for longer than ``lock_timeout_sec``.
        """
        key = image_key(location_id, source_id)
        about = _about(location_id, source_id, metadata)
        array = np.asarray(image)
        try:
            with self.writing() as writer:
                writer.append(array, about, key=key)
        except KeyExistsError as error:
            raise KeyExistsError(
                f"{self._base} already has an image of {named(location_id, source_id)}: "
                "remove_image() first"
            ) from error

    def remove_image(self, location_id: str, source_id: str) -> None:
        """Remove an image; it is gone when this returns.

        Raises
        ------
        RecordNotFoundError
            There is none (a KeyError too).
        """
        missing = RecordNotFoundError(
            f"{self._base} has no image of {named(location_id, source_id)} to remove"
        )
        key = image_key(location_id, source_id)
        if self.images() is None:
            raise missing
        try:
            with self.writing() as writer:
                writer.delete(key)
        except RecordNotFoundError as error:
            raise missing from error

    # Looking after it.

    def __len__(self) -> int:
        current = self.images()
        return 0 if current is None else len(current)

    def info(self) -> dict[str, Any]:
        """Describe the dataset in plain words, ready for JSON."""
        current = self.images()
        about = {} if current is None else current.info()
        pairs = [ids_of(key) for key in _keys(current)]
        return {
            "kind": "disk dataset",
            "path": self.base_dir,
            "images": len(pairs),
            "locations": len({location for location, _ in pairs}),
            "sources": sorted({source for _, source in pairs}),
            "arrays": about.get("arrays", "none"),
            "bytes": about.get("bytes", 0),
        }

    def verify(self, progress: Progress = None) -> list[Damage]:
        """Read all images and list what is damaged."""
        current = self.images()
        return [] if current is None else current.verify(progress)

    def __repr__(self) -> str:
        return f"DiskDataset({self.base_dir!r}: {len(self)} images)"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in self.info().items()
        )
        return f"<table>{rows}</table>"


def _about(location_id: str, source_id: str, metadata: Mapping[Any, Any] | None) -> dict[str, Any]:
    values = (location_id, source_id, dict(metadata or {}))
    return dict(zip(_COLUMNS, values, strict=True))


def _keys(current: PackedDataset | None) -> list[str]:
    return [] if current is None else [str(key) for key in current.keys()]  # noqa: SIM118 (no dict)


def _series(record: Record) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series({name: record.metadata[name] for name in _COLUMNS}, dtype=object)
