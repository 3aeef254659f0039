"""An array whose blocks another program wrote is finished as that program's, or refused."""

import h5py
import numpy as np
import pytest

from haversack.errors import ExistsError, FormatError, UnsupportedError, UsageError
from haversack.split import EmptySplitDataset, SplitDataset, save_to_split_dataset


@pytest.fixture
def data():
    return np.random.default_rng(3).integers(0, 900, (7, 6, 9)).astype("u2")


@pytest.fixture
def begun(tmp_path, data):
    return EmptySplitDataset(tmp_path, "a", data.shape, (3,), resolution=(2, 1, 1), frequency=5)


def write(path, block):
    with h5py.File(path, "w") as hdf5:
        hdf5.create_dataset("stack", data=block, chunks=block.shape, compression="gzip")


def test_blocks_of_another_program_make_an_array_of_that_program(begun, data):
    for name, (_, where) in zip(begun.files, begun.slices(), strict=True):
        write(begun.root / name, data[where])
    assert begun.missing == []
    made = begun.finalize()
    for found in (made, SplitDataset(made.root)):
        np.testing.assert_array_equal(found, data)
        assert (found.dtype, found.data_key) == (data.dtype, "stack")
        assert (found.resolution, found.frequency) == ((2, 1, 1), 5)
        assert not found.is_ours
        assert found.info()["checksums"] is False
        assert found.verify() == []
    assert not (made.root / "unfinished.json").exists()
    with pytest.raises(UnsupportedError, match="another program"):
        made[0] = 1
    anew = save_to_split_dataset(made, made.root.with_name("anew"))
    assert (anew.is_ours, anew.frequency, anew.shape_block) == (True, 5, (3, 6, 9))


def test_padded_blocks_of_another_program_are_merged_too(tmp_path, data):
    empty = EmptySplitDataset(tmp_path, "padded", data.shape, (3, 4), padding=2, crop=((1, 0),) * 3)
    for name, (_, where) in zip(empty.files, empty.slices(), strict=True):
        write(empty.root / name, data[where])
    found = empty.finalize()
    assert found.padding == (2, 2, 0)
    np.testing.assert_array_equal(found, data[1:, 1:, 1:])


def other_shape(block):
    return block[:, 1:]


def other_dtype(block):
    return block.astype("f4")


def no_number(block):
    return block.astype("S5")


@pytest.mark.parametrize("change", [other_shape, other_dtype, no_number])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_block_that_does_not_go_with_the_others_is_named(begun, data, number, change):
    for name, (cell, where) in zip(begun.files, begun.slices(), strict=True):
        block = data[where]
        write(begun.root / name, change(block) if cell[0] == number else block)
    with pytest.raises((FormatError, UnsupportedError), match=r"000[0-2]\.h5"):
        begun.finalize()
    assert not (begun.root / "stack_metadata.json").exists()
    name = begun.files[number]
    write(begun.root / name, data[begun[number]])
    np.testing.assert_array_equal(begun.finalize(), data)


@pytest.mark.parametrize("size", [0, 100, 700])
def test_a_half_written_block_is_named(begun, data, size):
    for name, (_, where) in zip(begun.files, begun.slices(), strict=True):
        write(begun.root / name, data[where])
    path = begun.root / begun.files[1]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FormatError, match=r"0001\.h5"):
        begun.finalize()


@pytest.mark.parametrize("foreign", [(0,), (1,), (0, 1)])
def test_blocks_of_two_kinds_are_refused_until_they_are_of_one(begun, data, foreign):
    for number, (_, where) in enumerate(begun.slices()):
        if number in foreign:
            write(begun.root / begun.files[number], data[where])
        else:
            begun.save_block_data(number, data[where])
    with pytest.raises(FormatError, match="another program.*same way"):
        begun.finalize()
    for number in foreign:
        with pytest.raises(ExistsError):
            begun.save_block_data(number, data[begun[number]])
        (begun.root / begun.files[number]).unlink()
        begun.save_block_data(number, data[begun[number]])
    found = begun.finalize()
    assert found.is_ours
    np.testing.assert_array_equal(found, data)


def test_the_resolution_may_be_set_until_the_end(begun, data):
    for number, (_, where) in enumerate(begun.slices()):
        begun.save_block_data(number, data[where])
    begun.resolution = (0.5, 4, 3)
    found = begun.finalize()
    assert (found.resolution, found.frequency) == ((0.5, 4, 3), 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("shape_full", (8, 6, 9)), ("shape_block", (4,)), ("padding", 1), ("crop", [(1, 0)] * 3)],
)
def test_the_cut_may_be_set_until_the_first_block(begun, data, name, value):
    before = begun.serialize()
    setattr(begun, name, value)
    assert begun.serialize() != before
    for key in ("crop", "shape_full", "shape_block", "padding"):
        again = {"crop": None, "shape_full": data.shape, "shape_block": (3,), "padding": 0}[key]
        setattr(begun, key, again)
    assert begun.serialize() == before
    begun.save_block_data(1, data[begun[1]])
    with pytest.raises(UsageError, match="has blocks already"):
        setattr(begun, name, value)
    for number in (0, 2):
        begun.save_block_data(number, data[begun[number]])
    np.testing.assert_array_equal(begun.finalize(), data)
