"""Regions are written as numpy writes them, block by block, and nobody is overwritten unseen."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.errors import ConflictError, HaversackError, UnsupportedError
from haversack.split import (
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    regions,
    save_to_split_dataset,
)

from .test_indexing import indices

SHAPE = (5, 4, 6)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_assignment_does_what_numpy_does(tmp_path_factory, data):
    array = np.arange(np.prod(SHAPE), dtype="int16").reshape(SHAPE)
    folder = tmp_path_factory.mktemp("region") / "array"
    split = save_to_split_dataset(array, folder, block_size=(2, None, 4))
    index = data.draw(indices(SHAPE))
    try:
        value = data.draw(st.sampled_from([7, np.full_like(array[index], 9)]))
        array[index] = value
    except Exception as error:  # noqa: BLE001 (numpy decides which)
        with pytest.raises(type(error)):
            split[index] = 7
    else:
        split[index] = value
    np.testing.assert_array_equal(split[...], array)
    np.testing.assert_array_equal(SplitDataset(folder), array)
    assert split.verify() == []


def test_values_are_broadcast_and_cast_as_numpy_does(saved, volumes):
    saved[2:9:3, 1] = np.arange(37.0)
    volumes[2:9:3, 1] = np.arange(37.0)
    saved[saved[...] > 290] = 0
    volumes[volumes > 290] = 0
    np.testing.assert_array_equal(saved, volumes)
    with pytest.raises(ValueError, match="broadcast"):
        saved[0] = np.zeros(5)
    with pytest.raises(IndexError):
        saved[11] = 0


class Refusing:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array")


ODD = [None, "abc", b"x", "12", object(), {}, {1}, Refusing(), [1, [2, 3]], [], np.zeros((2, 3))]
ODD += [1e40, float("nan"), 300, -1, 2**70, 1 + 2j, np.array([None] * 6), np.zeros((1, 1, 6)), ...]


@pytest.mark.filterwarnings("ignore")  # numpy's, of values that do not fit
@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "c8", "?"])
def test_odd_values_are_refused_or_taken_as_numpy_does(tmp_path, dtype):
    array = np.zeros((4, 6), dtype)
    split = save_to_split_dataset(array, tmp_path / "array", (2, None))
    for index in (..., 1, (1, 2), [0, 0], (slice(0, 0),)):
        for value in ODD:
            try:
                array[index] = value
            except Exception as error:  # noqa: BLE001 (numpy decides which)
                with pytest.raises(type(error)):
                    split[index] = value
            else:
                split[index] = value
            np.testing.assert_array_equal(split[...], array, err_msg=f"{index} {value}")


def test_blocks_keep_how_they_are_compressed(tmp_path, volumes):
    split = save_to_split_dataset(volumes, tmp_path / "a", (9, None, 30, None), compression="zstd")
    before = split.files[1, 0, 1, 0].stat().st_size
    split[10, 0, 31] = 1
    assert abs(split.files[1, 0, 1, 0].stat().st_size - before) < before / 10
    assert SplitDataset(tmp_path / "a").coding.compressor == "zstd"


def test_arrays_of_others_and_padded_ones_are_not_written_to(tmp_path, volumes):
    from .test_foreign import BRUNOISE, directory

    foreign = SplitDataset(directory(tmp_path / "theirs", BRUNOISE))
    with pytest.raises(UnsupportedError, match="written by another program"):
        foreign[0] = 1
    padded = save_to_split_dataset(volumes, tmp_path / "padded", (9, None, 30, None), padding=1)
    with pytest.raises(UnsupportedError, match="padding"):
        padded[0] = 1


def test_a_block_that_changed_meanwhile_is_not_replaced(saved, volumes, monkeypatch):
    other = SplitDataset(saved.root)
    encode = regions.encode_block

    def meanwhile(*args):
        monkeypatch.setattr(regions, "encode_block", encode)
        other[0, 0, 0, 0] = 77
        return encode(*args)

    monkeypatch.setattr(regions, "encode_block", meanwhile)
    with pytest.raises(ConflictError, match="in the meantime"):
        saved[0, 0, 0, 1] = 5
    volumes[0, 0, 0, 0] = 77
    np.testing.assert_array_equal(SplitDataset(saved.root), volumes)
    assert not [path for path in saved.root.iterdir() if path.suffix == ".partial"]


def test_frames_in_a_journal_are_not_written_to(tmp_path, volumes):
    with FrameWriter(tmp_path / "live", block_size=(4, None, None, None)) as writer:
        writer.extend(volumes[:6])
        split = SplitDataset(tmp_path / "live")
        split[1] = 3
        with pytest.raises(ConflictError, match="close its FrameWriter"):
            split[5] = 3
    split[5] = 3
    volumes[[1, 5]] = 3
    np.testing.assert_array_equal(SplitDataset(tmp_path / "live"), volumes[:6])


WRITER = """
import sys
from haversack.errors import ConflictError
from haversack.split import SplitDataset

split, mine = SplitDataset("array"), int(sys.argv[1])
for turn in range(10):
    try:
        split[turn % 11, 0, 0, mine] = mine + 1
        print(turn % 11)
    except ConflictError:
        pass
"""


def test_two_processes_that_fight_for_blocks_lose_nothing(saved, volumes):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number)],
            cwd=saved.root.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for number, writer in enumerate(writers):
        for turn in writer.communicate(timeout=60)[0].split():
            volumes[int(turn), 0, 0, number] = number + 1
        assert writer.returncode == 0
    np.testing.assert_array_equal(SplitDataset(saved.root), volumes)
    assert SplitDataset(saved.root).verify() == []


def test_a_write_into_a_damaged_block_is_refused(saved):
    path = saved.files.flat[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(HaversackError, match=r"0000\.h5"):
        SplitDataset(saved.root)[0] = 1
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize("how", ["a region", "a frame", "a first frame", "a new array"])
def test_what_a_killed_writer_left_is_swept_a_day_later(tmp_path, how):
    (tmp_path / "a").mkdir()
    if how in ("a region", "a frame"):
        with FrameWriter(tmp_path / "a", block_size=(1, None, None)) as writer:
            writer.append(np.zeros((4, 4), "u2"))
    old, young, stuck = (tmp_path / "a" / f".{digit * 16}.partial" for digit in "012")
    for left in (old, young):
        left.write_bytes(b"half a block")
    stuck.mkdir()  # nobody can unlink it
    for left in (old, stuck):
        os.utime(left, (time.time() - 90_000,) * 2)

    if how == "a region":
        SplitDataset(tmp_path / "a")[0, 0] = 7
    elif how == "a frame":
        FrameWriter(tmp_path / "a").close()
    elif how == "a first frame":
        FrameWriter(tmp_path / "a").append(np.zeros((4, 4), "u2"))
    else:
        EmptySplitDataset(tmp_path, "a", (4, 4))
    assert (old.exists(), young.exists(), stuck.exists()) == (False, True, True)
