"""An array of any size is saved with a part of it in memory, also when no block size is given."""

import math

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.convert import export_array, import_array
from haversack.split import save_to_split_dataset
from haversack.split.chunks import chunking
from haversack.split.chunks.chunking import default_block_shape

SHAPE = (40, 6, 20)
MOST = 2000  # bytes


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(chunking, "_BLOCK_BYTES", MOST)


@pytest.fixture
def array():
    return np.arange(np.prod(SHAPE), dtype="u2").reshape(SHAPE)


class Source:
    """An array that notes how much is asked of it at once."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, 0

    def __getitem__(self, index):
        self.asked = max(self.asked, self.array[index].nbytes)
        return self.array[index]


def test_no_more_than_a_block_is_asked_of_the_data(tmp_path, array):
    source = Source(array)
    saved = save_to_split_dataset(source, tmp_path / "a")
    assert saved.shape_block == (8, 6, 20)
    assert source.asked == 8 * 6 * 20 * 2 <= MOST
    np.testing.assert_array_equal(saved, array)
    wide = Source(array.reshape(2, -1))
    assert save_to_split_dataset(wide, tmp_path / "wide").shape_block == (1, 800)
    assert wide.asked <= MOST


def test_a_crop_is_cut_as_what_it_leaves(tmp_path, array):
    saved = save_to_split_dataset(array, tmp_path / "a", crop=((1, 0), (0, 0), (0, 18)))
    assert saved.shape_block == saved.shape == (39, 6, 2)


@pytest.mark.parametrize("name", ["a.npy", "a.h5", "a.zarr"])
def test_files_are_imported_block_by_block(tmp_path, array, name):
    if name == "a.zarr":
        pytest.importorskip("zarr")
    saved = save_to_split_dataset(array, tmp_path / "saved", (40, None, None))
    made = import_array(export_array(saved, tmp_path / name), tmp_path / "made")
    assert made.shape_block == (8, 6, 20)
    np.testing.assert_array_equal(made, array)


def test_views_are_cut_and_arrays_keep_their_blocks(tmp_path, array):
    saved = save_to_split_dataset(array, tmp_path / "a", (40, None, None))
    assert save_to_split_dataset(saved.view[::-1], tmp_path / "view").shape_block == (8, 6, 20)
    assert save_to_split_dataset(saved, tmp_path / "anew").shape_block == SHAPE
    with h5py.File(tmp_path / "small.h5", "w") as hdf5:
        hdf5["a"] = array[:3]
    assert import_array(tmp_path / "small.h5", tmp_path / "small").n_blocks == 1


def test_chunks_of_the_data_are_not_cut(tmp_path, array):
    with h5py.File(tmp_path / "a.h5", "w") as hdf5:
        hdf5.create_dataset("a", data=array, chunks=(7, 2, 20))
        hdf5.create_dataset("traces", data=array, chunks=(40, 1, 7))
    rows = import_array(tmp_path / "a.h5", tmp_path / "rows", dataset="a")
    traces = import_array(tmp_path / "a.h5", tmp_path / "traces", dataset="traces")
    assert (rows.shape_block, traces.shape_block) == ((7, 6, 20), (40, 1, 20))
    np.testing.assert_array_equal(rows, traces)


@given(st.data())
def test_blocks_are_as_large_as_they_may_be(data):
    shape = data.draw(st.lists(st.integers(1, 1 << 40), max_size=5).map(tuple))
    itemsize = data.draw(st.sampled_from([1, 2, 8, 16]))
    some = st.tuples(*(st.integers(1, 9) for _ in shape))
    chunks = data.draw(st.none() | some)
    block = default_block_shape(shape, itemsize, chunks)
    assert len(block) == len(shape)
    assert math.prod(block) * itemsize <= MOST
    assert all(1 <= size <= length for size, length in zip(block, shape, strict=True))
    steps = tuple(map(min, chunks or (1,) * len(shape), shape))
    if math.prod(steps) * itemsize > MOST:
        steps = (1,) * len(shape)
    axes = [*zip(block, steps, shape, strict=True)]
    assert all(size % step == 0 or size == length for size, step, length in axes)
    cut = [axis for axis, (size, _, length) in enumerate(axes) if size < length]
    assert block[: max(cut, default=0)] == steps[: max(cut, default=0)]
    if cut:  # one block fewer would make them too large
        size, step, length = axes[cut[-1]]
        fewer = -(-length // size) - 1
        larger = math.ceil(math.ceil(length / step) / fewer) * step
        assert math.prod(block) // size * larger * itemsize > MOST


@pytest.mark.parametrize("chunks", [((3, 3), (6,)), (4,), (0, 2), "auto", (2.0, 1)])
def test_chunks_of_another_kind_have_no_say(chunks):
    assert default_block_shape((2000, 10), 1, chunks) == (200, 10)


@pytest.mark.parametrize("shape", [(7, 0), (3, 0, 2), (7, 0, 0), (0, 0, 0), (0, 7), (0,)])
@pytest.mark.parametrize("padding", [0, 1])
def test_an_array_of_no_elements_has_blocks_by_default(tmp_path, shape, padding):
    array = np.zeros(shape, "i2")
    saved = save_to_split_dataset(array, tmp_path / "ds", padding=padding)
    assert min(saved.shape_block) >= 1
    assert (saved[...].shape, saved.dtype, saved.verify()) == (shape, array.dtype, [])
    again = save_to_split_dataset(saved, tmp_path / "again")
    assert again[...].shape == shape


def test_a_dask_array_of_no_elements_has_blocks(tmp_path):
    dask = pytest.importorskip("dask.array")
    saved = save_to_split_dataset(dask.zeros((7, 0), dtype="u1"), tmp_path / "ds")
    assert saved[...].shape == (7, 0)
