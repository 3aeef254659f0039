"""What is saved comes back, whole, durable, and only once."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from haversack.errors import ExistsError, FormatError, UnsupportedError, UsageError
from haversack.split import (
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    is_split,
    repair,
    save_to_split_dataset,
)

DTYPES = ["?", "i1", "u1", "<i2", ">u2", "<i4", ">f4", "f2", "f8", "<u8", "c8", "c16"]


@settings(max_examples=60)
@given(data=st.data())
def test_any_array_comes_back(tmp_path_factory, data):
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(max_dims=5, min_side=0, max_side=9)))
    size = tuple(data.draw(st.none() | st.integers(1, 9)) for _ in array.shape)
    padding = data.draw(st.integers(0, 3))
    compression = data.draw(st.sampled_from(["blosc", "zstd", "zlib", None]))
    folder = tmp_path_factory.mktemp("any") / "array"
    save_to_split_dataset(array, folder, size, padding=padding, compression=compression)
    found = SplitDataset(folder)
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(found[...], array)
    assert found.verify() == []


def test_crop_prefix_and_resolution_are_kept(tmp_path, volumes):
    crop = ((1, 0), (0, 0), (5, 6), (0, 7))
    made = save_to_split_dataset(
        volumes, tmp_path, (4, None, None, None), crop, prefix="run", resolution=(1, 2.5, 0.4, 0.4)
    )
    assert made.root == tmp_path / "run_cropped"
    assert list(made.resolution) == [1, 2.5, 0.4, 0.4]
    np.testing.assert_array_equal(made[...], volumes[1:, :, 5:-6, :-7])
    alone = save_to_split_dataset(volumes, tmp_path / "alone", crop=crop)
    assert alone.root == tmp_path / "alone" / "_cropped"
    np.testing.assert_array_equal(alone, made)
    again = save_to_split_dataset(made, tmp_path / "again")
    assert (again.shape_block, again.resolution) == (made.shape_block, made.resolution)


def test_a_memmap_and_nested_lists_are_saved(tmp_path, volumes):
    np.save(tmp_path / "volumes.npy", volumes)
    mapped = np.load(tmp_path / "volumes.npy", mmap_mode="r")
    made = save_to_split_dataset(mapped, tmp_path / "mapped", (4, None, None, None))
    np.testing.assert_array_equal(made[...], volumes)
    assert save_to_split_dataset([[1, 2], [3, 4]], tmp_path / "lists")[1, 0] == 3


@pytest.mark.parametrize(
    "data",
    [np.array([{}]), np.array(["a"]), np.array(["2020-01-01"], "M8[D]"), np.zeros(3, "i4,f4")],
)
def test_what_is_not_numbers_is_refused(tmp_path, data):
    with pytest.raises(UnsupportedError):
        save_to_split_dataset(data, tmp_path / "array")
    assert not (tmp_path / "array").exists()


def test_an_iterator_is_told_of_save_frames(tmp_path):
    with pytest.raises(UnsupportedError, match="save_frames"):
        save_to_split_dataset((np.zeros(3) for _ in range(2)), tmp_path / "array")


def test_a_parameter_that_there_is_not_is_refused_at_once(tmp_path):
    for begin in (
        lambda: FrameWriter(tmp_path / "array", padding=1),
        lambda: EmptySplitDataset(tmp_path, "array", (4, 4), (2,), blocksize=3),
        lambda: save_to_split_dataset(np.zeros(3), tmp_path / "array", resolutions=1),
    ):
        with pytest.raises(UnsupportedError, match=r"no parameter .*resolution, axes, units"):
            begin()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_array_is_not_overwritten(tmp_path, saved, volumes):
    before = saved[...]
    with pytest.raises(ExistsError, match="already holds"):
        save_to_split_dataset(volumes + 1, saved.root)
    np.testing.assert_array_equal(SplitDataset(saved.root)[...], before)


def test_an_array_that_cannot_be_read_to_its_end_leaves_nothing(tmp_path):
    class Failing:
        shape, dtype = (6, 4), np.dtype("u1")

        def __getitem__(self, index):
            if index[0].start:
                raise KeyboardInterrupt
            return np.zeros((2, 4), "u1")

    with pytest.raises(KeyboardInterrupt):
        save_to_split_dataset(Failing(), tmp_path / "array", (2, None))
    assert list(tmp_path.iterdir()) == []


class Meddled:
    """Zeros in two blocks; something happens before the second one is read."""

    shape, dtype = (4, 4), np.dtype("u1")

    def __init__(self, meddle):
        self.meddle = meddle

    def __getitem__(self, index):
        if index[0].start:
            self.meddle()
        return np.zeros((2, 4), "u1")


def test_a_save_is_joined_by_nobody_and_ends_whole(tmp_path):
    def meddle():
        for begin in (
            lambda: save_to_split_dataset(np.ones((4, 4), "u1"), tmp_path / "array", (2, None)),
            lambda: EmptySplitDataset(tmp_path, "array", (4, 4), (2, None)),
        ):
            with pytest.raises(ExistsError, match="array"):
                begin()

    made = save_to_split_dataset(Meddled(meddle), tmp_path / "array", (2, None))
    assert made.verify() == []
    assert not made[...].any()


def test_a_save_that_fails_removes_only_its_own_files(tmp_path):
    theirs = tmp_path / "array" / "0001.h5"
    with pytest.raises(ExistsError):
        save_to_split_dataset(
            Meddled(lambda: theirs.write_bytes(b"theirs")), tmp_path / "array", (2, None)
        )
    assert list((tmp_path / "array").iterdir()) == [theirs]
    assert theirs.read_bytes() == b"theirs"


def test_of_two_saves_at_once_one_wins_and_the_other_is_told(tmp_path):
    data = np.arange(64, dtype="u2").reshape(8, 8)

    def save(path, together):
        together.wait()
        try:
            return save_to_split_dataset(data, path, (2, None))
        except ExistsError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        for run in range(40):
            path, together = tmp_path / str(run), Barrier(2)
            both = [pool.submit(save, path, together) for _ in range(2)]
            found = [one.result() for one in both]
            assert {type(one) for one in found} == {SplitDataset, ExistsError}
            np.testing.assert_array_equal(SplitDataset(path)[...], data)
            assert SplitDataset(path).verify() == []


def test_a_block_of_another_shape_or_dtype_is_refused(tmp_path):
    empty = EmptySplitDataset(tmp_path, "array", (5, 4), (2, None))
    with pytest.raises(UsageError, match="shape"):
        empty.save_block_data(2, np.zeros((2, 4)))
    empty.save_block_data(0, np.zeros((2, 4), "f4"))
    with pytest.raises(UsageError, match="float64"):
        empty.save_block_data(1, np.zeros((2, 4)))
    with pytest.raises(ExistsError):
        empty.save_block_data(0, np.ones((2, 4), "f4"))
    with pytest.raises(FormatError, match=r"lacks 2 of 3 blocks: 0001.h5, 0002.h5"):
        empty.finalize()


def test_an_unfinished_array_says_so(tmp_path):
    empty = EmptySplitDataset(tmp_path, "array", (5, 4), (2, None))
    empty.save_block_data(0, np.zeros((2, 4)))
    assert is_split(empty.root)
    both = (
        r"still being written.*finalize\(\): begin it again.*save_to_split_dataset.*remove the dir"
    )
    with pytest.raises(FormatError, match=both):
        SplitDataset(empty.root)
    with pytest.raises(FormatError, match=both):
        repair(empty.root)
    with pytest.raises(ExistsError, match="other arguments"):
        EmptySplitDataset(tmp_path, "array", (6, 4), (2, None))


def test_blocks_of_two_writers_that_disagree_are_found(tmp_path):
    one = EmptySplitDataset(tmp_path, "array", (4, 4), (2, None))
    two = EmptySplitDataset(tmp_path, "array", (4, 4), (2, None))
    one.save_block_data(0, np.zeros((2, 4), "f4"))
    two.save_block_data(1, np.zeros((2, 4), "f8"))
    with pytest.raises(FormatError, match="dtype"):
        one.finalize()


WRITER = """
import sys
import numpy as np
from haversack.errors import ExistsError
from haversack.split import EmptySplitDataset

empty = EmptySplitDataset(".", "array", (32, 50, 60), (2, None, None))
mine = int(sys.argv[1])
for block in [*range(mine, 16, 4), 0]:
    try:
        empty.save_block_data(block, np.full((2, 50, 60), 100 * mine + block, "uint16"))
    except ExistsError:
        print("told", block)
"""


def test_four_processes_write_blocks_and_the_losers_are_told(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    said = [writer.communicate(timeout=60)[0].split("\n") for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert sum(lines.count("told 0") for lines in said) == 4  # five tries, one winner
    found = EmptySplitDataset(tmp_path, "array", (32, 50, 60), (2, None, None)).finalize()
    assert found.verify() == []
    for block in range(1, 16):
        assert (found[2 * block : 2 * block + 2] == 100 * (block % 4) + block).all()
    assert len({int(value) for value in np.unique(found[:2])}) == 1


KILLED = """
import numpy as np
from haversack.split import EmptySplitDataset

empty = EmptySplitDataset(".", "array", (64, 100, 100), (1, None, None))
for block in empty.missing:
    empty.save_block_data(block, np.full((1, 100, 100), block, "uint16"))
    print(block, flush=True)
"""


def test_a_killed_writer_leaves_whole_blocks_and_what_is_missing_is_known(tmp_path):
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(5)]
        writer.kill()
        said += writer.communicate(timeout=60)[0].split()
        empty = EmptySplitDataset(tmp_path, "array", (64, 100, 100), (1, None, None))
        assert not {*map(int, said)} & {*empty.missing}
    for block in empty.missing:
        empty.save_block_data(block, np.full((1, 100, 100), block, "uint16"))
    found = empty.finalize()
    assert found.verify() == []
    np.testing.assert_array_equal(found[:, 7, 7], np.arange(64))
    with pytest.raises(ExistsError):
        EmptySplitDataset(tmp_path, "array", (64, 100, 100), (1, None, None))


KILLED_SAVE = """
import os, signal, sys
import numpy as np
from haversack.split import save_frames, save_to_split_dataset

class Source:
    shape, dtype = (6, 8), np.dtype("u2")

    def __getitem__(self, index):
        if index[0].start == 4:
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        return np.ones(self.shape, self.dtype)[index]

    def __iter__(self):
        return (self[at : at + 1, :][0] for at in range(6))

if sys.argv[2] == "save":
    save_to_split_dataset(Source(), "array", (1, None))
save_frames(Source(), "frames", block_size=(2, None))
"""


@pytest.mark.parametrize("by", ["SIGTERM", "SIGKILL"])
def test_a_killed_save_leaves_no_array_but_what_says_so(tmp_path, by):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_SAVE, by, "save"], cwd=tmp_path, check=False
    )
    assert done.returncode == -getattr(signal, by)
    left, data = tmp_path / "array", np.ones((6, 8), "u2")
    names = {path.name for path in left.iterdir()}
    assert {"unfinished.json", "0000.h5"} <= names
    assert "stack_metadata.json" not in names
    with pytest.raises(FormatError, match="or its writer was killed"):
        SplitDataset(left)
    with pytest.raises(ExistsError, match="left unfinished by a writer that was killed"):
        save_to_split_dataset(data, left)
    whole = save_to_split_dataset(data, tmp_path / "whole")
    with pytest.raises(ExistsError, match="left unfinished by a writer that was killed"):
        whole.map_blocks(np.negative, to=left)
    assert {path.name for path in left.iterdir()} == names
    shutil.rmtree(left)
    np.testing.assert_array_equal(save_to_split_dataset(data, left), data)


def test_after_a_killed_save_of_frames_a_writer_goes_on(tmp_path):
    command = [sys.executable, "-c", KILLED_SAVE, "SIGKILL", "frames"]
    subprocess.run(command, cwd=tmp_path, check=False)
    assert len(SplitDataset(tmp_path / "frames")) < 6
    with FrameWriter(tmp_path / "frames") as writer:
        for _ in range(len(writer), 6):
            writer.append(np.ones(8, "u2"))
    assert SplitDataset(tmp_path / "frames").verify() == []
    np.testing.assert_array_equal(SplitDataset(tmp_path / "frames"), np.ones((6, 8)))


def test_a_split_array_is_read_by_many_threads_and_pickled(saved, volumes):
    again = pickle.loads(pickle.dumps(saved))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda t: again[t % 11, :, ::-1], range(64)))
    for t, volume in enumerate(found):
        np.testing.assert_array_equal(volume, volumes[t % 11, :, ::-1])


def test_info_and_repr_describe_the_array(saved):
    assert repr(saved).endswith("(11, 3, 41, 37) uint16, 4 blocks of (9, 3, 30, 37))")
    about = json.loads(json.dumps(saved.info()))
    assert about["kind"] == "split array"
    assert (about["shape"], about["blocks"], about["checksums"]) == ([11, 3, 41, 37], 4, True)
    assert saved.files.shape == (2, 1, 2, 1)
    assert "<table>" in saved._repr_html_()


def test_reading_and_writing_never_import_blosc2_or_pytables(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from haversack.split import save_to_split_dataset\n"
        "save_to_split_dataset(np.ones((4, 5)), 'array')[1:]\n"
        "assert not {'blosc2', 'tables', 'pandas', 'pyarrow', 'httpx', 'pickle5'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("shape", "block"), [((), None), ((1,) * 33, None), ((4, 4), (1.5, 1)), ((4, 4), ("2", 1))]
)
def test_what_cannot_be_cut_is_refused_before_anything_is_written(tmp_path, shape, block):
    with pytest.raises(UsageError, match="axes"):
        save_to_split_dataset(np.zeros(shape), tmp_path / "array", block_size=block)
    assert list(tmp_path.iterdir()) == []
