"""Blocks cut an array as the old package's did, and as its documents said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.errors import NoBlockError, UsageError
from haversack.split import Blocks, save_to_split_dataset


@given(st.data())
def test_blocks_cover_each_element_once(data):
    full = tuple(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)))
    size = tuple(data.draw(st.integers(1, 10)) for _ in full)
    crop = tuple(
        (data.draw(st.integers(0, n // 2)), data.draw(st.integers(0, n // 3))) for n in full
    )
    blocks = Blocks(full, size, crop=crop)
    seen = np.zeros(full, int)
    for cell, where in blocks.slices():
        seen[where] += 1
        assert blocks[blocks.cartesian_to_linear(cell)] == where
    inside = tuple(slice(a, n - b) for n, (a, b) in zip(full, crop, strict=True))
    assert (seen[inside] == 1).all()
    assert seen.sum() == np.prod(blocks.shape_cropped)


def test_padding_reaches_into_the_next_block():
    blocks = Blocks((6, 8), (4, 3), padding=1)
    assert [bounds for _, bounds in blocks.slices(as_tuples=True)][:3] == [
        ((0, 5), (0, 4)),
        ((0, 5), (3, 7)),
        ((0, 5), (6, 8)),
    ]
    assert blocks.block_ends[1, 0].tolist() == [6, 4]


def test_each_way_to_say_the_block_size():
    assert Blocks((6, 8)).shape_block == (6, 8)
    assert Blocks((6, 8), (None, 3)).shape_block == (6, 3)
    assert Blocks((6, 8), blocks_number=3).shape_block == (2, 8)
    assert Blocks((6, 8), dim_split=1, blocks_number=3).shape_block == (6, 3)
    assert Blocks((6, 8), dim_split=1, shape_block=2).shape_block == (6, 2)
    assert Blocks((6, 8), (40, 30)).shape_block == (6, 8)
    assert Blocks((6, 8), (4,)).shape_block == Blocks((6, 8), 4).shape_block == (4, 8)


STACK = (100, 20, 40, 10)


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape_block": (None, 10, 20, None)},
        {"shape_block": (None, np.int64(10), 20)},
        {"blocks_number": (1, 2, 2, 1)},
        {"blocks_number": np.array([1, 2, 2])},
        {"dim_split": (1, 2), "shape_block": (10, 20)},
        {"dim_split": [-2, 1], "shape_block": (10, 20)},
        {"dim_split": (1, 2), "shape_block": (5, 10, 20, 10)},
        {"dim_split": (1, 2), "blocks_number": (2, 2)},
        {"dim_split": (1, 2), "blocks_number": (1, 2, 2, 1)},
        {"dim_split": (1, 2), "blocks_number": 2},
        {"shape_block": (None, 3, 3, None), "blocks_number": 2},
        {"dim_split": (1, 2), "shape_block": (3, 3, 3, 3), "blocks_number": 2},
    ],
)
def test_the_old_documents_ways_to_cut_the_same_axes(arguments):
    cut = dict.fromkeys(Blocks(STACK, **arguments).dim_split, 0)
    blocks = Blocks(STACK, **arguments, padding=3)
    assert blocks.shape_block == (100, 10, 20, 10)
    assert all(blocks.shape_grid[axis] == 1 for axis in {*range(4)} - {*cut})
    assert blocks.serialize()["padding"] == [3 if axis in cut else 0 for axis in range(4)]
    assert {1, 2} <= {*cut}


def test_only_axes_that_are_cut_are_padded():
    assert Blocks(STACK, (10, 5, 20, 10), dim_split=0, padding=2).padding == (2, 0, 0, 0)
    assert Blocks(STACK, (10, 5), padding=np.int64(2)).padding == (2, 2, 0, 0)
    assert Blocks(STACK, (None, 5), padding=(9, 1, 9, 9)).padding == (0, 1, 0, 0)
    assert Blocks(STACK, dim_split=(1, 2), blocks_number=2, padding=(1, 3)).padding == (0, 1, 3, 0)
    assert Blocks(STACK, padding=2).padding == (0, 0, 0, 0)


def test_neighbours_are_on_all_sides():
    blocks = Blocks((9, 9, 4), (3, 3, 4))
    assert blocks.neighbour_blocks(4).tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert blocks.neighbour_blocks(4, dims=(0,)).tolist() == [1, 7]
    assert blocks.neighbour_blocks(4, 0).tolist() == [1, 7]
    assert blocks.neighbour_blocks(4, dims=-1).tolist() == []
    assert blocks.neighbour_blocks(0).tolist() == [1, 3, 4]
    with pytest.raises(UsageError, match="axes"):
        blocks.neighbour_blocks(0, 3)


def test_regions_and_points_are_found():
    blocks = Blocks((9, 9, 4), (3, 3, 4))
    assert blocks.blocks_to_take((3, 0, 0), (6, 1, 1)) == (
        [(1, 2), (0, 1), (0, 1)],
        [0, 0, 0],
        [3, 1, 1],
    )
    assert blocks.block_containing_coords((3, 8, 0)) == (1, 2, 0)
    assert blocks.linear_to_cartesian(7) == (2, 1, 0)
    assert blocks.block_containing_coords((2.5, 8.9, 0.0)) == (0, 2, 0)
    assert blocks.blocks_to_take((8, 0, 0), (12, 1, 1))[0] == [(2, 3), (0, 1), (0, 1)]
    assert blocks.drop_dim(2).shape_full == (9, 9)
    with pytest.raises(UsageError, match="axes"):
        blocks.drop_dim(3)


def test_each_block_contains_its_centre():
    for blocks in (Blocks((9, 10, 4), (3, 4, 4)), Blocks((9,), (4,), crop=((2, 1),))):
        centres = blocks.centres()
        for cell in np.ndindex(blocks.shape_grid):
            assert blocks.block_containing_coords(centres[cell]) == cell


def test_numbers_and_places_of_many_blocks_are_found_at_once():
    blocks = Blocks((9, 9, 4), (3, 3, 4))
    cells = blocks.linear_to_cartesian(np.arange(9))
    np.testing.assert_array_equal(cells[1], np.arange(9) % 3)
    np.testing.assert_array_equal(blocks.cartesian_to_linear(cells), np.arange(9))
    assert blocks[(1, 2, 0)] == blocks[5] == blocks[np.int64(5)]


@pytest.mark.parametrize(
    "look",
    [
        lambda blocks: blocks[9],
        lambda blocks: blocks[-1],
        lambda blocks: blocks[0, 0, 1],
        lambda blocks: blocks[0:2],
        lambda blocks: blocks.linear_to_cartesian(-1),
        lambda blocks: blocks.linear_to_cartesian(1.0),
        lambda blocks: blocks.cartesian_to_linear((0, 0)),
        lambda blocks: blocks.cartesian_to_linear((0, -1, 0)),
        lambda blocks: blocks.neighbour_blocks(9),
        lambda blocks: blocks.block_containing_coords((9, 0, 0)),
        lambda blocks: blocks.block_containing_coords((0, -0.1, 0)),
        lambda blocks: blocks.block_containing_coords((0, np.nan, 0)),
        lambda blocks: blocks.block_containing_coords((0, 0)),
    ],
)
def test_a_block_that_is_not_there_is_an_index_error_and_the_old_value_error(look):
    with pytest.raises(NoBlockError) as told:
        look(Blocks((9, 9, 4), (3, 3, 4)))
    assert isinstance(told.value, IndexError)
    assert isinstance(told.value, ValueError)
    blocks = Blocks((9, 9, 4), (3, 3, 4))
    assert len(list(blocks)) == 9  # type: ignore[call-overload]


def test_a_split_array_is_its_blocks(tmp_path):
    made = save_to_split_dataset(np.zeros(STACK, "u1"), tmp_path / "a", (50, 10))
    blocks = Blocks(STACK, (50, 10, 40, 10))
    assert isinstance(made, Blocks)
    assert made.dim_split == blocks.dim_split == (0, 1, 2, 3)
    assert made.serialize() == blocks.serialize()
    assert made.drop_dim(0).shape_full == STACK[1:]
    assert made.linear_to_cartesian(3) == (1, 1, 0, 0)
    with pytest.raises(AttributeError):
        made.shape_block = (1, 1, 1, 1)


def test_a_change_keeps_what_it_does_not_name():
    blocks = Blocks((6, 8), (4, None), padding=1)
    blocks.crop = ((3, 0), (0, 0))
    assert (blocks.n_blocks, blocks[0]) == (1, (slice(3, 6), slice(0, 8)))
    blocks.crop = None
    assert (blocks.shape_block, blocks.padding, blocks.n_blocks) == ((4, 8), (1, 0), 2)
    blocks.shape_full = (12, 16)
    assert (blocks.shape_grid, blocks.dim_split) == ((3, 2), (0,))
    for name, value in [("shape_full", (3,)), ("crop", ((0, 0),)), ("padding", -1)]:
        with pytest.raises(UsageError):
            setattr(blocks, name, value)
    assert blocks.serialize()["shape_full"] == [12, 16]


def test_changing_one_thing_lays_the_blocks_out_anew():
    blocks = Blocks((6, 8), (4, 3))
    blocks.shape_block = (3, 8)
    assert blocks.n_blocks == 2
    blocks.crop = ((1, 0), (0, 0))
    assert (blocks.shape_cropped, blocks.starts) == ((5, 8), (1, 0))
    blocks.padding = 1
    assert blocks.padding == (1, 1)
    assert blocks.serialize() == {
        "shape_full": [6, 8],
        "shape_block": [3, 8],
        "crop_start": [1, 0],
        "crop_end": [0, 0],
        "padding": [1, 1],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape_block": (1, 1, 1)},
        {"shape_block": (0, 1)},
        {"shape_block": (1.5,)},
        {"shape_block": (1, 1), "blocks_number": (1, 2, 3)},
        {"blocks_number": 0},
        {"blocks_number": (None, 2)},
        {"dim_split": 1},
        {"dim_split": 2, "blocks_number": 2},
        {"dim_split": "1", "blocks_number": 2},
        {"dim_split": (0, 1), "shape_block": (1,)},
        {"padding": -1},
        {"padding": 0.5},
        {"padding": (1, 2, 3)},
        {"crop": ((5, 5), (0, 0))},
        {"crop": (1, 2)},
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(UsageError):
        Blocks((6, 8), **arguments)
