"""Save an array that is at hand, whole, as a split array."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from haversack import events
from haversack.errors import UnsupportedError
from haversack.split.blockfiles.block import check_dtype, refuse_masked
from haversack.split.chunks.chunking import default_block_shape
from haversack.split.dataset import SplitDataset, is_split
from haversack.split.directory.about import check_distances
from haversack.split.directory.finding import prefix_of
from haversack.split.planning.blocks import Blocks
from haversack.split.planning.cutting import Numbers, PartialShape
from haversack.split.reading import DiskArray
from haversack.split.writing import LoneWriter, all_or_nothing, taken
from haversack.storage.looking import as_path


def save_to_split_dataset(
    data: Any,
    root_name: str | os.PathLike[str],
    block_size: PartialShape = None,
    crop: Sequence[tuple[int, int]] | None = None,
    padding: Numbers = 0,
    prefix: str | None = None,
    compression: str | None = "blosc",
    *,
    layout: str = "balanced",
    resolution: Sequence[float] | None = None,
    progress: events.Progress = None,
    **about: Any,
) -> SplitDataset:
    """Save an array as a split array, with a block and the file of the one before in memory.

    Parameters
    ----------
    data
        Anything with a shape that is sliced as numpy's arrays are: an array, a memmap, an HDF5
        dataset, another split array.
    root_name
        The directory to make.
    block_size
        Shape of a block, None for the full length of an axis. By default, what the data has, if
        it is a split array or a dask array, or else at most 64 MiB, along the first axis where that
        is enough, without cutting the chunks of the data: one block of a small array.
    crop
        For each axis, how many elements to leave out at its start and end.
    padding
        How far each block reaches into the next one.
    prefix
        Name of a directory inside ``root_name``, to which ``_cropped`` is added when there is a
        crop. Without either, the directory is ``root_name`` itself.
    compression
        ``"blosc"`` (lz4), ``"zstd"`` (smaller), ``"zlib"``, or None.
    layout
        What is to be read fastest: whole ``"frames"``, ``"traces"`` (pixels over time), or both
        (``"balanced"``).
    resolution
        Distance between elements: a number for each axis, or for each but the first, as z, y, x
        of t, z, y, x. By default, what the data has, if it is a split array, or else ones.
    progress
        True draws a bar; a callable is told of every event.
    about
        ``axes``, their names; ``units``, of the resolution (one word is that of the axes of space);
        ``frequency`` in hertz, of the first axis; ``metadata``, a dict that JSON can keep. What is
        not given, and the resolution, come from the data where that is a split array.

    Raises
    ------
    ExistsError
        The directory already holds a split array, finished or not.
    UnsupportedError
        The data is not of booleans or numbers, is masked, or is an iterator.
    UsageError
        Arguments that do not fit the axes.

    Examples
    --------
    >>> frames = np.zeros((10, 32, 32), "uint8")
    >>> save_to_split_dataset(frames, "frames", block_size=(5, None, None))
    SplitDataset('frames': (10, 32, 32) uint8, 2 blocks of (5, 32, 32))
    """
    if isinstance(data, Iterator):
        raise UnsupportedError(
            "an iterator has no shape: save_frames saves the frames that it gives"
        )
    refuse_masked(data)
    source = data if hasattr(data, "shape") else np.asarray(data)
    dtype = np.dtype(source.dtype)
    check_dtype(dtype)
    check_distances(resolution, len(source.shape))
    root, name = as_path(root_name), prefix_of(prefix)
    if crop is not None:
        name += "_cropped"
    if block_size is None:  # a split array's blocks, or a dask array's chunks
        block_size = getattr(data, "shape_block", None) or _chunks_of_dask(data)
    if block_size is None:
        shape = Blocks(source.shape, crop=crop).shape_cropped
        chunks = getattr(data, "chunks", None)  # of an HDF5 dataset or a Zarr array
        block_size = default_block_shape(shape, dtype.itemsize, chunks)
    if is_split(root / name):
        raise taken(root / name)
    with all_or_nothing(root / name) as array:
        empty = LoneWriter(
            root,
            name,
            source.shape,
            block_size,
            padding=padding,
            crop=crop,
            array=array,
            compression=compression,
            layout=layout,
            dtype=dtype,
            **_about_of(data, {"resolution": resolution, **about}),
        )
        with events.task(progress, "save", total=empty.n_blocks, unit="block") as work:
            empty.save_all(source, work)
        return empty.finalize()


def _chunks_of_dask(data: Any) -> PartialShape:
    """Give the largest chunk's shape; an axis of no elements has a chunk of none."""
    chunks = getattr(data, "chunksize", None)
    return [max(1, length) for length in chunks] if chunks else None


def _about_of(data: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Complete what is given by what the data says of itself."""
    known = asdict(data.about) if isinstance(data, DiskArray) else {}
    return {**known, **{key: value for key, value in given.items() if value is not None}}
