"""What verify finds beside the blocks: in the pyramid, and in the names that others gave."""

import json
import shutil

import numpy as np
import pytest

from haversack.errors import FormatError
from haversack.split import SplitDataset, save_to_split_dataset

from .test_foreign import BRUNOISE, VOLUMES, directory, write

DATA = np.random.default_rng(0).integers(0, 999, (5, 30, 34)).astype("u2")


@pytest.fixture
def viewed(tmp_path):
    """An array with two levels."""
    split = save_to_split_dataset(DATA, tmp_path / "a", (2, None, None))
    split.build_pyramid(2)
    return split


def test_every_flipped_byte_of_a_level_is_found(viewed):
    assert viewed.verify() == []
    for path in (viewed.root / "pyramid/2/0001.h5", viewed.root / "pyramid/1/stack_metadata.json"):
        good = path.read_bytes()
        for place in range(0, len(good), 41):
            path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
            damages = SplitDataset(viewed.root).verify()
            assert damages, f"byte {place} of {path}"
            assert all(path.parent in (each.path, each.path.parent) for each in damages)
        path.write_bytes(good)
    assert viewed.verify() == []


@pytest.mark.parametrize("left", [None, b"", b"{"])
def test_a_level_without_its_metadata_is_damage(viewed, left):
    metadata = viewed.root / "pyramid/1/stack_metadata.json"
    metadata.unlink()
    if left is not None:
        metadata.write_bytes(left)
    (damage,) = viewed.verify()
    assert damage.path == metadata.parent
    assert "stack_metadata.json" in damage.what


def test_a_level_that_says_it_is_of_another_program_is_damage(viewed):
    metadata = viewed.root / "pyramid/1/stack_metadata.json"
    document = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**document, "haversack": None}))
    assert {each.path for each in viewed.verify()} == {*metadata.parent.glob("*.h5")}


def test_levels_of_an_older_array_are_passed_over(tmp_path, viewed):
    other = save_to_split_dataset(DATA, tmp_path / "b")
    shutil.copytree(viewed.root / "pyramid", other.root / "pyramid")
    (other.root / "pyramid/1/0000.h5").write_bytes(b"damaged")
    assert other.verify() == []
    (viewed.root / "pyramid/1/0000.h5").write_bytes(b"damaged")
    assert [each.path for each in viewed.verify()] == [viewed.root / "pyramid/1/0000.h5"]


@pytest.mark.parametrize("names", ["{:04d}.h5", "fish_{:03d}.h5", "{:04d}_ch2.h5"])
def test_a_gap_in_the_numbers_of_files_is_told_and_all_is_read(tmp_path, names):
    folder = directory(tmp_path / "a", BRUNOISE, names=names)
    (folder / names.format(2)).rename(folder / names.format(4))
    found = SplitDataset(folder)
    np.testing.assert_array_equal(found, VOLUMES)
    (damage,) = found.verify()
    assert (damage.path.name, damage.where) == (names.format(4), "block 2")
    assert f"behind {names.format(1)}: blocks between" in damage.what


def test_numbers_may_begin_anywhere(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE)
    for number in (2, 1, 0):
        (folder / f"{number:04d}.h5").rename(folder / f"{number + 7:04d}.h5")
    assert SplitDataset(folder).verify() == []


def test_a_number_that_two_files_have_is_told(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE)
    (folder / "0002.h5").rename(folder / "001.h5")
    (damage,) = SplitDataset(folder).verify()
    assert damage.path.name == "001.h5"
    assert "number of 0001.h5" in damage.what


def test_a_block_that_holds_more_than_the_metadata_says_is_told(tmp_path):
    folder = directory(tmp_path / "a", {**BRUNOISE, "shape_full": [9, 3, 8, 9]})
    found = SplitDataset(folder)
    np.testing.assert_array_equal(found, VOLUMES[:9])
    (damage,) = found.verify()
    assert damage.path.name == "0002.h5"
    assert "(2, 3, 8, 9), where the metadata says (1, 3, 8, 9)" in damage.what


def test_a_missing_block_of_names_with_two_numbers_is_named(tmp_path):
    names = "{:04d}_ch2.h5"
    folder = directory(tmp_path / "a", BRUNOISE, names=names)
    (folder / names.format(1)).unlink()
    found = SplitDataset(folder)
    np.testing.assert_array_equal(found[8:], VOLUMES[8:])
    (damage,) = found.verify()
    assert damage.path.name == names.format(1)
    assert "is missing: block 1 of 3" in damage.what
    (folder / names.format(2)).unlink()  # of one file alone, which number counts cannot be seen
    np.testing.assert_array_equal(SplitDataset(folder)[:4], VOLUMES[:4])


def test_two_arrays_of_names_with_two_numbers_are_told_apart(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE, names="{:04d}_ch1.h5")
    for number in range(3):
        write(folder / f"{number:04d}_ch2.h5", VOLUMES[4 * number : 4 * number + 4] + 1)
    with pytest.raises(FormatError, match="more than one array"):
        SplitDataset(folder)
