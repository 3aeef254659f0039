"""Levels of a pyramid are arrays like others to who saves them anew."""

import shutil

import numpy as np
import pytest

from haversack.errors import FormatError, PathNotFoundError, StorageError, UsageError
from haversack.split import SplitDataset, pyramid, save_to_split_dataset


def test_a_level_that_is_saved_anew_keeps_the_users_metadata_alone(tmp_path):
    data, metadata = np.zeros((3, 8, 8), "u1"), {"by": "me"}
    level = save_to_split_dataset(data, tmp_path / "a", metadata=metadata).build_pyramid(1)[1]
    assert level.metadata == metadata
    assert level.info()["metadata"] == metadata
    again = save_to_split_dataset(level, tmp_path / "b")
    assert again.metadata == metadata
    assert b"pyramid" not in (tmp_path / "b" / "stack_metadata.json").read_bytes()
    assert len(SplitDataset(tmp_path / "a").pyramid) == 2


@pytest.fixture
def volumes(tmp_path):
    """Volumes of which a level can be made along each axis."""
    data = np.random.default_rng(0).integers(0, 99, (9, 2, 12, 8)).astype("u1")
    return save_to_split_dataset(data, tmp_path / "volumes", (4, None, None, None))


def shapes(levels):
    return [level.shape for level in levels]


@pytest.mark.parametrize(
    "axes",
    ["yx", "xy", ("y", "x"), ["x", -2], (2, 3), (-1, np.int8(2)), {2, 3}, None, np.array([2, 3])],
)
def test_axes_to_halve_are_named_or_numbered(volumes, axes):
    levels = volumes.build_pyramid(2, axes)
    assert shapes(levels) == [(9, 2, 12, 8), (9, 2, 6, 4), (9, 2, 3, 2)]
    assert shapes(volumes.pyramid) == shapes(levels)
    assert [level.root.name for level in levels] == ["volumes", "1", "2"]
    assert {each.name for each in (volumes.root / "pyramid").iterdir()} == {"1", "2"}


@pytest.mark.parametrize("axes", ["t", 0, -4, np.int64(0), ("t",), np.array(0)])
def test_one_axis_may_stand_alone(volumes, axes):
    assert shapes(volumes.build_pyramid(1, axes)) == [(9, 2, 12, 8), (5, 2, 12, 8)]


def test_a_name_of_several_letters_goes_before_its_letters(tmp_path):
    data = np.zeros((8, 6, 4), "u1")
    split = save_to_split_dataset(data, tmp_path / "a", axes=("xy", "x", "y"))
    assert shapes(split.build_pyramid(1, "xy"))[1] == (4, 6, 4)
    assert shapes(split.build_pyramid(1, "yx"))[1] == (8, 3, 2)
    assert shapes(split.build_pyramid(1, ("xy", "y")))[1] == (4, 6, 2)


def test_a_line_is_halved_along_its_only_axis(tmp_path):
    line = save_to_split_dataset(np.arange(600), tmp_path / "a")
    assert shapes(line.build_pyramid()) == [(600,), (300,), (150,)]


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ("tq", "names"),
        ("", "names"),
        ((), "names"),
        (("time",), "names"),
        (("yx",), "names"),
        (4, "names"),
        ((0, -5), "names"),
        ((0, 0), "twice"),
        ((0, -4), "twice"),
        ("yy", "twice"),
        (("t", 0), "twice"),
        ((2.0,), "names"),
        (2.0, "names"),
        (True, "names"),
        ((None, 1), "names"),
        (b"yx", "names"),
        ((b"y",), "names"),
        (object(), "names"),
        (10**30, "names"),
    ],
)
@pytest.mark.parametrize("levels", [None, 1])
def test_axes_that_are_none_are_refused_and_leave_the_levels_that_are_there(
    volumes, levels, axes, told
):
    volumes.build_pyramid(2)
    with pytest.raises(UsageError, match=told) as error:
        volumes.build_pyramid(levels, axes)
    assert told == "twice" or "t, z, y, x" in str(error.value)
    assert shapes(volumes.pyramid) == [(9, 2, 12, 8), (9, 2, 6, 4), (9, 2, 3, 2)]


@pytest.mark.parametrize("levels", [0, -1, 1.0, "1", True, (1,), b"1"])
def test_a_number_of_levels_that_is_none_is_refused(volumes, levels):
    volumes.build_pyramid(1)
    with pytest.raises(UsageError, match="levels"):
        volumes.build_pyramid(levels)
    assert len(volumes.pyramid) == 2


def test_where_no_level_is_made_those_that_are_there_stay(volumes):
    volumes.build_pyramid(2)
    assert shapes(volumes.build_pyramid(axes="t")) == [(9, 2, 12, 8)]
    assert shapes(volumes.build_pyramid()) == [(9, 2, 12, 8)]
    flat = save_to_split_dataset(np.zeros((1, 8), "u1"), volumes.root.with_name("flat"))
    flat.build_pyramid(1)
    with pytest.raises(UsageError, match="along y"):
        flat.build_pyramid(1, axes=0)
    assert (len(volumes.pyramid), len(flat.pyramid)) == (3, 2)


def test_levels_stay_until_new_ones_have_replaced_them(volumes, monkeypatch):
    before = [level[...] for level in volumes.build_pyramid(2)]

    def fails(*_):
        raise StorageError("no space is left")

    with monkeypatch.context() as patch:
        patch.setattr(pyramid, "mean_of_pairs", fails)
        with pytest.raises(StorageError):
            volumes.build_pyramid(1, "t")
    for level, held in zip(volumes.pyramid, before, strict=True):
        np.testing.assert_array_equal(level, held)
    assert {each.name for each in (volumes.root / "pyramid").iterdir()} == {"1", "2"}
    assert shapes(volumes.build_pyramid(1, "t")) == shapes(volumes.pyramid)
    assert shapes(volumes.pyramid) == [(9, 2, 12, 8), (5, 2, 12, 8)]
    assert {each.name for each in (volumes.root / "pyramid").iterdir()} == {"1"}


def test_what_a_killed_builder_left_is_removed_by_the_next(volumes):
    volumes.build_pyramid(1)
    for name in (".0123456789abcdef.partial", ".fedcba9876543210.partial"):
        (volumes.root / "pyramid" / name / "1").mkdir(parents=True)
    assert len(volumes.pyramid) == 2
    volumes.build_pyramid(1)
    assert {each.name for each in (volumes.root / "pyramid").iterdir()} == {"1"}


def test_no_levels_are_made_of_an_array_that_is_gone(tmp_path):
    ds = save_to_split_dataset(np.zeros((6, 600, 300), "u1"), tmp_path / "ds")
    ds[:]  # its files are open now
    shutil.rmtree(ds.root)
    with pytest.raises(PathNotFoundError, match="ds is gone"):
        ds.build_pyramid()
    with pytest.raises(PathNotFoundError):
        ds[0] = 1
    assert not ds.root.exists()


def test_levels_are_never_made_where_a_link_leads(volumes, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (volumes.root / "pyramid").symlink_to(elsewhere)
    with pytest.raises(FormatError, match="pyramid is a link"):
        volumes.build_pyramid(1)
    assert not [*elsewhere.iterdir()]
