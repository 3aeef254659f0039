"""What is noted of a file is what is told of it."""

import gc
import os
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.download.measures import Measures
from haversack.errors import StorageError

NOTES = st.tuples(
    st.integers(0, 30),
    st.none() | st.tuples(st.integers(0, 1 << 62), st.none() | st.just(b"d" * 32)),
)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
@settings(suppress_health_check=list(HealthCheck))
@given(notes=st.lists(NOTES))
def test_the_last_note_of_each_row_is_told(at_once, notes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("haversack.download.measures._AT_ONCE", at_once)
        measures, oracle = Measures(), {}
        for row, note in notes:
            if note is None:
                measures.forget(row)
                oracle.pop(row, None)
            else:
                measures.note(row, *note)
                oracle[row] = note
        assert {row: measures.of(row) for row in range(31)} == {
            row: oracle.get(row) for row in range(31)
        }


def test_a_full_disk_is_told(monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    measures = Measures()
    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        for row in range(10_000):
            measures.note(row, 1, None)


def test_no_place_for_temporary_files_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(StorageError, match="temporary file"):
        Measures()


def test_nothing_is_left_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    measures = Measures()
    measures.note(5, 1, None)
    descriptor = measures._descriptor
    assert list(tmp_path.iterdir()) == []
    del measures
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
