"""Where the disk is full, what is said to do next can be done."""

import errno
import os

import numpy as np
import pytest

from haversack.errors import StorageError
from haversack.split import (
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    appending,
    save_frames,
    save_to_split_dataset,
)
from haversack.storage import publish
from haversack.storage.calls import calls

FRAMES = np.random.default_rng(0).integers(0, 999, (11, 6, 8)).astype("u2")


@pytest.fixture
def full(monkeypatch):
    """What fills the disk, and what frees it again."""

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill():
        monkeypatch.setattr(os, "fsync", fail)
        monkeypatch.setattr(calls, "fdatasync", fail)

    return fill, monkeypatch.undo


def filling_up(kept, fill):
    """All frames; the disk fills up behind some."""
    yield from FRAMES[:kept]
    fill()
    yield from FRAMES[kept:]


@pytest.mark.parametrize("kept", [3, 4, 9])
def test_frames_before_a_full_disk_are_kept_and_a_writer_goes_on(tmp_path, full, kept):
    fill, free = full

    with pytest.raises(StorageError, match="No space left.* before are kept") as told:
        save_frames(filling_up(kept, fill), tmp_path / "a", (2, None, None))
    free()
    assert "run the same again" not in str(told.value)
    whole = kept // 2 * 2  # frames are gathered into blocks
    assert f"The {whole} before" in str(told.value)
    with FrameWriter(tmp_path / "a") as writer:
        assert len(writer) == whole
        writer.extend(FRAMES[whole:])
    np.testing.assert_array_equal(SplitDataset(tmp_path / "a"), FRAMES)


@pytest.mark.parametrize("kept", [0, 1])
def test_where_no_frame_is_kept_the_same_can_be_run_again(tmp_path, full, kept):
    fill, free = full

    with pytest.raises(StorageError, match="run the same again"):
        save_frames(filling_up(kept, fill), tmp_path / "a", (2, None, None))
    free()
    assert not [*tmp_path.rglob("*.h5"), *tmp_path.rglob("*.json")]
    np.testing.assert_array_equal(save_frames(FRAMES, tmp_path / "a"), FRAMES)


def test_what_cannot_be_begun_leaves_no_directory(tmp_path, full, monkeypatch):
    fill, free = full
    split = save_to_split_dataset(FRAMES, tmp_path / "a")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    before = sorted(tmp_path.rglob("*"))
    real = publish.create

    def create(*args, **options):
        fill()
        try:
            real(*args, **options)
        finally:
            free()

    for begin in (
        lambda: save_to_split_dataset(FRAMES, tmp_path / "new" / "deep" / "b"),
        lambda: save_to_split_dataset(FRAMES, theirs),
        lambda: EmptySplitDataset(tmp_path / "new", "b", FRAMES.shape, (2,)),
        lambda: split.map_blocks(np.sqrt, to=tmp_path / "b"),
        lambda: split.apply_crop(((1, 1), (0, 0), (0, 0))),
        lambda: split.build_pyramid(1),
    ):
        monkeypatch.setattr(publish, "create", create)
        with pytest.raises(StorageError, match=r"unfinished\.json: the disk is full"):
            begin()
        assert sorted(tmp_path.rglob("*")) == before


def test_an_array_that_was_begun_goes_where_no_frame_is_kept(tmp_path, monkeypatch):
    def fails(*_):
        raise StorageError("the disk is full: run the same again")

    with monkeypatch.context() as patch:
        patch.setattr(appending, "publish_slab", fails)
        with pytest.raises(StorageError, match="run the same again"):
            save_frames(FRAMES, tmp_path / "a", (2, None, None))
    assert not [*tmp_path.iterdir()]
    np.testing.assert_array_equal(save_frames(FRAMES, tmp_path / "a"), FRAMES)
