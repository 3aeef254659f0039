"""Of many tiles, those that are wanted whole are decoded, or read, into the result itself."""

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.errors import HaversackError, IntegrityError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.blockfiles import encoding
from haversack.split.chunks import blosc
from haversack.split.results import tiles
from haversack.split.results.gathering import Gathering
from haversack.split.results.scattering import Scattering
from haversack.storage.calls import calls

from .conftest import save_tiled

# Shape, dtype, and the shapes of blocks and tiles: whole lines, cut lines, tiles that reach over
# the edge, planes of one tile, five axes.
ARRAYS = [
    ((7, 3, 24, 40), "<u2", (4, None, None, None), (2, 1, 8, 40)),
    ((7, 3, 26, 45), "<u2", (4, 2, None, None), (3, 1, 8, 16)),
    ((9, 20, 33), ">f4", (5, None, None), (4, 8, 33)),
    ((6, 16, 16), "<i8", (6, None, None), (2, 16, 16)),
    ((6, 2, 4, 18, 30), "u1", (3, None, 2, None, None), (2, 1, 2, 9, 30)),
]


COMPRESSIONS = ["blosc", None]


@pytest.fixture
def by_tiles(monkeypatch):
    """However few rows are wanted of however few tiles."""
    monkeypatch.setattr(tiles, "_FEW", 0)
    monkeypatch.setattr(tiles, "_SHORT", 1 << 30)


@pytest.fixture(scope="module", params=COMPRESSIONS)
def compression(request):
    return request.param


@pytest.fixture(scope="module", params=ARRAYS, ids=lambda array: str(array[0]))
def written(request, compression, tmp_path_factory):
    """An array of many small tiles, and the same on disk."""
    folder = tmp_path_factory.mktemp("pair") / "array"
    return save_tiled(request.param, folder, compression)


@pytest.fixture
def pair(written, by_tiles):
    return written


@st.composite
def ranges(draw, shape):
    """An index of integers and slices."""
    items = []
    for length in shape[: draw(st.integers(0, len(shape)))]:
        bound = st.none() | st.integers(-length - 1, length + 1)
        step = st.sampled_from([None, None, None, 1, 2, 7, -1, -3])
        kinds = st.integers(-length, length - 1), st.builds(slice, bound, bound, step)
        items.append(draw(st.one_of(*kinds, st.just(slice(None)))))
    return tuple(items)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_part_is_what_numpy_gives(pair, data):
    array, dataset = pair
    index = data.draw(ranges(array.shape))
    np.testing.assert_array_equal(dataset[index], array[index])


def test_without_the_library_it_is_the_same(pair, monkeypatch):
    array, dataset = pair
    monkeypatch.setattr(blosc, "_library", None)
    monkeypatch.setattr(blosc, "_idle", deque())
    np.testing.assert_array_equal(dataset[...], array)
    np.testing.assert_array_equal(dataset[1:, ..., 3:-2], array[1:, ..., 3:-2])


def test_it_fills_an_array_that_is_there(pair):
    array, dataset = pair
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 77, array.dtype)
    for out in (np.empty_like(array), wide[..., ::2], wide[..., : array.shape[-1]]):
        assert dataset.read(out=out) is out
        np.testing.assert_array_equal(out, array)


def test_of_many_small_regions_at_once_each_is_right(pair):
    array, dataset = pair
    several: list[Any] = [np.s_[1], np.s_[:, 1], np.s_[-2:, ..., 2:9], np.s_[1, 0], np.s_[[2, 0]]]
    for found, index in zip(dataset.read_many(several), several, strict=True):
        np.testing.assert_array_equal(found, array[index])


def test_what_is_not_compressed_is_right_however_the_system_reads(pair, monkeypatch):
    """It may give less than is asked for, or have no call that fills several arrays."""
    array, dataset = pair

    def less(descriptor, buffers, offset, real=calls.preadv):
        return real(descriptor, [buffers[0][: max(1, len(buffers[0]) // 3)]], offset)

    for preadv in (less, None):
        with monkeypatch.context() as patch:
            patch.setattr(calls, "preadv", preadv)
            np.testing.assert_array_equal(dataset[...], array)
            np.testing.assert_array_equal(dataset[1:, ..., 3:-2], array[1:, ..., 3:-2])


def test_whole_tiles_need_no_memory_of_ours(tmp_path, monkeypatch, compression):
    """Planes, planes over time and all of an array whose lines are not too long."""
    array = np.random.default_rng(4).poisson(40, (20, 4, 64, 640)).astype("uint16")
    dataset = save_to_split_dataset(
        array, tmp_path / "array", block_size=(10, None, None, None), compression=compression
    )

    def copied(*_):
        raise AssertionError("a tile was decoded elsewhere, and copied")

    monkeypatch.setattr(Gathering, "_in_part", copied)
    monkeypatch.setattr(Scattering, "_in_part", copied)
    index: Any
    for index in (..., np.s_[:, 1], np.s_[3], np.s_[2:17, 1:3], np.s_[::3, :, 16:48]):
        np.testing.assert_array_equal(dataset[index], array[index])
    with pytest.raises(AssertionError, match="copied"):
        dataset[:, :, 5:]
    whole = np.full((*array.shape, 2), 7, array.dtype)
    np.testing.assert_array_equal(dataset.read(out=whole[..., 0]), array)
    assert (whole[..., 1] == 7).all()


def test_a_flipped_byte_is_told_or_harmless(tmp_path, monkeypatch, by_tiles, compression):
    monkeypatch.setattr(encoding, "chunk_shape_for", lambda *_: (2, 8, 32))
    monkeypatch.setattr(encoding, "blosc_block_size", lambda *_: 512)
    array = (np.arange(3 * 16 * 64) // 5 % 90).astype("uint16").reshape(3, 16, 64)
    folder = tmp_path / "array"
    save_to_split_dataset(array, folder, block_size=(3, None, None), compression=compression)
    path = folder / "0000.h5"
    good, told = path.read_bytes(), []
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
        try:
            found = SplitDataset(folder)[...]
        except HaversackError as error:
            told.append(str(error))
        else:
            np.testing.assert_array_equal(found, array)
    assert len(told) > 100
    assert all(str(path) in text for text in told)


def test_a_damaged_row_is_named(pair, tmp_path):
    _, dataset = pair
    block = dataset._block(0)
    rows, path = block.rows, block.path
    assert rows is not None
    good = path.read_bytes()
    at, _ = rows.marks(2, range(1, 2))
    path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    try:
        where = block._chunks.span(tuple(map(int, np.unravel_index(2, rows.grid))))
        with pytest.raises(IntegrityError) as caught:
            SplitDataset(dataset.root)[...]
    finally:
        path.write_bytes(good)
    assert f"the chunk that holds {where} is damaged: the Blosc block at byte {at}" in str(
        caught.value
    )
