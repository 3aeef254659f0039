"""Many boxes read at once: planned for together, each row of a chunk read one time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.errors import FormatError, IntegrityError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.results import patches, tasks
from haversack.split.results.patches import Patches

from .conftest import save_tiled

# Shape, dtype, and the shapes of blocks and tiles: see test_gathering.
ARRAYS = [
    ((7, 3, 26, 45), "<u2", (4, 2, None, None), (3, 1, 8, 16)),
    ((9, 20, 33), ">f4", (5, None, None), (4, 8, 33)),
    ((40, 50, 24), "u1", (25, None, None), (10, 16, 24)),
    ((6, 2, 4, 18, 30), "<i8", (3, None, 2, None, None), (2, 1, 2, 9, 30)),
]


@pytest.fixture(scope="module", params=ARRAYS, ids=lambda array: str(array[0]))
def pair(request, tmp_path_factory):
    """An array of many small tiles, and the same on disk; parts of it are planned for at once."""
    array, dataset = save_tiled(request.param, tmp_path_factory.mktemp("pair") / "array")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "_MANY", 1)
        patch.setattr(patches, "_LEAST", 3 * dataset._block(0).rows.nbytes)
        yield array, dataset


@pytest.fixture
def planned(monkeypatch):
    """The rows that were planned for at once, as they are read."""
    found: list[Patches] = []
    init = Patches.__init__

    def seen(self, *arguments):
        init(self, *arguments)
        found.append(self)

    monkeypatch.setattr(Patches, "__init__", seen)
    return found


@st.composite
def boxes(draw, shape):
    """Indices of integers and slices, most of them near each other."""
    items: list[Any] = []
    for length in shape[: draw(st.integers(0, len(shape)))]:
        start = draw(st.integers(0, length - 1))
        stop = draw(st.integers(start, length))
        step = draw(st.sampled_from([None, 1, 1, 1, -1]))
        backwards = slice(stop, start, -1) if stop < length else slice(None, start, -1)
        items.append(draw(st.sampled_from([start, slice(start, stop), slice(None)])))
        if step == -1 and isinstance(items[-1], slice):
            items[-1] = backwards
    return tuple(items)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_each_box_is_what_numpy_gives(pair, data):
    array, dataset = pair
    several = data.draw(st.lists(boxes(array.shape), min_size=1, max_size=12))
    for found, index in zip(dataset.read_many(several), several, strict=True):
        np.testing.assert_array_equal(found, array[index])
        assert np.asarray(found).dtype == array[index].dtype


def test_many_boxes_are_planned_for_at_once(pair, planned):
    array, dataset = pair
    several = [
        np.s_[t : t + 2, ..., 1:-1] if array.ndim > 1 else np.s_[t : t + 2] for t in range(6)
    ]
    for found, index in zip(dataset.read_many(several), several, strict=True):
        np.testing.assert_array_equal(found, array[index])
    assert planned


def test_a_row_that_many_boxes_need_is_read_once(pair, planned):
    _, dataset = pair
    corner = (slice(0, 1),) * len(dataset.shape)
    dataset.read_many([corner] * 50)
    (task,) = planned
    assert task.nbytes == dataset._block(0).rows.nbytes


def test_what_has_steps_or_points_is_right_too(pair, planned):
    array, dataset = pair
    several: list[Any] = [np.s_[0], np.s_[1:3], np.s_[::2], np.s_[[3, 1]]]
    for found, index in zip(dataset.read_many(several), several, strict=True):
        np.testing.assert_array_equal(found, array[index])
    assert not planned  # for the block of all four


def test_a_damaged_row_is_named(pair):
    array, dataset = pair
    block = dataset._block(0)
    good = block.path.read_bytes()
    at, _ = block.rows.marks(0, range(1))
    block.path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    corner = (slice(0, 1),) * array.ndim
    try:
        with pytest.raises(IntegrityError, match=f"0000.h5: .*the Blosc block at byte {at} does"):
            SplitDataset(dataset.root).read_many([corner, np.s_[-1:], np.s_[-1:]])
    finally:
        block.path.write_bytes(good)


def test_a_block_that_is_too_small_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_MANY", 1)
    dataset = save_to_split_dataset(
        np.zeros((6, 64, 64), "u2"), tmp_path / "a", block_size=(3, 64, 64)
    )
    block = dataset._block(0)
    monkeypatch.setattr(block, "shape", (2, 64, 64))
    with pytest.raises(FormatError, match="too small for what its array has there"):
        dataset.read_many([np.s_[2, :4, :4]] * 3)
