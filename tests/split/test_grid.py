"""Blocks cut an array as the old package's did, and as its documents said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.errors import UsageError
from haversack.split import Blocks


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


def test_neighbours_are_on_all_sides():
    blocks = Blocks((9, 9, 4), (3, 3, 4))
    assert blocks.neighbour_blocks(4).tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert blocks.neighbour_blocks(4, dims=(0,)).tolist() == [1, 7]
    assert blocks.neighbour_blocks(0).tolist() == [1, 3, 4]


def test_regions_and_points_are_found():
    blocks = Blocks((9, 9, 4), (3, 3, 4))
    assert blocks.blocks_to_take((3, 0, 0), (6, 1, 1)) == (
        [(1, 2), (0, 1), (0, 1)],
        [0, 0, 0],
        [3, 1, 1],
    )
    assert blocks.block_containing_coords((3, 8, 0)) == (1, 2, 0)
    assert blocks.linear_to_cartesian(7) == (2, 1, 0)
    assert blocks.drop_dim(2).shape_full == (9, 9)
    with pytest.raises(IndexError):
        blocks.block_containing_coords((9, 0, 0))


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
        {"shape_block": (1,)},
        {"shape_block": (0, 1)},
        {"shape_block": (1, 1), "blocks_number": 2},
        {"blocks_number": 0},
        {"padding": -1},
        {"padding": (1, 2, 3)},
        {"crop": ((5, 5), (0, 0))},
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(UsageError):
        Blocks((6, 8), **arguments)
