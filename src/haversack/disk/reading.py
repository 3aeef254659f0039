"""Read images by place and source: one, all of a source, several sources side by side."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from haversack.disk.ids import image_key, named
from haversack.disk.listing import all_ids, frame, places, series
from haversack.disk.opened import Opened
from haversack.disk.place import check
from haversack.disk.splitting import PARTS, split_locations
from haversack.errors import PositionError, RecordNotFoundError, UsageError
from haversack.events import Progress
from haversack.packed import PackedDataset
from haversack.storage.damage import Damage

if TYPE_CHECKING:
    import pandas as pd


class ImageReader:
    """What a :class:`DiskDataset` has to read; each call sees what is there when it begins."""

    def __init__(self, base_dir: str | os.PathLike[str], codec: str) -> None:
        self._given = os.fspath(base_dir)
        self._base = Path(base_dir).absolute()  # whatever directory the process changes to
        self._opened = Opened(self._base, codec)
        check(self._base)

    @property
    def base_dir(self) -> str:
        """Directory of the dataset, as it was given."""
        return self._given

    @property
    def path(self) -> Path:
        """Directory of the dataset, from the root."""
        return self._base

    # One image.

    def has_image(self, location_id: str, source_id: str) -> bool:
        """Whether there is an image of this location and source."""
        key = image_key(location_id, source_id)
        current = self._opened.images()
        return current is not None and key in current

    def load_image(self, location_id: str, source_id: str, index: Any = ...) -> NDArray[Any]:
        """Load an image, or a part of it: an array of its own, with the dtype that was added.

        Parameters
        ----------
        location_id, source_id
            Which image.
        index
            A part of it, as numpy takes it: ``np.s_[10:20, 30:40]`` is a window,
            ``np.s_[:, :, [0, 2]]`` two bands of an image of shape (x, y, bands, dates).

        Raises
        ------
        RecordNotFoundError
            There is none (a KeyError too).
        PositionError
            It has no such part (an IndexError too).

        Examples
        --------
        >>> from haversack import DiskDataset
        >>> dataset = DiskDataset("sites")
        >>> dataset.add_image("mine_0", "landsat8", np.zeros((100, 100, 3, 2)))
        >>> dataset.load_image("mine_0", "landsat8", np.s_[10:20, 30:40, :, 0]).shape
        (10, 10, 3)
        """
        key = image_key(location_id, source_id)
        current = self._opened.images()
        record = None if current is None else current.get(key)
        if record is None:
            raise self._missing(location_id, source_id)
        try:
            return np.array(record.data[index])
        except IndexError as error:
            raise PositionError(
                f"the image of {named(location_id, source_id)} has the shape "
                f"{record.data.shape}: {error}"
            ) from error

    def _missing(self, location_id: str, source_id: str) -> RecordNotFoundError:
        return RecordNotFoundError(f"{self._base} has no image of {named(location_id, source_id)}")

    def image_metadata(self, location_id: str, source_id: str) -> pd.Series[Any] | None:
        """Give the ids and metadata of an image as a Series, None if there is none."""
        key = image_key(location_id, source_id)
        current = self._opened.images()
        found = None if current is None else current.metadata_of(key)
        return None if found is None else series(found)

    # Many images.

    def images(
        self, source_id: str | None = None, *, locations: Iterable[str] | None = None
    ) -> PackedDataset | None:
        """Open the images as a packed dataset, as they are now; None where none was ever added.

        ``batches`` and ``filter`` work on it. Its keys are JSON lists of the two ids.

        Parameters
        ----------
        source_id
            Only the images of this source.
        locations
            Only the images of these locations.

        Returns
        -------
        PackedDataset or None
            All images in the order in which they were added; those of a source or of some
            locations in the order of their locations, then sources.

        Examples
        --------
        >>> from haversack import DiskDataset
        >>> dataset = DiskDataset("recent")
        >>> for site in "bca":
        ...     dataset.add_image(site, "landsat8", np.full((2, 2), ord(site)), {"site": site})
        >>> [batch.data.shape for batch in dataset.images("landsat8").batches(2)]
        [(2, 2, 2), (1, 2, 2)]
        """
        current = self._opened.images()
        if current is None or (source_id is None and locations is None):
            return current
        sources = None if source_id is None else [source_id]
        found = places(current, sources, locations)
        chosen: PackedDataset = current[[position for *_, position in found]]
        return chosen

    def load_images(
        self, source_id: str, *, locations: Iterable[str] | None = None
    ) -> Iterator[tuple[NDArray[Any], pd.Series[Any]]]:
        """Load all images of a source, one by one, in the order of their locations.

        Parameters
        ----------
        source_id
            Which source.
        locations
            Only the images of these.

        Yields
        ------
        tuple
            The image, and a Series of ``location_id``, ``source_id`` and ``metadata``. The images
            are those that were there at the first one.
        """
        chosen = self.images(source_id, locations=locations)
        # A selection stays with its version while others write.
        for record in chosen if chosen is not None else ():
            yield np.array(record.data), series(record.metadata)

    def load_aligned(
        self, source_ids: Sequence[str], *, locations: Iterable[str] | None = None
    ) -> Iterator[tuple[str, tuple[NDArray[Any], ...]]]:
        """Load the images of several sources side by side, location by location.

        Parameters
        ----------
        source_ids
            Which sources.
        locations
            Only these.

        Yields
        ------
        tuple
            The location, and its images in the order of ``source_ids``. Locations come in their
            order; those that lack one of the sources are left out. The images are those that were
            there at the first one.

        Examples
        --------
        >>> from haversack import DiskDataset
        >>> dataset = DiskDataset("aligned")
        >>> for site, source in [("b", "image"), ("a", "image"), ("b", "mask")]:
        ...     dataset.add_image(site, source, np.ones((2, 2)))
        >>> for location_id, (image, mask) in dataset.load_aligned(["image", "mask"]):
        ...     print(location_id, image.shape, mask.shape)
        b (2, 2) (2, 2)
        """
        if isinstance(source_ids, str):
            raise UsageError(f"source_ids are several: [{source_ids!r}, ...]")
        current = self._opened.images()
        if current is None:
            return
        found: dict[str, dict[str, int]] = {}
        for location, source, position in places(current, source_ids, locations):
            found.setdefault(location, {})[source] = position
        for location, at in found.items():
            if len(at) == len(set(source_ids)):
                yield location, tuple(np.array(current[at[source]].data) for source in source_ids)

    # Tables.

    def metadata(self) -> pd.DataFrame:
        """List all images: a DataFrame of ``location_id``, ``source_id`` and ``metadata``."""
        return frame(self._opened.images())

    def query(self, predicate: str) -> pd.DataFrame:
        """List the images whose ids and metadata satisfy a predicate of SQL.

        Parameters
        ----------
        predicate
            What stands behind WHERE. The columns are ``location_id``, ``source_id``, and the names
            of metadata whose values have one type each; ``_meta`` has all of it as JSON. Metadata
            named like an id is ``"metadata:location_id"``.

        Returns
        -------
        DataFrame
            As :meth:`metadata` gives it.

        Raises
        ------
        UsageError
            The predicate is not SQL, or asks for a column that is missing or has several types.

        Examples
        --------
        >>> from haversack import DiskDataset
        >>> dataset = DiskDataset("cloudy")
        >>> for site, cloud in [("a", 5), ("b", 60), ("c", 10)]:
        ...     dataset.add_image(site, "landsat8", np.ones((2, 2)), {"cloud": cloud})
        >>> clear = dataset.query("source_id = 'landsat8' AND cloud < 20")["location_id"]
        >>> [about["location_id"] for _, about in dataset.load_images("landsat8", locations=clear)]
        ['a', 'c']
        """
        current = self._opened.images()
        return frame(None if current is None else current.filter(predicate))

    def split(self, parts: Mapping[str, float] = PARTS, *, seed: int = 0) -> dict[str, list[str]]:
        """Deal the locations out, say to training, validation and test.

        All images of a location are in one part, and it stays there when others are added or
        removed: its id and the seed alone decide, so shares are met on average.

        Parameters
        ----------
        parts
            Names of parts and their shares, which are 1 together.
        seed
            Another seed gives another split.

        Returns
        -------
        dict
            Name of the part -> ids of its locations, in order.

        Examples
        --------
        >>> from haversack import DiskDataset
        >>> dataset = DiskDataset("many")
        >>> for number in range(10):
        ...     dataset.add_image(f"mine_{number}", "landsat8", np.ones((2, 2)))
        >>> parts = dataset.split({"train": 0.8, "test": 0.2}, seed=1)
        >>> len(parts["train"]) + len(parts["test"])
        10
        >>> len(list(dataset.load_images("landsat8", locations=parts["test"])))
        1
        """
        ids = all_ids(self._opened.images())
        return split_locations((location for location, _ in ids), parts, seed)

    # Looking after it.

    def __len__(self) -> int:
        current = self._opened.images()
        return 0 if current is None else len(current)

    def info(self) -> dict[str, Any]:
        """Describe the dataset in plain words, ready for JSON."""
        current = self._opened.images()
        about = {} if current is None else current.info()
        pairs = all_ids(current)
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
        current = self._opened.images()
        return [] if current is None else current.verify(progress)

    def __repr__(self) -> str:
        return f"DiskDataset({self.base_dir!r}: {len(self)} images)"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in self.info().items()
        )
        return f"<table>{rows}</table>"
