"""Frames in blocks are not lost where the metadata that is there is older than the blocks."""

import threading

import numpy as np
import pytest

from haversack.errors import FormatError, HaversackError, IntegrityError, StorageError
from haversack.split import FrameWriter, SplitDataset
from haversack.split.growth import publishing as publishing_module

FRAMES = np.arange(22 * 6 * 5, dtype="<u2").reshape(22, 6, 5)
SIZES = [(4, None, None), (4, 3, 2)]


def append(folder, start, stop, size=None):
    with FrameWriter(folder, block_size=size) as writer:
        assert len(writer) == start
        for frame in FRAMES[start:stop]:
            writer.append(frame)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("counted", [0, 1, 4, 6, 8, 12, 13, 17])
def test_older_metadata_hides_no_frame_from_the_next_writer(tmp_path, size, counted, caplog):
    folder = tmp_path / "array"
    with FrameWriter(folder, block_size=size) as writer:
        writer.append(FRAMES[0])
        oldest = (folder / "stack_metadata.json").read_bytes()
        for frame in FRAMES[1:counted]:
            writer.append(frame)
    path = folder / "stack_metadata.json"
    old = path.read_bytes() if counted else oldest
    append(folder, max(1, counted), 22)
    path.write_bytes(old)

    (damage,) = SplitDataset(folder).verify()
    assert (damage.path, damage.where) == (path, f"row {counted}")
    assert "older than the blocks, which hold 22" in damage.what
    with FrameWriter(folder) as writer:
        assert len(writer) == 22
        writer.append(FRAMES[0])
    assert "all are counted again" in caplog.text
    assert SplitDataset(folder).verify() == []
    np.testing.assert_array_equal(SplitDataset(folder)[:22], FRAMES)
    np.testing.assert_array_equal(SplitDataset(folder)[22], FRAMES[0])


def test_a_journal_behind_blocks_that_are_not_counted_is_gone_on_with(tmp_path):
    folder = tmp_path / "array"
    append(folder, 0, 5, (4, None, None))
    old = (folder / "stack_metadata.json").read_bytes()
    writer = FrameWriter(folder)
    for frame in FRAMES[5:19]:
        writer.append(frame)
    writer._let_go()  # as one that was killed: its last frames are in a journal
    assert (folder / "frames-000004.journal").exists()
    (folder / "stack_metadata.json").write_bytes(old)
    append(folder, 19, 22)
    np.testing.assert_array_equal(SplitDataset(folder)[...], FRAMES)


def test_a_slab_that_was_refused_is_not_counted(tmp_path, monkeypatch):
    folder = tmp_path / "array"
    append(folder, 0, 8, (4, None, None))
    writer = FrameWriter(folder)

    def refused(path, content, **_):
        raise StorageError(f"cannot write {path}")

    monkeypatch.setattr(publishing_module.publish, "replace", refused)
    with pytest.raises(StorageError):
        writer.extend(FRAMES[8:12])
    monkeypatch.undo()
    assert (folder / "000002.h5").exists()
    assert SplitDataset(folder).verify() == []
    append(folder, 8, 22)
    np.testing.assert_array_equal(SplitDataset(folder)[...], FRAMES)


@pytest.mark.parametrize("damage", ["another array", "missing", "flipped"])
def test_blocks_that_prove_nothing_are_not_counted(tmp_path, damage):
    folder, other = tmp_path / "array", tmp_path / "other"
    append(folder, 0, 4, (4, 3, None))
    old = (folder / "stack_metadata.json").read_bytes()
    append(folder, 4, 22)
    append(other, 0, 22, (4, 3, None))
    (folder / "stack_metadata.json").write_bytes(old)
    path = folder / "000003.h5"  # the second block of the second slab
    if damage == "missing":
        path.unlink()
    elif damage == "another array":
        path.write_bytes((other / path.name).read_bytes())
    else:
        data = bytearray(path.read_bytes())
        data[-40] ^= 1
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match="000003.h5: the tail does not match"):
            FrameWriter(folder)
        return
    assert SplitDataset(folder).verify() == []
    with FrameWriter(folder) as writer:
        assert len(writer) == 4


def test_who_verifies_while_another_writes_is_told_of_nothing(tmp_path):
    folder = tmp_path / "array"
    append(folder, 0, 1, (2, 3, 2))
    told, done = [], threading.Event()

    def verify():
        while not done.is_set():
            told.append(SplitDataset(folder).verify())

    thread = threading.Thread(target=verify)
    thread.start()
    try:
        for start in range(1, 16, 5):
            append(folder, start, start + 5)
        with FrameWriter(folder) as writer:
            writer.extend(FRAMES[16:22])
    finally:
        done.set()
        thread.join()
    assert told
    assert not any(told)


def test_metadata_that_lost_haversacks_name_hides_no_journal(tmp_path):
    folder = tmp_path / "array"
    writer = FrameWriter(folder, block_size=(40, None, None))
    writer.extend(FRAMES)
    path = folder / "stack_metadata.json"
    good = path.read_bytes()
    at = good.index(b'"haversack"') + 1
    for bit in range(8 * len(b"haversack")):
        flipped = bytearray(good)
        flipped[at + bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(FormatError, match="stack_metadata.json"):
            SplitDataset(folder)
        with pytest.raises(HaversackError):
            FrameWriter(folder)
    path.write_bytes(good)
    np.testing.assert_array_equal(SplitDataset(folder)[...], FRAMES)
    writer.close()
