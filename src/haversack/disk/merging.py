"""Join several DiskDatasets into one."""

from __future__ import annotations

from collections.abc import Iterable

from haversack.disk.dataset import DiskDataset
from haversack.disk.ids import ids_of, named
from haversack.errors import KeyExistsError


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
    opened = [(dataset, dataset.images()) for dataset in input_datasets]
    keys = [[] if images is None else list(map(str, images.keys())) for _, images in opened]
    with output_dataset.writing() as writer:
        held = output_dataset.images()
        in_output = set() if held is None else set(held.keys())
        owner: dict[str, int] = {}
        for number, (dataset, _) in enumerate(opened):
            for key in keys[number]:
                if not remove_existing_images and (key in in_output or key in owner):
                    other = output_dataset.base_dir if key in in_output else "another input"
                    raise _exists(key, dataset, other)
                owner[key] = number
        for number, (_, images) in enumerate(opened):
            if images is not None:
                chosen = [place for place, key in enumerate(keys[number]) if owner[key] == number]
                writer.extend(images[chosen], on_conflict="replace")
    return len(owner)


def _exists(key: str, dataset: DiskDataset, other: str) -> KeyExistsError:
    return KeyExistsError(
        f"the image of {named(*ids_of(key))} is in {dataset.base_dir} and also in {other}: nothing "
        "was merged; remove_existing_images=True keeps that of the last dataset"
    )
