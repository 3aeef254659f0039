"""Reductions, mapped blocks, layouts and pyramids are those of the whole array in memory."""

import re
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.running import run_python

from haversack.errors import UnsupportedError, UsageError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.directory.about import describe
from haversack.split.reductions import streaming

NAMES = ["sum", "mean", "max", "min", "std", "var"]
SHAPE = (7, 3, 5, 4)


@pytest.fixture(scope="module", params=["u1", "i4", "f4", "f8", "c8", "?"])
def pair(request, tmp_path_factory):
    rng = np.random.default_rng(5)
    array = (rng.normal(0, 40, SHAPE) + 100).astype(request.param)
    folder = tmp_path_factory.mktemp("pair") / "array"
    return array, save_to_split_dataset(array, folder, (3, None, 2, None))


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_reduction_is_numpys(pair, data):
    array, split = pair
    if data.draw(st.booleans()):
        array, split = array[::-2, 1, 1:], split.view[::-2, 1, 1:]
    axes = st.lists(st.integers(-array.ndim, array.ndim - 1), unique_by=lambda n: n % array.ndim)
    axis = data.draw(st.none() | st.integers(0, array.ndim - 1) | axes.map(tuple))
    keepdims = data.draw(st.booleans())
    name = data.draw(st.sampled_from(NAMES))
    expected = getattr(np, name)(array, axis=axis, keepdims=keepdims)
    found = getattr(split, name)(axis, keepdims=keepdims)
    assert type(found) is type(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    close = 1e-4 if array.dtype in {np.dtype("f4"), np.dtype("c8")} else 1e-12
    np.testing.assert_allclose(found, expected, rtol=close)


@pytest.mark.parametrize("dtype", ["i2", "u8", "f2", "f4", "f8", "c8", "c16"])
def test_a_reduction_has_numpys_byte_order(tmp_path, dtype):
    array = (np.arange(24).reshape(4, 3, 2) % 7).astype(f">{dtype}")
    split = save_to_split_dataset(array, tmp_path / "a", (2, None, None))
    assert split.dtype == array.dtype
    parts = [(split, array), (split.view[::-2, 1:], array[::-2, 1:])]
    for name, axis, (part, of) in product(NAMES, (None, 0, (0, 2), ()), parts):
        expected = getattr(of, name)(axis=axis)
        found = getattr(part, name)(axis)
        assert (type(found), found.dtype.str) == (type(expected), expected.dtype.str), name
        np.testing.assert_allclose(found, expected, rtol=1e-2)


def test_numpys_own_functions_reduce_a_split_array(pair):
    array, split = pair
    if array.dtype == bool:
        return
    for name in NAMES:
        np.testing.assert_allclose(getattr(np, name)(split), getattr(np, name)(array), rtol=1e-4)
    np.testing.assert_allclose(np.var(split, axis=0, ddof=1), np.var(array, axis=0, ddof=1), 1e-4)
    out = np.empty(SHAPE[1:], np.result_type(array, "f4"))
    assert np.mean(split, 0, out=out) is out
    np.testing.assert_allclose(out, array.mean(0), rtol=1e-4)
    assert np.sum(split, dtype="c16").dtype == np.complex128


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_parts_of_pieces_come_to_what_numpy_makes_of_all(pair, data):
    array, split = pair
    axis = tuple(data.draw(st.sets(st.integers(0, 3))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "_PART", data.draw(st.integers(1, 50)))
        for name in ("std", "var"):
            found = getattr(split, name)(axis, keepdims=True)
            expected = getattr(array, name)(axis, keepdims=True)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@given(st.data())
def test_parts_cover_an_array_once_and_are_small(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 9), min_size=0, max_size=4)))
    order = data.draw(st.permutations(range(len(shape))))
    most, seen = data.draw(st.integers(1, 60)), np.zeros(shape, int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "_PART", most)
        for part in streaming.parts(shape, order):
            seen[part] += 1
            assert seen[part].size <= most
    assert (seen == 1).all()


LIMITED = """
import resource, sys
from pathlib import Path
from haversack.errors import TooLargeError
from haversack.split import SplitDataset

split = SplitDataset(sys.argv[1])
split.view[:1, :4].std()  # what is loaded once
held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
# Not of addresses: malloc reserves many for each thread that finds it busy.
resource.setrlimit(resource.RLIMIT_DATA, (held + (int(sys.argv[2]) << 20), -1))


def level():
    return split.build_pyramid(1)[1].sum()


for compute in (split.sum, split.mean, split.std, split.var, level):
    try:
        print(compute())
    except TooLargeError as error:
        print("TooLargeError", error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is not limited elsewhere")
def test_reductions_and_levels_need_little_more_memory_than_the_blocks(tmp_path):
    array = np.tile(np.arange(1000, dtype="u1"), (100, 800, 1))
    split = save_to_split_dataset(array, tmp_path / "a", (50, None, None))
    told = run_python(LIMITED, split.root, 150).splitlines()
    expected = [array.sum(), array.mean(), array.std(), array.var()]
    np.testing.assert_allclose([*map(float, told[:4])], expected, rtol=1e-12)
    halves = np.rint(array[0, 0].reshape(-1, 2).mean(axis=1)).sum()
    assert told[4:] == [str(int(halves) * 100 * 400)]
    told = run_python(LIMITED, split.root, 20).splitlines()
    assert len(told) == 5
    assert all(re.match("TooLargeError .*memory", each) for each in told)


def test_reductions_go_piece_by_piece(pair, monkeypatch):
    array, split = pair
    monkeypatch.setattr(streaming, "_PIECE", 1)
    events = []
    np.testing.assert_allclose(split.mean((0, 1), progress=events.append), array.mean((0, 1)), 1e-5)
    assert events[-1].done == array.nbytes
    assert len(events) > 6
    seen = np.zeros(SHAPE[1:], int)
    for region in streaming.pieces(split.view[-1, :, ::-1]):
        seen[:, ::-1][region] += 1
    assert (seen == 1).all()


def test_reductions_of_nothing_are_numpys(tmp_path):
    split = save_to_split_dataset(np.zeros((0, 3), "f4"), tmp_path / "a")
    assert split.sum() == 0
    assert np.isnan(split.mean())
    assert split.max(1).shape == (0,)
    with pytest.raises(ValueError, match="no elements"):
        split.max()


def test_axes_that_are_none_are_refused(pair):
    _, split = pair
    with pytest.raises(np.exceptions.AxisError):
        split.mean(4)
    with pytest.raises(UsageError, match="twice"):
        split.mean((0, -4))


def test_nan_is_kept_as_numpy_does(tmp_path):
    array = np.arange(12.0).reshape(6, 2)
    array[4, 1] = np.nan
    split = save_to_split_dataset(array, tmp_path / "a", (2, None))
    for name in NAMES:
        np.testing.assert_allclose(getattr(split, name)(0), getattr(np, name)(array, 0))


def smoothed(data):
    """Average each element with its neighbours in y."""
    wide = np.pad(data.astype("f8"), ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    return (wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]) / 3


def test_blocks_are_mapped_with_what_lies_around_them(tmp_path, volumes, saved):
    expected = smoothed(volumes)
    made = saved.map_blocks(smoothed, overlap=(0, 0, 1, 0), to=tmp_path / "smooth")
    np.testing.assert_allclose(made, expected)
    assert (made.dtype, made.shape_block) == (np.float64, saved.shape_block)
    results = saved.map_blocks(smoothed, overlap=1, workers=2)
    for (where, result), (_, owned) in zip(results, saved.slices(), strict=True):
        assert where == owned
        np.testing.assert_allclose(result, expected[where])
    assert [r for _, r in saved.map_blocks(np.max)] == [b.max() for b in saved.blocks]


def test_blocks_are_mapped_in_processes(saved):
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        found = [result for _, result in saved.map_blocks(np.sum, executor=executor)]
    assert found == [block.sum() for block in saved.blocks]


def test_a_function_that_fails_leaves_nothing(tmp_path, saved):
    def failing(data):
        if data.shape[2] < 30:
            raise RuntimeError("cannot")
        return data

    with pytest.raises(RuntimeError, match="cannot"):
        saved.map_blocks(failing, to=tmp_path / "new")
    with pytest.raises(UsageError, match="result for block 0"):
        saved.map_blocks(np.sum, to=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="overlap"):
        saved.map_blocks(np.sum, overlap=(1, 2))
    with pytest.raises(UsageError, match="overlap"):
        saved.map_blocks(np.sum, overlap=-1)
    found = [result for _, result in saved.map_blocks(np.max, overlap=np.int64(1))]
    assert found == [result for _, result in saved.map_blocks(np.max, overlap=1)]


@pytest.mark.parametrize("layout", ["frames", "balanced", "traces"])
def test_layouts_turn_into_each_other(tmp_path, layout):
    array = np.random.default_rng(0).integers(0, 99, (40, 2, 50, 60)).astype("u2")
    first = save_to_split_dataset(array, tmp_path / "first", (16, None, None, None))
    made = save_to_split_dataset(first, tmp_path / "made", (40, None, None, None), layout=layout)
    np.testing.assert_array_equal(made, array)
    np.testing.assert_array_equal(made[:, 1, 7, 7], array[:, 1, 7, 7])
    times = made._block(0).chunk_shape[0]
    assert {"frames": times == 1, "balanced": times == 10, "traces": times == 40}[layout]
    assert made.verify() == []
    with pytest.raises(UsageError, match="layout"):
        save_to_split_dataset(array, tmp_path / "other", layout="fast")


def test_padded_blocks_are_merged_by_saving_them_anew(tmp_path, volumes):
    padded = save_to_split_dataset(volumes, tmp_path / "p", (4, None, 20, None), padding=2)
    merged = save_to_split_dataset(padded, tmp_path / "m")
    assert (merged.padding, merged.shape_block) == ((0,) * 4, padded.shape_block)
    np.testing.assert_array_equal(merged, volumes)


def test_a_crop_becomes_an_array_of_its_own(saved, volumes):
    made = saved.apply_crop(((1, 2), (0, 0), (3, 0), (0, 7)))
    assert made.root.name == "array_cropped"
    np.testing.assert_array_equal(made, volumes[1:-2, :, 3:, :-7])
    np.testing.assert_array_equal(SplitDataset(saved.root), volumes)
    again = save_to_split_dataset(saved.view[2, :, ::2], saved.root.with_name("view"))
    np.testing.assert_array_equal(again, volumes[2, :, ::2])


def test_pyramids_halve_until_they_are_small(tmp_path):
    array = np.random.default_rng(0).integers(0, 250, (3, 2, 301, 517)).astype("u1")
    split = save_to_split_dataset(
        array, tmp_path / "a", (2, None, 200, None), resolution=(1, 3, 0.5, 0.5)
    )
    assert [level.shape for level in split.pyramid] == [array.shape]
    levels = split.build_pyramid()
    assert [level.shape[2:] for level in levels] == [(301, 517), (151, 259), (76, 130)]
    assert list(levels[1].resolution) == [1, 3, 1, 1]
    wide: Any = np.pad(array.astype(float), ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge")
    expected = wide.reshape(3, 2, 151, 2, 259, 2).mean((3, 5))
    assert np.abs(levels[1][...] - expected).max() <= 0.5  # rounded once
    opened = SplitDataset(tmp_path / "a").pyramid
    assert [level.shape for level in opened] == [level.shape for level in levels]
    split[0, 0, 0, 0] = 3
    assert len(split.pyramid) == 1
    assert split.verify() == []


def test_pyramids_need_axes_and_arrays_of_ours(tmp_path, saved):
    from .test_foreign import BRUNOISE, directory

    assert len(saved.build_pyramid(2, axes=(1, 2))) == 3
    with pytest.raises(UsageError, match="axes"):
        saved.build_pyramid(axes=(4,))
    with pytest.raises(UnsupportedError):
        SplitDataset(directory(tmp_path / "theirs", BRUNOISE)).build_pyramid()


def test_what_an_array_is_of_is_kept(tmp_path, volumes):
    about: dict[str, Any] = {
        "resolution": (0.05, 4, 0.6, 0.6),
        "axes": ("time", "depth", "y", "x"),
        "units": ("second", "micrometer", "micrometer", "micrometer"),
        "frequency": 20.0,
        "metadata": {"fish": 7, "tags": ["a", None], "plan": {"x": 0.5}},
    }
    made = save_to_split_dataset(volumes, tmp_path / "a", (4, None, None, None), **about)
    again = save_to_split_dataset(SplitDataset(made.root), tmp_path / "b")
    assert again.about == made.about
    for name, value in about.items():
        assert getattr(again, name) == value
    view = again.view[::2, 1]
    assert (view.frequency, view.axes, view.resolution) == (
        10.0,
        ("time", "y", "x"),
        (0.1, 0.6, 0.6),
    )
    wrong: list[dict[str, Any]] = [
        {"axes": ("t", "y")},
        {"axes": ("t", "t", "y", "x")},
        {"units": ("s",)},
        {"frequency": 0},
        {"resolution": (1, 2, 3, 4, 5)},
        {"resolution": (1, 1, 1, float("nan"))},
        {"metadata": {"a": {1, 2}}},
        {"metadata": {"a": float("inf")}},
        {"metadata": {1: "a"}},
    ]
    for each in wrong:
        with pytest.raises(UsageError):
            save_to_split_dataset(volumes, tmp_path / "c", **each)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("axes", "units"),
    [
        (("t", "z", "y", "x"), ("", "um", "um", "um")),
        (("Time", "c", "y", "x"), ("", "", "um", "um")),
        (("axis0", "t", "z", "y", "x"), ("", "", "um", "um", "um")),
        (("depth", "x"), ("um", "um")),
        (("t",), ("um",)),
    ],
)
def test_one_unit_is_that_of_the_axes_of_space(axes, units):
    assert describe(len(axes), axes=axes, units="um").units == units
