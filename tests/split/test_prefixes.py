"""A prefix that names nothing, or is none, is told of when it is given."""

import json

import numpy as np
import pytest

from haversack.errors import FormatError, UnsupportedError, UsageError
from haversack.split import EmptySplitDataset, SplitDataset, save_to_split_dataset

from .test_foreign import BRUNOISE, VOLUMES, directory, write

NO_NAMES = ["..", ".", "../fish", "fish/", "/", "/fish", "a\\b", "..\\fish", "a\0b", "\0", "~"]
NO_TEXT = [5, 0, False, True, 1.5, b"fish", b"", ["fish"], (), {}, object(), np.int64(3)]


@pytest.fixture
def aquarium(tmp_path):
    """A directory with the blocks of two arrays, and one JSON."""
    folder = directory(tmp_path / "aquarium", BRUNOISE, names="fish_{:04d}.h5")
    for number in range(3):
        write(folder / f"crab{number:04d}.h5", VOLUMES[:4])
    return folder


def test_a_prefix_of_no_blocks_is_told_when_the_directory_is_opened(aquarium):
    with pytest.raises(FormatError) as told:
        SplitDataset(aquarium, prefix="xx")
    assert str(aquarium) in str(told.value)
    assert "'xx'" in str(told.value)
    assert "'crab', 'fish_'" in str(told.value)
    np.testing.assert_array_equal(SplitDataset(aquarium, prefix="fish_"), VOLUMES)


def test_of_many_prefixes_some_are_told(aquarium):
    for number in range(50):
        write(aquarium / f"shell{number}_0000.h5", VOLUMES[:4])
    with pytest.raises(FormatError, match=r"'crab', 'fish_', .*\.\.\.") as told:
        SplitDataset(aquarium, prefix="xx")
    assert str(told.value).count("shell") < 10


def test_a_prefix_where_there_are_no_blocks_at_all_is_told(aquarium):
    for path in aquarium.glob("*.h5"):
        path.unlink()
    with pytest.raises(FormatError, match=r"aquarium .*'fish'.*no blocks"):
        SplitDataset(aquarium, prefix="fish")


def test_without_metadata_the_prefixes_that_are_there_are_told(aquarium):
    (aquarium / "stack_metadata.json").unlink()
    with pytest.raises(FormatError, match="begin with 'xx'.*'crab', 'fish_'"):
        SplitDataset(aquarium, prefix="xx")


def test_an_array_without_elements_needs_no_blocks(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    about = {"shape_full": [0, 3], "shape_block": [1, 3]}
    (folder / "fish_stack_metadata.json").write_text(json.dumps(about))
    assert SplitDataset(folder, prefix="fish").shape == (0, 3)


def test_blocks_that_are_still_to_come_do_not_keep_those_that_are_there(aquarium):
    (aquarium / "fish_0002.h5").unlink()
    found = SplitDataset(aquarium, prefix="fish")
    np.testing.assert_array_equal(found[:8], VOLUMES[:8])
    with pytest.raises(FormatError, match=r"fish_0002\.h5 is missing"):
        found[9]


def takers(folder):
    """What takes a part of a name, each with the name of its parameter."""
    return {
        "prefix": lambda given: SplitDataset(folder, prefix=given),
        "prefix ": lambda given: save_to_split_dataset(VOLUMES, folder / "new", prefix=given),
        "prefix  ": lambda given: save_to_split_dataset(
            VOLUMES, folder / "new", prefix=given, crop=((1, 1),) * 4
        ),
        "name": lambda given: EmptySplitDataset(folder / "new", given, (4, 4), (2, 2)),
    }


@pytest.mark.parametrize(
    ("wrong", "kind", "told"),
    [
        *((wrong, UsageError, "part of a name") for wrong in NO_NAMES),
        *((wrong, UnsupportedError, "text") for wrong in NO_TEXT),
    ],
)
def test_a_path_and_what_is_no_text_are_no_part_of_a_name(aquarium, wrong, kind, told):
    before = sorted(aquarium.parent.rglob("*"))
    for name, take in takers(aquarium).items():
        with pytest.raises(kind, match=f"{name.strip()} .*{told}"):
            take(wrong)
    assert sorted(aquarium.parent.rglob("*")) == before


def test_no_prefix_may_be_said_in_both_ways(tmp_path):
    for number, none in enumerate((None, "")):
        made = save_to_split_dataset(VOLUMES, tmp_path / str(number), prefix=none)
        assert made.root == tmp_path / str(number)
        np.testing.assert_array_equal(SplitDataset(made.root, prefix=none), VOLUMES)
        cropped = save_to_split_dataset(
            VOLUMES, tmp_path / str(number), prefix=none, crop=((1, 0),) * 4
        )
        assert cropped.root.name == "_cropped"


@pytest.mark.parametrize("odd", ["fish..", "run 3", "ümlaut", "x[1]*", "-"])
def test_odd_names_stay_names(tmp_path, odd):
    folder = directory(tmp_path / "old", BRUNOISE, names=odd + "_{:04d}.h5")
    np.testing.assert_array_equal(SplitDataset(folder, prefix=odd), VOLUMES)
    made = save_to_split_dataset(VOLUMES, tmp_path / "new", prefix=odd)
    assert made.root == tmp_path / "new" / odd
    np.testing.assert_array_equal(made, VOLUMES)
