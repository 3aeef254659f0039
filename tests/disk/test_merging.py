"""Merging adds all images or none."""

import numpy as np
import pytest

from haversack.disk import DiskDataset, merge_datasets
from haversack.errors import KeyExistsError


def make(path, **images):
    dataset = DiskDataset(path)
    for location, value in images.items():
        dataset.add_image(location, "s", np.array(value), {"value": value})
    return dataset


def values(dataset):
    return {about["location_id"]: int(image) for image, about in dataset.load_images("s")}


def test_images_of_all_inputs_are_added(tmp_path):
    output = make(tmp_path / "out", a=0)
    inputs = [make(tmp_path / "one", b=1, c=2), make(tmp_path / "two", d=3), make(tmp_path / "no")]
    assert merge_datasets(inputs, output) == 3
    assert values(output) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert values(inputs[0]) == {"b": 1, "c": 2}
    assert output.image_metadata("c", "s")["metadata"] == {"value": 2}
    new = DiskDataset(tmp_path / "new")
    assert merge_datasets([output], new) == 4
    assert values(new) == values(output)


@pytest.mark.parametrize("inputs", [[{"b": 1}, {"a": 2}], [{"b": 1}, {"b": 2}]])
def test_a_conflict_leaves_the_output_as_it_was(tmp_path, inputs):
    output = make(tmp_path / "out", a=0)
    given = [make(tmp_path / f"in{n}", **images) for n, images in enumerate(inputs)]
    before = output.images().snapshot
    with pytest.raises(KeyExistsError, match=r"'[ab]', source 's' is in .*in1 and also in"):
        merge_datasets(given, output)
    assert values(output) == {"a": 0}
    assert output.images().snapshot == before


def test_the_last_one_wins_when_asked(tmp_path):
    output = make(tmp_path / "out", a=0, z=9)
    given = [make(tmp_path / "in0", a=1, b=1), make(tmp_path / "in1", a=2, b=2, c=2)]
    assert merge_datasets(given, output, remove_existing_images=True) == 3
    assert values(output) == {"a": 2, "b": 2, "c": 2, "z": 9}
    assert output.verify() == []


def test_the_output_may_be_among_the_inputs(tmp_path):
    output = make(tmp_path / "out", a=0, b=1)
    assert merge_datasets([output, output], output, remove_existing_images=True) == 2
    assert values(output) == {"a": 0, "b": 1}
    assert output.verify() == []
