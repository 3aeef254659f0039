"""A split array is indexed as numpy's arrays are: value, shape, dtype and kind of error."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from haversack.errors import TooLargeError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.planning.indexing import select
from haversack.split.planning.plan import copy, divide

SHAPES = [(7,), (5, 6), (4, 3, 5), (3, 2, 4, 5), (2, 3, 2, 3, 2), (0, 4), (3, 0, 2), (1, 1)]
QUICK = settings(max_examples=400, suppress_health_check=list(HealthCheck), derandomize=False)


def numbers(length):
    """Mostly inside of an axis, sometimes just out of it."""
    inside = st.integers(-length, length - 1) if length else st.just(0)
    return st.one_of(inside, inside, inside, st.integers(-length - 2, length + 1))


@st.composite
def items(draw, shape, axis):
    """One item of an index, meant for one axis."""
    length = shape[min(axis, len(shape) - 1)]
    bound = st.none() | st.integers(-length - 2, length + 2)
    step = st.sampled_from([None, None, 1, 2, 3, -1, -2, -5])
    kind = draw(st.integers(0, 9))
    if kind <= 2:
        return slice(draw(bound), draw(bound), draw(step))
    if kind == 3:
        return draw(numbers(length))
    if kind == 4:
        return draw(st.lists(numbers(length), max_size=4))
    if kind == 5:
        dims = draw(st.sampled_from([(1,), (2,), (2, 1), (1, 3), (0,), ()]))
        dtype = draw(st.sampled_from(["int64", "int8", "uint64"]))
        picks = draw(st.lists(numbers(length), min_size=6, max_size=6))
        if dtype == "uint64":
            picks = [abs(pick) for pick in picks]
        return np.resize(np.array(picks, dtype), dims)
    if kind == 6:
        axes = draw(st.integers(1, max(1, len(shape) - axis)))
        dims = shape[axis : axis + axes] or (length,)
        if draw(st.integers(0, 9)) == 0:
            dims = tuple(n + 1 for n in dims)
        return draw(hnp.arrays(np.bool_, dims))
    odd = [None, Ellipsis, True, False, np.True_, np.array(False), np.int16(0), 1.0, "a", 1 << 70]
    return draw(st.sampled_from([None, Ellipsis, *odd]))


@st.composite
def indices(draw, shape):
    taken, found = 0, []
    for _ in range(draw(st.integers(0, len(shape) + 1))):
        item = draw(items(shape, taken))
        found.append(item)
        if isinstance(item, np.ndarray) and item.dtype == np.bool_:
            taken += item.ndim
        elif item is not None and item is not Ellipsis and not isinstance(item, (bool, np.bool_)):
            taken += 1
    if len(found) == 1 and draw(st.booleans()):
        return found[0]
    return tuple(found)


def outcome(array, index):
    """What indexing gives, or the kind of error."""
    try:
        return array[index]
    except Exception as error:  # noqa: BLE001 (numpy decides which)
        return type(error)


def assert_same(found, expected, index):
    if isinstance(expected, type):
        assert isinstance(found, type), f"{index}: {found!r} instead of {expected}"
        assert issubclass(found, expected), f"{index}: {found} instead of {expected}"
        return
    assert type(found) is type(expected), f"{index}: {found!r} instead of {expected!r}"
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape, index
    np.testing.assert_array_equal(found, expected)


class Cells:
    """An array read cell by cell with the real planner, without files."""

    def __init__(self, data, block, chunk):
        self.data, self.block, self.chunk = data, block, chunk

    def __getitem__(self, index):
        split = SplitDataset.__new__(SplitDataset)
        split._dtype = self.data.dtype
        split._fill = self._fill
        split._shape_full = self.data.shape
        return split._read(select(index, self.data.shape))

    def _fill(self, jobs):
        ((target, everything),) = jobs
        for cell, wanted in divide(everything, self.block):
            block = self.data[cut(cell, self.block)]
            for inner, part in divide(wanted, self.chunk):
                copy(block[cut(inner, self.chunk)], part, target)


def cut(cell, size):
    return tuple(slice(i * n, i * n + n) for i, n in zip(cell, size, strict=True))


@QUICK
@given(st.data())
def test_any_index_gives_what_numpy_gives(data):
    compare(data)


@pytest.mark.slow
@settings(QUICK, max_examples=20_000)
@given(st.data())
def test_twenty_thousand_indices_give_what_numpy_gives(data):
    compare(data)


def compare(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=6))
    array = np.arange(np.prod(shape), dtype="int32").reshape(shape)
    block = tuple(data.draw(st.integers(1, 7)) for _ in shape)
    chunk = tuple(data.draw(st.integers(1, 8)) for _ in shape)
    index = data.draw(indices(shape))
    assert_same(outcome(Cells(array, block, chunk), index), outcome(array, index), index)


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def pair(request, tmp_path_factory):
    """An array and the same on disk."""
    shape = request.param
    array = np.arange(np.prod(shape), dtype="uint16").reshape(shape)
    folder = tmp_path_factory.mktemp("pair") / "array"
    size = tuple(max(1, n // 2) for n in shape)
    return array, save_to_split_dataset(array, folder, block_size=size)


@settings(QUICK, max_examples=60)
@given(st.data())
def test_any_index_reads_from_files_what_numpy_gives(pair, data):
    array, split = pair
    index = data.draw(indices(array.shape))
    assert_same(outcome(split, index), outcome(array, index), index)


def test_what_the_old_package_got_wrong_is_right(saved, volumes):
    wanted: list[Any] = [5, -1, np.uint8(3), slice(None, None, 2), slice(None, None, -1)]
    wanted += [(None, 0), Ellipsis, (), [1, 9], (0, ..., 0), volumes > 250, volumes[:, 0, 0, 0] > 9]
    for index in wanted:
        assert_same(saved[index], volumes[index], index)
    for index in [11, -12, 99, (0, 3)]:
        with pytest.raises(IndexError, match="out of bounds"):
            saved[index]


def test_large_reads_in_threads_are_the_same(tmp_path):
    array = np.random.default_rng(2).integers(0, 9, (24, 300, 400)).astype("uint16")
    split = save_to_split_dataset(array, tmp_path / "array", block_size=(10, None, 250))
    rows = np.random.default_rng(3).integers(-24, 24, 40)
    wanted: list[Any] = [..., (slice(None, None, -3), slice(5, None)), rows, (rows[:, None], 7)]
    for index in wanted:
        assert_same(split[index], array[index], index)


def test_a_split_array_is_a_sequence_and_an_array(saved, volumes):
    assert len(saved) == 11
    for found, expected in zip(saved, volumes, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.asarray(saved), volumes)
    assert np.asarray(saved, dtype="float32").dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.array(saved, copy=False)
    assert (saved.ndim, saved.size, saved.nbytes) == (4, volumes.size, volumes.nbytes)
    assert volumes.max() == np.max(saved)


def test_an_index_that_memory_cannot_hold_is_told(tmp_path):
    split = save_to_split_dataset(np.arange(12).reshape(6, 2), tmp_path / "a")
    many, line = np.broadcast_to(np.int8(1), (10**7, 10**7)), np.broadcast_to(np.int8(1), 10**16)
    for read in (
        lambda: split[many],
        lambda: split[many, 0],
        lambda: split.vindex[many, many],
        lambda: split.oindex[line],
        lambda: split.view[line],
        lambda: split.view[::2][many],
        lambda: split.read_many([0, many]),
        lambda: split.__setitem__(many, 1),
    ):
        with pytest.raises(TooLargeError, match="index names more elements than memory can hold"):
            read()
