"""Images on disk, kept by place and source."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from numpy.typing import ArrayLike, NDArray

from haversack.disk.fields import joined
from haversack.disk.ids import image_key, named
from haversack.disk.reading import ImageReader
from haversack.errors import (
    HaversackError,
    KeyExistsError,
    RecordNotFoundError,
    StorageError,
    UsageError,
)
from haversack.packed import PackWriter


class DiskDataset(ImageReader):
    """Keep images on disk by location and source, each with metadata.

    Any number of threads and processes may read and write one dataset at once: each call sees what
    was there when it began, and nobody waits for anybody. An image is durable when
    :meth:`add_image` returns. Closing (or leaving a ``with`` block) is never needed; it seals what
    was added one by one, and the dataset can be used on.

    Parameters
    ----------
    base_dir
        Directory of the dataset; made by the first image that is added.
    lock_timeout_sec
        Taken for the sake of older programs: there is no lock to wait for any more.
    codec
        How images that are added are compressed: ``none``, ``blosc-lz4``, ``blosc-zstd``, ``zstd``
        or ``gzip``. Those that are there stay as they are.

    Examples
    --------
    >>> import numpy as np
    >>> dataset = DiskDataset("sites")
    >>> dataset.add_image("mine_0", "landsat8", np.ones((4, 4, 3)), {"bands": ["B1", "B2", "B3"]})
    >>> dataset.load_image("mine_0", "landsat8").shape
    (4, 4, 3)
    >>> dataset.has_image("mine_0", "sentinel2")
    False
    """

    def __init__(
        self,
        base_dir: str | os.PathLike[str],
        lock_timeout_sec: float | None = None,
        *,
        codec: str = "none",
    ) -> None:
        super().__init__(base_dir, codec)
        self._arguments = lock_timeout_sec, codec

    def add_image(
        self,
        location_id: str,
        source_id: str,
        image: ArrayLike,
        metadata: Mapping[Any, Any] | None = None,
        *,
        replace: bool = False,
    ) -> None:
        """Add an image; it is durable when this returns.

        Parameters
        ----------
        location_id, source_id
            Any text.
        image
            An array of numbers of any shape, whose dtype is kept; or the bytes of a JPEG, PNG or
            TIFF file, which are kept and decoded when it is loaded.
        metadata
            Anything of numbers, text, dates, bytes, lists, tuples and dicts, kept as it is.
        replace
            Take the place of the image of that location and source, if there is one.

        Raises
        ------
        KeyExistsError
            There is an image of that location and source, and it is not to be replaced.
        UnsupportedError
            An id is no text, or the image or a value is of a kind that cannot be kept exactly.
        """
        step = _adding(location_id, source_id, image, metadata, replace=replace)
        try:
            self._opened.commit(step)
        except KeyExistsError as error:
            raise self._exists(location_id, source_id) from error

    def _exists(self, location_id: str, source_id: str) -> KeyExistsError:
        return KeyExistsError(
            f"{self._base} already has an image of {named(location_id, source_id)}: "
            "replace=True puts this one in its place"
        )

    def get_or_add(
        self,
        location_id: str,
        source_id: str,
        make: Callable[[], Any],
        metadata: Mapping[Any, Any] | None = None,
    ) -> NDArray[Any]:
        """Load an image, or make and add it where it is missing.

        Where several make it at once, one of them is added, and all get that one.

        Parameters
        ----------
        location_id, source_id
            Which image.
        make
            Called without arguments if there is none; gives the image, or a tuple of the image and
            its metadata.
        metadata
            That of an image which ``make`` gives without any.

        Examples
        --------
        >>> import numpy as np
        >>> dataset = DiskDataset("slopes")
        >>> dataset.get_or_add("mine_0", "slope", lambda: np.full((2, 2), 7)).tolist()
        [[7, 7], [7, 7]]
        >>> dataset.get_or_add("mine_0", "slope", lambda: 1 / 0).tolist()
        [[7, 7], [7, 7]]
        """
        made: list[Any] = []
        while True:
            with suppress(RecordNotFoundError):
                return self.load_image(location_id, source_id)
            made = made or _pair(make(), metadata)
            with suppress(KeyExistsError):
                self.add_image(location_id, source_id, *made)

    def add_images(self, images: Iterable[tuple[Any, ...]], *, replace: bool = False) -> int:
        """Add many images at once: all of them, durable when this returns, or none.

        Much faster than one by one.

        Parameters
        ----------
        images
            Tuples of location, source, image and, if it has any, metadata; taken as they come.
        replace
            As in :meth:`add_image`; of several for one location and source the last stays.

        Returns
        -------
        int
            How many were given.

        Raises
        ------
        KeyExistsError, UnsupportedError
            As in :meth:`add_image`; the message says which one it was.

        Examples
        --------
        >>> import numpy as np
        >>> dataset = DiskDataset("thousand")
        >>> dataset.add_images((f"mine_{n}", "spot", np.full(3, n), {"n": n}) for n in range(1000))
        1000
        """
        count = 0
        with self._opened.bulk() as writer:
            for given in images:
                try:
                    location_id, source_id, image, metadata = _four(given)
                    _adding(location_id, source_id, image, metadata, replace=replace)(writer)
                except KeyExistsError as error:
                    raise self._exists(location_id, source_id) from error
                except StorageError:
                    raise
                except HaversackError as error:
                    raise type(error)(f"image {count}: {error}") from error
                count += 1
        return count

    def remove_image(self, location_id: str, source_id: str) -> None:
        """Remove an image; it is gone when this returns.

        Raises
        ------
        RecordNotFoundError
            There is none (a KeyError too).
        """
        key = image_key(location_id, source_id)
        if self._opened.images() is None:
            raise self._missing(location_id, source_id)
        try:
            self._opened.commit(lambda writer: writer.delete(key))
        except RecordNotFoundError as error:
            raise self._missing(location_id, source_id) from error

    def close(self) -> None:
        """Seal what this process has added one by one, so that it is read as fast as the rest."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self._base), *self._arguments)


def _reopen(base_dir: str, lock_timeout_sec: float | None, codec: str) -> DiskDataset:
    return DiskDataset(base_dir, lock_timeout_sec, codec=codec)


def _adding(
    location_id: str,
    source_id: str,
    image: Any,
    metadata: Mapping[Any, Any] | None,
    *,
    replace: bool,
) -> Callable[[PackWriter], None]:
    """Make the step of a writer that adds an image."""
    key = image_key(location_id, source_id)
    record = joined(location_id, source_id, metadata)
    if replace:
        return lambda writer: writer.put(image, record, key=key)
    return lambda writer: writer.append(image, record, key=key)


def _four(given: Any) -> tuple[Any, Any, Any, Any]:
    if not isinstance(given, tuple | list) or len(given) not in (3, 4):
        raise UsageError(
            "images are given as tuples (location_id, source_id, image) or "
            f"(location_id, source_id, image, metadata), not {given!r:.100}"
        )
    location_id, source_id, image, *rest = given
    return location_id, source_id, image, rest[0] if rest else None


def _pair(made: Any, metadata: Mapping[Any, Any] | None) -> list[Any]:
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], Mapping | None):
        return list(made)
    return [made, metadata]
