"""pack() keeps the input's order, names the item that fails, and leaves no half dataset."""

import time

import numpy as np
import pytest

from haversack.errors import (
    ExistsError,
    KeyExistsError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from haversack.packed import PackWriter, merge, open_packed, pack


@pytest.mark.parametrize("workers", [1, 4])
def test_records_keep_the_order_of_the_items(tmp_path, workers):
    def read(number):
        time.sleep(0.002 * (number % 3))
        return np.full(2, number), {"n": number}

    items = (number for number in range(50))
    ds = pack(items, tmp_path / "ds", read=read, key="n", workers=workers)
    assert [int(r.data[0]) for r in ds] == ds.keys() == list(range(50))


def test_keys_come_from_the_item_or_its_metadata(tmp_path):
    ds = pack(["a", "b"], tmp_path / "1", read=lambda text: np.zeros(2), key=str.upper)
    assert ds.keys() == ["A", "B"]
    assert pack([([1], {"id": "x"})], tmp_path / "2", key="id").keys() == ["x"]


def test_progress_counts_records(tmp_path):
    events = []
    pack([[1], [2]], tmp_path / "ds", progress=events.append)
    assert [(e.state, e.done) for e in events] == [
        ("start", 0),
        ("advance", 1),
        ("advance", 2),
        ("end", 2),
    ]
    assert events[0].total == 2


@pytest.mark.parametrize("workers", [1, 3])
def test_an_item_that_cannot_be_read_is_named_and_nothing_is_left(tmp_path, workers):
    def read(name):
        if name == "c.tif":
            raise RuntimeError("no such band")
        return [1]

    with pytest.raises(
        UsageError, match=r"item 2 \('c.tif'\): RuntimeError: no such band"
    ) as caught:
        pack(["a.tif", "b.tif", "c.tif", "d.tif"], tmp_path / "ds", read=read, workers=workers)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_items_that_cannot_be_packed_are_named(tmp_path):
    with pytest.raises(UnsupportedError, match="item 1"):
        pack([[1], np.array([object()])], tmp_path / "ds")
    with pytest.raises(KeyExistsError, match="item 1"):
        pack([([1], {"n": 1}), ([1], {"n": 1})], tmp_path / "ds", key="n")
    with pytest.raises(UsageError, match="item 0.*KeyError"):
        pack([[1]], tmp_path / "ds", key="n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([1], {"n": 1}, "key"), r"a tuple of 3 \(list, dict, str\), neither an array nor"),
        (([1], "n"), r"a tuple of 2 \(list, str\), neither an array nor"),
        ([[1], {"n": 1}], r"a list of 2 \(list, dict\), neither an array nor"),
        (
            [[1, 2], [3], [4], [5], [6]],
            r"a list of 5 \(list, list, list, list, \.\.\.\), neither an array nor",
        ),
        (None, "not None"),
        ({"n": 1}, "not a dict"),
        ((None, {"n": 1}), "not None"),
    ],
)
def test_what_is_no_array_with_metadata_is_told_as_it_was_given(tmp_path, given, words):
    with pytest.raises(UnsupportedError, match=rf"item 1 \(7\): .*{words}"):
        pack([5, 7], tmp_path / "ds", read=lambda n: given if n == 7 else [n])
    with pytest.raises(UnsupportedError, match=rf"item 0 \(.*{words}"):
        pack([given], tmp_path / "ds", key="n")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_dataset_is_not_overwritten(tmp_path):
    pack([[1]], tmp_path / "ds")
    with pytest.raises(ExistsError, match="ds is a packed dataset already: choose another path"):
        pack([[2]], tmp_path / "ds")
    assert open_packed(tmp_path / "ds")[0].data.tolist() == [1]
    with pytest.raises(UsageError, match="workers"):
        pack([], tmp_path / "other", workers=0)


@pytest.mark.parametrize("place", ["file", "file/ds", "file/a/b"])
def test_a_place_at_or_below_a_file_is_one_clear_error(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    for make in (PackWriter, lambda path: pack([[1]], path), lambda path: merge([], path)):
        with pytest.raises(ExistsError, match=r"/file is a file: give the path of a directory"):
            make(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_that_cannot_be_made_is_one_clear_error_and_nothing_is_left(tmp_path):
    for make in (lambda path: pack([[1]], path), lambda path: merge([], path)):
        with pytest.raises(StorageError, match="cannot create the directory .*name too long"):
            make(tmp_path / "above" / ("x" * 300))
    assert list(tmp_path.iterdir()) == []


def test_of_two_builds_of_one_dataset_one_fails_whole(tmp_path):
    def read(number):
        pack([[2], [3]], tmp_path / "ds")  # meanwhile
        return [number]

    with pytest.raises(ExistsError, match="already"):
        pack([1], tmp_path / "ds", read=read)
    ds = open_packed(tmp_path / "ds")
    assert [r.data.tolist() for r in ds] == [[2], [3]]
    assert len(list((tmp_path / "ds/chunks").iterdir())) == 1
    assert ds.verify() == []


def test_a_build_that_fails_leaves_the_users_own_folders(tmp_path):
    (tmp_path / "mine/index").mkdir(parents=True)
    (tmp_path / "mine/notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExistsError, match="notes.txt"):
        pack([[1]], tmp_path / "mine")
    for place in ("empty", "new/deep/ds"):
        with pytest.raises(UsageError):
            pack([1], tmp_path / place, read=lambda number: 1 / 0)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "empty",
        "mine",
        "mine/index",
        "mine/notes.txt",
    ]


@pytest.mark.parametrize("when", ["before the first record", "before the end"])
def test_a_build_that_fails_beside_another_does_not_harm_it(tmp_path, when):
    started = []

    def read(_):
        started.append(PackWriter(tmp_path / "ds"))
        if when == "before the end":
            started[0].append([1])
        raise RuntimeError

    with pytest.raises(UsageError):
        pack([1], tmp_path / "ds", read=read)
    with started[0] as writer:
        writer.append([2])
    assert open_packed(tmp_path / "ds")[-1].data.tolist() == [2]
