"""Views, blocks, the other ways to index, and reads into memory that is there."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.errors import UsageError
from haversack.split import save_to_split_dataset

from .test_indexing import assert_same, indices, outcome

QUICK = settings(max_examples=40, suppress_health_check=list(HealthCheck))
SLOW = settings(QUICK, max_examples=10_000)
SHAPE = (5, 4, 3, 6)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    array = np.arange(np.prod(SHAPE), dtype="uint16").reshape(SHAPE)
    folder = tmp_path_factory.mktemp("pair") / "array"
    return array, save_to_split_dataset(array, folder, block_size=(2, None, 2, 4))


@st.composite
def windows(draw, shape):
    """An index of integers and slices."""
    items: list[object] = []
    for length in shape:
        bound = st.none() | st.integers(-length - 1, length + 1)
        step = st.sampled_from([None, 1, 2, -1, -3])
        whole = st.builds(slice, bound, bound, step)
        items.append(draw(whole | st.integers(-length, length - 1) if length else whole))
    first = draw(st.integers(0, len(items)))
    items[first : draw(st.integers(first, len(items)))] = [Ellipsis]
    return tuple(items)


def compare_views(pair, data):
    array, seen = pair
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(windows(array.shape))
        array, seen = array[index], seen.view[index]
    assert seen.shape == np.shape(array)
    if np.ndim(array):
        index = data.draw(indices(array.shape))
        assert_same(outcome(seen, index), outcome(array, index), index)
    np.testing.assert_array_equal(np.asarray(seen), array)


@QUICK
@given(st.data())
def test_views_of_views_read_what_numpy_gives(pair, data):
    compare_views(pair, data)


@pytest.mark.slow
@SLOW
@given(st.data())
def test_ten_thousand_views_read_what_numpy_gives(pair, data):
    compare_views(pair, data)


@st.composite
def crossings(draw, shape):
    items: list[object] = []
    for length in shape[: draw(st.integers(0, len(shape)))]:
        inside = st.integers(-length, length - 1)
        mask = st.lists(st.booleans(), min_size=length, max_size=length)
        kinds = st.one_of(
            inside, st.lists(inside, max_size=4), mask, st.just(slice(None, None, -2))
        )
        items.append(draw(kinds))
    return tuple(items)


def crossed(array, index):
    """Index each axis on its own, from the last one on."""
    for axis in range(len(index))[::-1]:
        array = array[(*(slice(None),) * axis, index[axis])]
    return array


def compare_crossings(pair, data):
    array, split = pair
    index = data.draw(crossings(SHAPE))
    np.testing.assert_array_equal(split.oindex[index], crossed(array, index))
    found, expected = split.view[::-1].oindex[index], crossed(array[::-1], index)
    assert_same(found, expected, index)


@QUICK
@given(st.data())
def test_oindex_takes_each_axis_on_its_own(pair, data):
    compare_crossings(pair, data)


@pytest.mark.slow
@SLOW
@given(st.data())
def test_ten_thousand_crossings_are_right(pair, data):
    compare_crossings(pair, data)


@pytest.mark.parametrize(
    "index", [5, -6, [0, 5], [[1]], "a", 1.0, None, (0, 0, 0, 0, 0), [True], (..., ...), 1 << 70]
)
def test_oindex_refuses_what_is_no_grid(pair, index):
    with pytest.raises(IndexError):
        pair[1].oindex[index]


def test_vindex_puts_points_first(pair):
    array, split = pair
    for index in [(slice(None), [1, 2], slice(None), [5, 0]), ([[0], [4]], 1), (..., [1, 1])]:
        found = split.vindex[index]
        lists = [axis for axis in index if isinstance(axis, list)]
        assert found.shape[: np.ndim(lists[0])] == np.broadcast_shapes(*map(np.shape, lists))
    expected = np.moveaxis(array[:, [1, 2], :, [5, 0]], 0, 0)
    np.testing.assert_array_equal(split.vindex[:, [1, 2], :, [5, 0]], expected)
    expected = np.moveaxis(array[:, :, [2, 0], [5, 0]], 2, 0)
    np.testing.assert_array_equal(split.vindex[:, :, [2, 0], [5, 0]], expected)
    assert split.vindex[0, 0, 0, 0] == array[0, 0, 0, 0]


def test_blocks_are_views_in_the_order_of_the_files(pair):
    array, split = pair
    assert split.blocks.shape == (3, 1, 2, 2)
    assert len(split.blocks) == 12
    for view, (_, where) in zip(split.blocks, split.slices(), strict=True):
        np.testing.assert_array_equal(view, array[where])
    np.testing.assert_array_equal(split.blocks[1:, 0, -1], array[2:, :, 2:])
    assert split.blocks[5:].shape[0] == 0
    with pytest.raises(IndexError):
        split.blocks[3]
    with pytest.raises(IndexError, match="without a step"):
        split.blocks[::-1]


@QUICK
@given(st.data())
def test_what_a_view_sees_of_blocks_covers_it_once(pair, data):
    array, split = pair
    index = data.draw(windows(array.shape))
    part, view = array[index], split.view[index]
    if not np.ndim(part):
        return
    seen = np.full(part.shape, 0)
    for number, (region, total) in enumerate(view.map_blocks(np.sum)):
        seen[region] += 1
        assert total == part[region].sum()
        cell = np.unravel_index(number, view.blocks.shape)
        np.testing.assert_array_equal(view.blocks[cell], part[region])
    assert (seen == 1).all()
    assert len(view.blocks) == len(list(view.blocks)) == len(list(view.map_blocks(np.sum)))


@pytest.mark.parametrize(
    "index",
    [np.s_[:, 1], np.s_[1:, ..., 1:], np.s_[::-2, :, 1:, ::3], np.s_[3:, :, ::-1], np.s_[2, 1, 1]],
)
def test_a_mapped_view_is_saved_in_even_blocks(pair, tmp_path, index):
    array, split = pair
    view = split.view[index]
    made = view.map_blocks(np.negative, to=tmp_path / "made")
    np.testing.assert_array_equal(made, -array[index])
    assert made.resolution == view.resolution
    smooth = view.map_blocks(lambda block: np.sort(block, 0), overlap=made.shape, to=tmp_path / "s")
    np.testing.assert_array_equal(smooth, np.sort(array[index], 0))
    assert smooth.verify() == []


def test_a_view_is_a_sequence_and_keeps_the_resolution(tmp_path, pair):
    array, _ = pair
    split = save_to_split_dataset(array, tmp_path / "a", resolution=(1, 5, 0.5, 0.5))
    view = split.view[1:, 2, ::2]
    assert view.resolution == (1, 1.0, 0.5)
    assert (len(view), view.ndim, view.dtype) == (4, 3, array.dtype)
    assert view.nbytes == array[1:, 2, ::2].nbytes
    np.testing.assert_array_equal(list(view), array[1:, 2, ::2])
    assert "<table>" in view._repr_html_()
    with pytest.raises(IndexError, match="view takes integers and slices"):
        split.view[[1, 2]]
    with pytest.raises(TypeError):
        len(view.view[0, 0, 0])


def test_reads_fill_the_memory_that_is_given(pair):
    array, split = pair
    for index in [..., (slice(None, None, -1), 2), ([1, 4], [2, 2]), (1, 1, 1, 1), array > 9]:
        expected = array[index]
        out = np.zeros(np.shape(expected), array.dtype)
        assert split.read(index, out=out) is out
        np.testing.assert_array_equal(out, expected)
        turned = np.zeros(np.shape(expected)[::-1], array.dtype).T
        np.testing.assert_array_equal(split.read(index, out=turned), expected)
    frozen = np.zeros(SHAPE, array.dtype)
    frozen.flags.writeable = False
    for wrong in (np.zeros(3, array.dtype), np.zeros(SHAPE), frozen):
        with pytest.raises(UsageError, match="a writable array of uint16 with shape"):
            split.read(out=wrong)


@QUICK
@given(st.data())
def test_many_reads_at_once_are_the_same(pair, data):
    array, split = pair
    for one, other in ((split, array), (split.view[:, 1], array[:, 1])):
        wanted = [*data.draw(st.lists(windows(other.shape), max_size=5)), (..., [0, 3])]
        found = one.read_many(wanted)
        assert len(found) == len(wanted)
        for each, index in zip(found, wanted, strict=True):
            assert_same(each, other[index], index)


def test_many_reads_decode_each_chunk_once(pair, monkeypatch):
    _, split = pair
    decoded = []
    fetch = type(split._block(0)).fetch

    def counted(block, wanted):
        decoded.extend((block.path, cell) for cell, _ in wanted)
        return fetch(block, wanted)

    monkeypatch.setattr(type(split._block(0)), "fetch", counted)
    split.read_many([(t, slice(None), y) for t in range(5) for y in range(3)])
    assert decoded
    assert len(decoded) == len(set(decoded))


FEW_FILES = """
import resource, sys
import numpy as np
from haversack.split import SplitDataset
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
split = SplitDataset(sys.argv[1])
assert (split[:, 3] == np.arange(0, 3000, 5) + 3).all()
assert (split[...].ravel() == np.arange(3000)).all()
assert [int(found) for found in split.read_many([(t, 1) for t in range(600)])][599] == 2996
"""


def test_far_more_blocks_than_files_may_be_open_are_read(tmp_path):
    save_to_split_dataset(np.arange(3000).reshape(600, 5), tmp_path / "many", (1, None))
    subprocess.run([sys.executable, "-c", FEW_FILES, tmp_path / "many"], check=True)


def test_every_axis_is_iterated_as_numpy_does(saved, volumes):
    for found, expected in zip(saved.view[::-1, 1], volumes[::-1, 1], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("step", [10**30, -(10**30)])
def test_a_step_beyond_any_axis_in_a_view_of_a_view_is_as_in_numpy(tmp_path, step):
    array = np.arange(240).reshape(4, 6, 10)
    ds = save_to_split_dataset(array, tmp_path / "ds", (3, None, 4))
    for first in ((..., slice(None, None, step)), (slice(1, None, 2),)):
        view, part = ds.view[first], array[first]
        for index in ((..., slice(None, None, step)), ([0, -1], ..., slice(None, None, step))):
            np.testing.assert_array_equal(view[index], part[index])
            np.testing.assert_array_equal(view[..., [0, 0]], part[..., [0, 0]])


def test_brackets_of_another_meaning_are_pickled(saved, volumes):
    sent = pickle.dumps([saved.oindex, saved.vindex, saved.view, saved.view[2:].oindex])
    oindex, vindex, view, part = pickle.loads(sent)
    np.testing.assert_array_equal(oindex[[3, 1], :, 2], volumes[[3, 1], :, 2])
    np.testing.assert_array_equal(vindex[[3, 1], [0, 2]], volumes[[3, 1], [0, 2]])
    np.testing.assert_array_equal(view[::-1][0], volumes[-1])
    np.testing.assert_array_equal(part[[0], 1], volumes[[2], 1])
