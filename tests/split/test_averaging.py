"""Levels of a pyramid hold the averages of what they stand for, up to the limits of the dtype."""

import json
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.convert import export_array
from haversack.split import save_to_split_dataset
from haversack.split.averaging import mean_of_pairs
from haversack.split.reductions import streaming


def neighbours(data, axes, at):
    """Elements that the level's element at a place stands for; a last one stands for two."""
    spans = [
        (2 * n, min(2 * n + 1, length - 1)) if axis in axes else (n,)
        for axis, (n, length) in enumerate(zip(at, data.shape, strict=True))
    ]
    return [data[place] for place in product(*spans)]


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("kind", ["?", "u1", "i2", "u4", "i8", ">i8", "u8"])
def test_means_of_integers_are_rounded_once(kind, data):
    dtype = np.dtype(kind)
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    least, most = (0, 1) if kind == "?" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = st.integers(int(least), int(most)) | st.sampled_from([int(least), int(most)])
    size = int(np.prod(shape))
    array = np.array(data.draw(st.lists(values, min_size=size, max_size=size)), dtype)
    array = array.reshape(shape)
    found = mean_of_pairs(array, axes)
    assert found.dtype == dtype
    for at in np.ndindex(found.shape):
        of = [int(each) for each in neighbours(array, axes, at)]
        assert int(found[at]) == round(Fraction(sum(of), len(of)))


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("kind", ["u1", ">i8", "f4", "c8"])
def test_means_do_not_depend_on_the_parts_that_they_are_made_in(kind, data):
    shape = tuple(data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=3)))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    array = np.random.default_rng(2).integers(0, 256, shape).astype(kind)
    whole = mean_of_pairs(array, axes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "_PART", data.draw(st.integers(1, 20)))
        np.testing.assert_array_equal(mean_of_pairs(array, axes), whole)


@pytest.mark.parametrize("kind", ["f2", "f4", ">f4", "f8", "c8", "c16"])
def test_means_of_the_largest_floats_are_those(kind):
    dtype = np.dtype(kind)
    most = np.finfo(dtype).max
    array = np.array([[most, most, -most], [most, most, most]], dtype)
    found = mean_of_pairs(array, (0, 1))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, [[most, 0]])
    special = np.array([np.inf, 1, np.inf, -np.inf, np.nan, 2, 0.1], dtype)
    np.testing.assert_array_equal(
        mean_of_pairs(special, [0]), np.array([np.inf, np.nan, np.nan, 0.1], dtype)
    )


def test_a_level_has_no_values_that_its_array_has_not(tmp_path):
    for number, value in enumerate(
        (np.float16(60000), np.uint64(2**64 - 1), np.int64(2**63 - 1), np.float32(3e38))
    ):
        split = save_to_split_dataset(np.full((2, 6, 7), value), tmp_path / str(number))
        for level in split.build_pyramid(2)[1:]:
            assert level.dtype == split.dtype
            assert (level[...] == value).all()


def test_a_level_of_half_the_frames_has_half_the_frequency(tmp_path):
    array = np.zeros((9, 2, 8, 8), "u1")
    about: dict[str, Any] = {"frequency": 20.0, "resolution": (0.05, 3.0, 0.5, 0.5)}
    split = save_to_split_dataset(array, tmp_path / "a", **about)
    levels = split.build_pyramid(2, axes=(0, 2, 3))
    assert [level.frequency for level in levels] == [20, 10, 5]
    assert [level.resolution[0] for level in levels] == [0.05, 0.1, 0.2]
    assert [level.frequency for level in split.build_pyramid(2)] == [20, 20, 20]


def test_an_axis_that_has_no_pairs_left_keeps_its_scale(tmp_path):
    about: dict[str, Any] = {"frequency": 20.0, "resolution": (0.05, 0.5)}
    split = save_to_split_dataset(np.zeros((2, 8), "u1"), tmp_path / "a", **about)
    levels = split.build_pyramid(2, axes=(0, 1))
    assert [level.shape for level in levels] == [(2, 8), (1, 4), (1, 2)]
    assert [level.frequency for level in levels] == [20, 10, 10]
    assert [level.resolution for level in levels] == [(0.05, 0.5), (0.1, 1), (0.1, 2)]


def test_ome_zarr_has_the_time_scale_of_each_level(tmp_path):
    pytest.importorskip("zarr")
    split = save_to_split_dataset(np.zeros((9, 2, 8, 8), "u1"), tmp_path / "a", frequency=20)
    split.build_pyramid(2, axes=(0, 2, 3))
    path = export_array(split, tmp_path / "a.ome.zarr")
    image = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    scales = [each["coordinateTransformations"][0]["scale"] for each in image["datasets"]]
    assert [scale[0] for scale in scales] == [0.05, 0.1, 0.2]
