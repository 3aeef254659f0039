"""Arguments of another kind than the documented one are told of by the library's own errors."""

from typing import Any

import numpy as np
import pytest

from haversack.errors import ExistsError, HaversackError, NoBlockError, UnsupportedError, UsageError
from haversack.split import (
    Blocks,
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    is_split,
    save_frames,
    save_to_split_dataset,
)
from haversack.split.directory import about
from haversack.split.frames import save_all_frames

DATA = np.arange(4 * 6 * 8).reshape(4, 6, 8).astype("u2")
OBJECT = object()
NO_PATHS = [None, 5, 1.5, True, b"a", ["a"], OBJECT, "a\0b"]
NO_NUMBER = ["2", b"2", [2], (2,), {}, OBJECT]
NO_LIST = [1.5, np.int64(2), True, OBJECT, np.array(1.5)]


def begin_frames(path: Any, **options: Any) -> FrameWriter:
    return FrameWriter(path, **options)


@pytest.mark.parametrize("wrong", NO_PATHS)
def test_what_is_no_path_is_told_and_makes_nothing(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    split = save_to_split_dataset(DATA, "a", (2, None, None))
    before = sorted(tmp_path.rglob("*"))
    to: Any = 5 if wrong is None else wrong
    for take in (
        SplitDataset,
        is_split,
        begin_frames,
        lambda path: save_to_split_dataset(DATA, path),
        lambda path: EmptySplitDataset(path, "x", (4, 4), (2, 2)),
        lambda path: save_frames(DATA, path),
        lambda path: split.map_blocks(np.sqrt, to=to if path is wrong else path),
    ):
        with pytest.raises(UsageError, match="path"):
            take(wrong)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("wrong", ["zz", b"zz", 5, [2], OBJECT])
def test_what_is_no_dtype_is_told(tmp_path, wrong):
    with pytest.raises(UnsupportedError, match="dtype"):
        EmptySplitDataset(tmp_path, "x", (4, 4), (2, 2), dtype=wrong)
    with pytest.raises(UnsupportedError, match="dtype"):
        begin_frames(tmp_path / "y", dtype=wrong)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("wrong", [["zstd"], np.array([1, 2]), {}, 5, b"zstd", OBJECT])
@pytest.mark.parametrize("name", ["compression", "layout"])
def test_what_names_no_compression_or_layout_is_told(tmp_path, name, wrong):
    given: dict[str, Any] = {name: wrong}
    with pytest.raises(UsageError, match=name):
        save_to_split_dataset(DATA, tmp_path / "a", **given)
    with pytest.raises(UsageError, match=name):
        begin_frames(tmp_path / "a", **given)


@pytest.mark.parametrize(
    ("name", "wrongs"),
    [
        ("axes", [*NO_LIST, 5]),
        ("units", [*NO_LIST, 0, np.array([1, 2, 3])]),
        ("frequency", [*NO_NUMBER, np.array([1, 2])]),
        ("metadata", [1.5, "ab", [1], np.array([1, 2]), OBJECT]),
        ("resolution", [*NO_LIST, "abc", {}]),
        ("block_size", [OBJECT, "ab", 1.5, np.array(1.5)]),
    ],
)
def test_a_description_of_another_kind_is_told(tmp_path, name, wrongs):
    for wrong in wrongs:
        with pytest.raises(UsageError, match=name if name != "block_size" else "shape_block"):
            save_to_split_dataset(DATA, tmp_path / "a", **{name: wrong})
    assert not (tmp_path / "a").exists()


def test_a_frequency_may_be_a_number_of_numpy(tmp_path):
    for number, given in enumerate((np.float32(20), np.int64(20), 20)):
        made = save_to_split_dataset(DATA, tmp_path / str(number), frequency=given)
        assert (made.frequency, type(made.frequency)) == (20.0, float)


def test_a_block_may_be_numbered_by_numpy(tmp_path):
    empty = EmptySplitDataset(tmp_path, "a", (4, 6, 8), (2, None, None))
    for number in np.arange(2):
        empty.save_block_data(number, DATA[empty[number]])
    np.testing.assert_array_equal(empty.finalize(), DATA)
    wrongs: list[Any] = [[0], (0,), np.array([0, 1]), 1.5, "0", None, -1, 2, 10**30]
    again = EmptySplitDataset(tmp_path, "b", (4, 6, 8), (2, None, None))
    for wrong in wrongs:
        with pytest.raises(NoBlockError):
            again.save_block_data(wrong, DATA[:2])
        with pytest.raises(NoBlockError):
            again.neighbour_blocks(wrong)
    assert again.missing == [0, 1]


@pytest.mark.parametrize("wrong", [None, 1.5, "ab", ["x", "y"], [None, 1], OBJECT, [[1], [1, 2]]])
def test_what_is_no_point_is_told(wrong):
    blocks = Blocks((4, 4), (2, 2))
    for take in (
        blocks.block_containing_coords,
        lambda point: blocks.blocks_to_take(point, (4, 4)),
        lambda point: blocks.blocks_to_take((0, 0), point),
    ):
        with pytest.raises(UnsupportedError, match="numbers"):
            take(wrong)
    with pytest.raises(UsageError, match="2 axes"):
        blocks.blocks_to_take([1], (4, 4))
    start: Any = np.array([0, 1])
    assert blocks.blocks_to_take(start, [4, 4]) == blocks.blocks_to_take((0, 1), (4, 4))


@pytest.mark.parametrize("wrong", [None, 1.5, 5, OBJECT, "ab", b"ab"])
def test_what_gives_no_frames_is_told(tmp_path, wrong):
    with pytest.raises(UnsupportedError, match="frames"):
        save_frames(wrong, tmp_path / "a")
    with pytest.raises(UsageError, match="frames"):
        begin_frames(tmp_path / "b").extend(wrong)
    assert not [*tmp_path.iterdir()]


def test_what_maps_nothing_is_told(tmp_path):
    split = save_to_split_dataset(DATA, tmp_path / "a", (2, None, None))
    functions: list[Any] = [None, 5, "sum", [np.sum]]
    for wrong in functions:
        with pytest.raises(UnsupportedError, match="function"):
            split.map_blocks(wrong)
    workers: list[Any] = [0, -1, 1.5, float("nan"), "2", [2], OBJECT]
    for each in workers:
        with pytest.raises(UnsupportedError, match="workers"):
            split.map_blocks(np.sum, workers=each)
    executors: list[Any] = [5, "threads", [], OBJECT]
    for each in executors:
        with pytest.raises(UnsupportedError, match="executor"):
            split.map_blocks(np.sum, executor=each)
    one: Any = np.int8(1)
    assert len([*split.map_blocks(np.sum, workers=one)]) == 2


def test_what_is_no_list_of_indices_and_no_time_is_told(tmp_path):
    split = save_to_split_dataset(DATA, tmp_path / "a")
    lists: list[Any] = [None, 5, 1.5, OBJECT]
    for wrong in lists:
        with pytest.raises(UnsupportedError, match="indices"):
            split.read_many(wrong)
    seconds: list[Any] = NO_NUMBER
    no_time: Any = np.float32(0)
    for wrong in seconds:
        with pytest.raises(HaversackError, match="seconds"):
            next(split.follow(timeout=wrong))
        with pytest.raises(HaversackError, match="seconds"):
            next(split.follow(timeout=0, pause=wrong))
    assert [*split.follow(timeout=no_time)] == []


def test_an_axis_has_a_name_that_is_not_empty(tmp_path):
    for begin in (save_to_split_dataset, save_all_frames):
        with pytest.raises(UsageError, match="empty name"):
            begin(np.zeros((3, 4, 5)), tmp_path / "a", axes=("t", "", "x"))
    assert not (tmp_path / "a").exists()


def nested(levels, value):
    """Dicts and lists in turns, around a value."""
    for level in range(levels):
        value = {"a": value} if level % 2 == levels % 2 else [value]
    return {"a": value}


@pytest.mark.parametrize("levels", [100, 300, 600, 900, 20_000])
def test_metadata_that_may_not_be_read_again_is_refused_and_leaves_nothing(tmp_path, levels):
    metadata = nested(levels, 1)
    for begin in (
        lambda: save_to_split_dataset(DATA, tmp_path / "a", metadata=metadata),
        lambda: save_frames(DATA, tmp_path / "a", metadata=metadata),
        lambda: begin_frames(tmp_path / "a", metadata=metadata),
        lambda: EmptySplitDataset(tmp_path, "a", (4, 4), (2, 2), metadata=metadata),
    ):
        with pytest.raises(UsageError, match="nested deeper than 100 levels"):
            begin()
    assert not [*tmp_path.iterdir()]


def test_metadata_that_holds_itself_is_refused(tmp_path):
    metadata: dict[str, Any] = {}
    metadata["self"] = [metadata]
    with pytest.raises(UsageError, match="holds itself"):
        save_to_split_dataset(DATA, tmp_path / "a", metadata=metadata)


def test_metadata_of_a_hundred_levels_is_kept(tmp_path):
    metadata = nested(99, 1)
    assert save_to_split_dataset(DATA, tmp_path / "a", metadata=metadata).metadata == metadata
    assert save_frames(DATA, tmp_path / "b", metadata=metadata).metadata == metadata


def test_deeper_metadata_that_is_there_opens(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(about, "_DEEPEST", 200)
        save_to_split_dataset(DATA, tmp_path / "a", metadata=nested(150, 1))
    assert SplitDataset(tmp_path / "a").metadata == nested(150, 1)


@pytest.mark.parametrize("size", [(0,), (-1,), 0, (2, 0), 1.5, "ab", (2, "a"), ((1,),)])
def test_a_size_of_blocks_that_is_none_is_refused_before_the_first_frame(tmp_path, size):
    with pytest.raises(UsageError, match="shape_block"):
        begin_frames(tmp_path / "a", block_size=size)


def test_a_path_that_is_a_file_is_told_as_that(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    for path in (file, file / "below"):
        for save in (
            lambda path: save_to_split_dataset(DATA, path),
            lambda path: save_frames(DATA, path),
            lambda path: EmptySplitDataset(path.parent, path.name, (4, 4), (2, 2)),
        ):
            with pytest.raises(ExistsError, match="file is a file, where a directory"):
                save(path)
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize("short", [(), ((1, 1),), ((1, 1), (0, 0), (0,)), ((0, 0),) * 4])
def test_a_crop_of_other_than_a_pair_for_each_axis_says_what_is_needed(tmp_path, short):
    split = save_to_split_dataset(DATA, tmp_path / "a")
    with pytest.raises(UsageError, match="give a pair of numbers >= 0 .* for each of 3 axes"):
        split.apply_crop(short)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_blocks_that_are_mapped_come_with_the_regions_that_they_own(tmp_path):
    split = save_to_split_dataset(DATA, tmp_path / "a", (2, None, 5))
    for region, result in split.map_blocks(lambda block: block + 1, overlap=1):
        assert {type(each) for each in region} == {slice}
        np.testing.assert_array_equal(result, DATA[region] + 1)
