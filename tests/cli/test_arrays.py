"""Look at split arrays, convert them and draw them by typing."""

import json

import numpy as np
import pytest

from haversack.split import SplitDataset, save_to_split_dataset


@pytest.fixture
def volumes():
    return np.arange(6 * 3 * 8 * 9, dtype="u2").reshape(6, 3, 8, 9)


@pytest.fixture
def typed(haversack, volumes):
    save_to_split_dataset(volumes, "series", (4, None, None, None), frequency=2)
    return haversack


def test_a_part_is_described_or_saved(typed, volumes):
    about = json.loads(typed("info", "series", "--json").out)
    assert (about["shape"], about["frequency"]) == ([6, 3, 8, 9], 2)
    found = json.loads(typed("read", "series", "5, 1, ::-3, 4", "--json").out)
    expected = volumes[5, 1, ::-3, 4]
    assert found["values"] == expected.tolist()
    assert (found["min"], found["max"]) == (expected.min(), expected.max())
    whole = json.loads(typed("read", "series", "--json").out)
    assert (whole["shape"], whole["mean"]) == ([6, 3, 8, 9], volumes.mean())
    assert typed("read", "series", "..., 2", "--out", "part.npy").code == 0
    np.testing.assert_array_equal(np.load("part.npy"), volumes[..., 2])
    assert typed("read", "series", "0", "--out", "part.npy").code == 6


@pytest.mark.parametrize("index", ["9", "a", "1:2:0", "0,0,0,0,0", "__import__('os')", "1:2:3:4"])
def test_an_index_that_does_not_fit_is_one_clear_line(typed, index):
    result = typed("read", "series", index)
    assert (result.code, len(result.err.splitlines())) == (2, 1)


def test_arrays_are_converted_there_and_back(typed, volumes):
    assert typed("convert", "series", "a.npy", "--to", "npy", "-q").code == 0
    np.testing.assert_array_equal(np.load("a.npy"), volumes)
    made = typed(
        "convert", "a.npy", "new", "--to", "split", "--block", "2,-,-,5", "--layout", "traces", "-q"
    )
    assert made.code == 0, made.err
    found = SplitDataset("new")
    assert (found.shape_block, found.coding.layout) == ((2, 3, 8, 5), "traces")
    np.testing.assert_array_equal(found, volumes)
    for wrong in (
        ("--to", "split", "--block", "x"),
        ("--to", "npy", "--block", "2"),
        ("--to", "hdf5", "--dtype", "u1"),
    ):
        assert typed("convert", "series", "other", *wrong).code == 2
    assert typed("convert", "a.npy", "new", "--to", "split").code == 6


def test_damage_is_named_by_verify(typed):
    assert typed("verify", "series", "-q").code == 0
    path = SplitDataset("series").files.flat[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = typed("verify", "series", "--json", "-q")
    assert result.code == 7
    assert [row["path"] for row in json.loads(result.out)] == ["series/0001.h5"]


def test_planes_and_traces_become_pictures(typed, tmp_path):
    pytest.importorskip("matplotlib")
    for index, more in (("3, 1", ()), (":, 1, 2, 3", ()), ("...", ("--project", "max"))):
        result = typed("view", "series", index, *more, "--out", "picture.png")
        assert result.code == 0, result.err
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "picture.png").unlink()
    assert typed("view", "series", "77", "--out", "picture.png").code == 2


def test_a_picture_never_takes_the_place_of_a_file(typed, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "mine.png").write_bytes(b"mine")
    result = typed("view", "series", "3, 1", "--out", "mine.png")
    assert (result.code, (tmp_path / "mine.png").read_bytes()) == (6, b"mine")
    assert "mine.png already exists" in result.err
