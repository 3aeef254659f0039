"""The disk is told of what will be read, before it is read, and of no more than that."""

import time

import numpy as np
import pytest

from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.chunks.threads import do_all, in_threads
from haversack.storage.calls import calls


@pytest.fixture
def recording(tmp_path):
    """Two blocks of 4 x 2 chunks, each of 10 time points of a tile."""
    noise = np.random.default_rng(0).poisson(80, (80, 2, 64, 128)).astype(np.uint16)
    save_to_split_dataset(noise, tmp_path / "stack", block_size=(40, None, None, None))
    return SplitDataset(tmp_path / "stack"), noise


@pytest.fixture
def asked(monkeypatch):
    """What was told and read, in order."""
    told = []

    def advise(descriptor, offset, size, advice):
        if size:
            told.append(("expected", descriptor, offset, size))

    def preadv(descriptor, buffers, offset, real=calls.preadv):
        told.append(("read", descriptor, offset, sum(map(len, buffers))))
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(calls, "posix_fadvise", advise)
    monkeypatch.setattr(calls, "preadv", preadv)
    return told


def test_all_chunks_of_a_trace_are_expected_before_the_first_is_read(recording, asked):
    ds, noise = recording
    ds[0, 0, 0, 0], ds[40, 0, 0, 0]  # blocks are opened
    asked.clear()
    np.testing.assert_array_equal(ds[:, 1, 5, 7], noise[:, 1, 5, 7])
    kinds = [kind for kind, *_ in asked]
    assert kinds == ["expected"] * 8 + ["read"] * 8
    assert sorted(what[1:] for what in asked[:8]) == sorted(what[1:] for what in asked[8:])


@pytest.mark.parametrize("row", [0, 13, 39, 79])
def test_of_one_time_point_nothing_but_it_is_read(recording, asked, row):
    ds, noise = recording
    ds[0, 0, 0, 0], ds[40, 0, 0, 0]
    asked.clear()
    np.testing.assert_array_equal(ds[row, 1, 3:9, 3:9], noise[row, 1, 3:9, 3:9])
    ((kind, _, _, count),) = asked
    assert kind == "read"
    assert count < noise[row, 1].nbytes
    asked.clear()
    ds[row]
    assert [kind for kind, *_ in asked] == ["expected", "expected", "read", "read"]


def test_what_lies_outside_of_the_file_is_not_expected(recording, asked):
    ds, _ = recording
    file = ds._block(0)._file
    asked.clear()
    for span in ((-1, 5), (0, 0), (file.size, 1), (0, 1 << 63), (1 << 64, 1)):
        file.expect(*span)
    assert asked == []


def test_tasks_are_taken_only_a_little_before_their_turn():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_threads(str, items())
    assert next(results) == "0"
    assert len(taken) < 100
    assert list(results) == [str(number) for number in range(1, 1000)]


def test_a_failure_waits_for_what_others_are_doing():
    begun, ended = [], []

    def work(number):
        begun.append(number)
        if number == 3:
            raise ZeroDivisionError
        time.sleep(0.01)
        ended.append(number)

    with pytest.raises(ZeroDivisionError):
        do_all(work, range(100))
    assert sorted(begun) == sorted([*ended, 3])
    assert len(begun) < 50


def test_a_task_that_fails_ends_the_others():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 // number, [1, 0, *range(1, 500)]))
