"""Scenarios of a DiskDataset, whose images are added, replaced and removed one by one."""

import warnings

import numpy as np

from haversack.disk import DiskDataset

from .check import BrokenPromiseError, is_torn
from .scenarios import record, scenario
from .upkeep import ALL

__all__ = ["ALL"]
SOURCE = "spot"


class Images(DiskDataset):
    """A DiskDataset that is written to like any writer."""

    def append(self, image, metadata, *, key):
        self.add_image(str(key), SOURCE, image, metadata)

    def put(self, image, metadata, *, key):
        self.add_image(str(key), SOURCE, image, metadata, replace=True)

    def delete(self, key):
        self.remove_image(str(key), SOURCE)

    def flush(self):
        """Do nothing: each call is durable when it returns."""


def visible(path, *, torn=False):
    """List the (key, step) of all images, each read in every way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = DiskDataset(path)
        current = dataset.images()
        listed = [] if current is None else [each.metadata for each in current]
    if len(dataset) != len(listed):
        raise BrokenPromiseError(f"{len(dataset)} images, of which {listed} are listed")
    found = [_checked(dataset, fields["location_id"], fields["source_id"]) for fields in listed]
    damage = [one for one in dataset.verify() if not (torn and is_torn(one))]
    if damage:
        raise BrokenPromiseError(f"verify() finds {damage}")
    return found


def _checked(dataset, location, source):
    about, image = dataset.image_metadata(location, source), dataset.load_image(location, source)
    if about is None or not dataset.has_image(location, source):
        raise BrokenPromiseError(f"the image of {location} is listed and not there")
    array, metadata = record(int(location), about["metadata"]["step"])
    if about["metadata"] != metadata or not np.array_equal(image, array):
        raise BrokenPromiseError(f"the image of {location} is {image!r}, of {about!r}")
    return int(location), metadata["step"]


@scenario(
    [[("add", 0)], [("add", 1)], [("put", 0)], [("delete", 1)], [("add", 2)]],
    writer=Images,
    visible=visible,
)
def images(path, step):
    """Images that are added one by one and never sealed."""
    dataset = None
    for number in step:
        with step(number) as change:
            dataset = Images(path) if dataset is None else dataset
            change(dataset)


@scenario(
    ([[("add", 0)], [("add", 1)], []], [[("add", 1000)], [("put", 1000)]]),
    writer=Images,
    visible=visible,
)
def images_by_two(path, step):
    """Two processes that add images; one seals its own."""
    dataset = None
    for number in step:
        with step(number) as change:
            dataset = Images(path) if dataset is None else dataset
            change(dataset)
            if step.writer == 0 and not step.left:
                dataset.close()
