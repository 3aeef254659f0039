"""Ranges of a file are exact, or an error that says where."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from haversack.errors import FormatError, PathNotFoundError, StorageError
from haversack.storage.calls import calls
from haversack.storage.ranges import RangeFile

DATA = bytes(range(256)) * 40


@pytest.fixture(params=["pread", "without pread"])
def file(request, tmp_path, monkeypatch):
    if request.param != "pread":
        monkeypatch.setattr(calls, "pread", None)
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return RangeFile(path)


def test_any_range_is_exact_from_many_threads(file):
    starts = range(0, len(DATA) - 300, 7)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda start: file.read(start, 300), starts))
    assert found == [DATA[start : start + 300] for start in starts]
    assert file.read(len(DATA), 0) == b""


def test_a_range_beyond_the_end_is_an_error(file):
    ranges = [(len(DATA) - 1, 2), (len(DATA) + 5, 1), (-1, 1), (0, -1), (1 << 70, 1), (0, 1 << 60)]
    for offset, size in ranges:
        with pytest.raises(FormatError, match=f"cut short.* {size} bytes at {offset}"):
            file.read(offset, size)
    os.truncate(file.path, 100)
    with pytest.raises(FormatError, match="cut short"):
        file.read(50, 100)


def test_what_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(PathNotFoundError, match="nothing"):
        RangeFile(tmp_path / "nothing")
    with pytest.raises(FormatError, match="is no file, but a directory"):
        RangeFile(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError, match="cannot open"):
        RangeFile(tmp_path / "loop")
