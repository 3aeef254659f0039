"""Where blocks of other programs are missing, the names of the others say which these are."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from haversack.errors import FormatError
from haversack.split import SplitDataset
from haversack.split.directory.numbering import numbered

from .test_foreign import write


def rows(count):
    """An array of which each block is one row."""
    return np.arange(count * 4, dtype="u2").reshape(count, 4)


def lay_out(folder, names, left, count=None):
    """Write of the blocks that have these names those that are left."""
    count = count or len(names)
    folder.mkdir()
    for number in left:
        write(folder / names[number], rows(count)[number : number + 1])
    about = {"shape_full": [count, 4], "shape_block": [1, 4], "padding": [0, 0]}
    (folder / "stack_metadata.json").write_text(json.dumps(about))
    return folder


def check(folder, left, prefix=""):
    """What is left is read as it is, and all that is missing is told."""
    found = SplitDataset(folder, prefix=prefix)
    for number in range(len(found)):
        if number in left:
            np.testing.assert_array_equal(found[number], rows(len(found))[number])
        else:
            with pytest.raises(FormatError, match=f"is missing: block {number} of"):
                found[number]
    assert len(found.verify()) == len(found) - len(left)


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["run001_00.h5", "run002_01.h5", "run003_02.h5"], [0, 1]),
        (["run001_00.h5", "run002_01.h5", "run003_02.h5"], [1, 2]),
        (["0000_run1.h5", "0001_run2.h5", "0002_run3.h5"], [0, 1]),
        (["488nm_0.h5", "488nm_1.h5"], [0]),
        (["488nm_0.h5", "488nm_1.h5"], [1]),
        (["s488_00.h5", "s488_01.h5", "s488_02.h5"], [2]),
        (["0101_00.h5", "0102_01.h5", "0103_02.h5"], [1, 2]),
        (["0000_101010.h5", "0001_101110.h5", "0002_101210.h5"], [1, 2]),
        (["b0_of_120.h5", "b1_of_120.h5", "b2_of_120.h5"], [1]),
        (["0000_ch2.h5", "0001_ch2.h5", "0002_ch2.h5"], [1]),
        (["scan2_0000.h5", "scan2_0001.h5", "scan2_0002.h5"], [1]),
        (["t0_0000.h5", "t1_0001.h5", "t2_0002.h5"], [2]),
    ],
)
def test_blocks_that_are_left_are_read_where_they_belong(tmp_path, names, left):
    check(lay_out(tmp_path / "a", names, left), left)


@pytest.mark.parametrize(
    "forms",
    [
        ["run{a:03d}_{b:02d}", "{b:04d}_run{a}", "{b}_{a}", "{a}_{b}", "{b}_of_6", "s3_{b:04d}"],
        ["{b:04d}_ch{c}", "ch{c}_{b:04d}", "{b}_{c}", "{c}_{b}", "{b:03d}_{c:03d}"],
        ["{b:04d}_ch{d}", "ch{d}_{b:04d}", "{b}_{d}", "{d}_{b}", "{b:03d}_{d:03d}"],
        ["{b:04d}_{e}", "{e}_{b}", "{e:04d}_{b:02d}", "{b}_at{e}ms", "{b}_7", "7_{b}"],
    ],
)
def test_whatever_is_lost_no_block_is_taken_for_another(forms):
    """Beside the number stands one from 1 on, one that begins anew, a time, or always the same."""
    found = 0
    for form in forms:
        paths = {
            Path(
                form.format(b=b, a=b + 1, c=b % 3, d=b % 2 + 1, e=(0, 3, 4, 5, 8, 9)[b]) + ".h5"
            ): b
            for b in range(6)
        }
        for left in (each for count in range(1, 6) for each in combinations(paths, count)):
            try:
                blocks = numbered(Path("a"), [*left], 6)
            except FormatError as error:
                assert "which number in their names is theirs" in str(error)  # noqa: PT017
                continue
            assert blocks == {paths[path]: path for path in left}
            found += 1
    assert found > 31 * len(forms)


def test_which_number_counts_is_asked_for_where_it_cannot_be_seen(tmp_path):
    names = [f"s488_{number}.h5" for number in range(600)]
    folder = lay_out(tmp_path / "a", names, [7])
    with pytest.raises(FormatError, match=r"1 of 600 blocks.*7 or 488 in s488_7\.h5.*prefix"):
        SplitDataset(folder)
    for prefix in ("s488", "s488_"):
        np.testing.assert_array_equal(SplitDataset(folder, prefix=prefix)[7], rows(600)[7])
    (folder / "s488_7.h5").rename(folder / "0007.h5")
    np.testing.assert_array_equal(SplitDataset(folder)[7], rows(600)[7])


def test_a_prefix_that_does_not_reach_to_the_number_does_not_say_which_it_is(tmp_path):
    names = ["run001_00.h5", "run002_01.h5", "run003_02.h5"]
    check(lay_out(tmp_path / "a", names, [0, 1]), [0, 1], prefix="run")


def test_blocks_that_count_from_one_are_not_read_by_another_number(tmp_path):
    names = ["ch1_001.h5", "ch2_002.h5", "ch1_003.h5", "ch2_004.h5"]
    with pytest.raises(FormatError, match=r"2 blocks .* describes 4: ch2_004\.h5 does not belong"):
        SplitDataset(lay_out(tmp_path / "half", names, [2, 3]))
    with pytest.raises(FormatError, match=r"2 or 4 in ch2_4\.h5"):
        SplitDataset(lay_out(tmp_path / "last", ["ch2_4.h5"], [0], count=4))


@pytest.mark.parametrize(
    "names",
    [
        ["0000_101010.h5", "0001_101110.h5", "0002_101210.h5"],
        ["img_0010.h5", "img_0020.h5", "img_0030.h5"],
        ["img_0010.h5", "img_0020.h5"],
        ["img_0.h5", "img_1.h5", "img_3.h5", "img_4.h5", "img_6.h5"],
        ["488_0.h5", "561_1.h5", "640_2.h5"],
        ["0_L.h5", "0_R.h5", "1_L.h5", "1_R.h5"],
        ["1_a.h5", "1_b.h5", "1_c.h5"],
        ["a_0001.h5", "a_0002.h5", "b_0007.h5"],
        ["0000_ch1.h5", "0000_ch2.h5", "0001_ch1.h5", "0001_ch2.h5"],
    ],
)
def test_whole_arrays_are_sound_whatever_their_names_tell_besides(tmp_path, names):
    check(lay_out(tmp_path / "a", names, range(len(names))), range(len(names)))
