"""An array of any size is saved with a part of it in memory, also when no block size is given."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.convert import export_array, import_array
from haversack.split import chunking, save_to_split_dataset
from haversack.split.chunking import default_block_shape

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


@given(st.lists(st.integers(1, 1 << 40), max_size=5), st.sampled_from([1, 2, 8, 16]))
def test_blocks_are_as_large_as_they_may_be(shape, itemsize):
    block = default_block_shape(tuple(shape), itemsize)
    sizes = np.array(block, object)
    assert len(block) == len(shape)
    assert np.prod(sizes, initial=itemsize) <= MOST
    assert all(1 <= size <= length for size, length in zip(block, shape, strict=True))
    cut = [n for n, (size, length) in enumerate(zip(block, shape, strict=True)) if size < length]
    assert all(size == 1 for size in block[: max(cut, default=0)])
