"""Join several DiskDatasets into one."""

from __future__ import annotations

from collections.abc import Iterable

from haversack.disk.dataset import DiskDataset
from haversack.disk.ids import ids_of, named
from haversack.errors import KeyExistsError
from haversack.packed import PackedDataset


def merge_datasets(
    input_datasets: Iterable[DiskDataset],
    output_dataset: DiskDataset,
    remove_existing_images: bool = False,
) -> int:
    """Add the images of some datasets to another, all at once or none.

    Parameters
    ----------
    input_datasets
        Datasets to take images from; they are not changed.
    output_dataset
        Where to add them; what it has stays.
    remove_existing_images
        Where several have an image of one location and source, keep that of the last dataset;
        otherwise this is an error.

    Returns
    -------
    int
        How many images were added.

    Raises
    ------
    KeyExistsError
        Several datasets have an image of one location and source; nothing was added.

    Examples
    --------
    >>> import numpy as np
    >>> north, south = DiskDataset("north"), DiskDataset("south")
    >>> north.add_image("a", "landsat8", np.zeros(3))
    >>> south.add_image("b", "landsat8", np.ones(3))
    >>> merge_datasets([north, south], DiskDataset("both"))
    2
    """
    inputs = list(input_datasets)
    with output_dataset.writing() as writer:
        held = output_dataset.images()
        in_output = set() if held is None else set(held.keys())
        chosen: dict[str, PackedDataset] = {}
        for dataset in inputs:
            images = dataset.images()
            for key in [] if images is None else map(str, images.keys()):
                if not remove_existing_images and (key in in_output or key in chosen):
                    other = output_dataset.base_dir if key in in_output else "another input"
                    raise _exists(key, dataset, other)
                assert images is not None
                chosen[key] = images
        for key, images in chosen.items():
            if key in in_output:
                writer.delete(key)
            record = images.record(key)
            encoded = record.encoded
            writer.append(record.data if encoded is None else encoded, record.metadata, key=key)
    return len(chosen)


def _exists(key: str, dataset: DiskDataset, other: str) -> KeyExistsError:
    return KeyExistsError(
        f"the image of {named(*ids_of(key))} is in {dataset.base_dir} and also in {other}: nothing "
        "was merged; remove_existing_images=True keeps that of the last dataset"
    )
