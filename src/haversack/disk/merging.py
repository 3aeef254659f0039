"""Join several DiskDatasets into one."""

from __future__ import annotations

from collections.abc import Iterable

from haversack.disk.dataset import DiskDataset
from haversack.disk.ids import ids_of, named
from haversack.disk.opened import Opened
from haversack.errors import KeyExistsError
from haversack.packed import PackedDataset
from haversack.packed.extending import OnConflict


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
    keys = [_keys(images) for _, images in opened]
    names = [dataset.base_dir for dataset, _ in opened]
    owner = _owners(keys, names, output_dataset, replace=remove_existing_images)
    # They are copied as they are stored, whatever the codec of either.
    with Opened(output_dataset.path, codec="none").bulk() as writer:
        for number, (_, images) in enumerate(opened):
            if images is not None:
                chosen = [place for place, key in enumerate(keys[number]) if owner[key] == number]
                on_conflict: OnConflict = "replace" if remove_existing_images else "error"
                writer.extend(images[chosen], on_conflict=on_conflict)
    return len(owner)


def _owners(
    keys: list[list[str]], names: list[str], output: DiskDataset, *, replace: bool
) -> dict[str, int]:
    """Say from which dataset each image is taken: the last that has it, if several may."""
    in_output = set(_keys(output.images()))
    owner: dict[str, int] = {}
    for number, name in enumerate(names):
        for key in keys[number]:
            if not replace and (key in in_output or key in owner):
                raise _exists(key, name, output.base_dir if key in in_output else "another input")
            owner[key] = number
    return owner


def _keys(images: PackedDataset | None) -> list[str]:
    return [] if images is None else [str(key) for key in images.keys()]  # noqa: SIM118 (no dict)


def _exists(key: str, one: str, other: str) -> KeyExistsError:
    return KeyExistsError(
        f"the image of {named(*ids_of(key))} is in {one} and also in {other}: nothing "
        "was merged; remove_existing_images=True keeps that of the last dataset"
    )
