"""Who has an array open is told when another one was put in its place."""

import shutil

import numpy as np
import pytest

from haversack.errors import ConflictError, FormatError, PathNotFoundError
from haversack.split import FrameWriter, SplitDataset, save_frames, save_to_split_dataset

DATA = np.arange(24).reshape(6, 4)


@pytest.fixture
def opened(tmp_path):
    return save_to_split_dataset(DATA, tmp_path / "a", (2, None))


@pytest.mark.parametrize("other", [DATA + 5, DATA[:, :3], DATA[:2].astype("f4"), DATA[:0]])
def test_an_array_that_was_replaced_is_told_as_that(opened, other):
    np.testing.assert_array_equal(opened[:2], DATA[:2])
    shutil.rmtree(opened.root)
    new = save_to_split_dataset(other, opened.root, (2, None))
    told = rf"a was replaced by another \(opened: {opened.array_id}, there now: {new.array_id}\)"
    for use in (
        lambda: opened[2:],
        opened.refresh,
        opened.verify,
        lambda: opened.__setitem__(0, 3),
        lambda: opened[:],  # also of what was read before
    ):
        with pytest.raises(ConflictError, match=told + ": open it anew"):
            use()
    np.testing.assert_array_equal(SplitDataset(opened.root), other)


def test_a_growing_array_that_was_replaced_is_told_to_who_follows_it(tmp_path):
    save_frames(DATA, tmp_path / "a", (4, None))
    found = SplitDataset(tmp_path / "a")
    follower = found.follow(timeout=5)
    shutil.rmtree(found.root)
    with FrameWriter(found.root, block_size=(3, None)) as writer:
        writer.extend(np.ones((8, 4), "u1"))
        with pytest.raises(ConflictError, match="replaced"):
            next(follower)
    assert (found.shape, found.dtype) == (DATA.shape, DATA.dtype)


def test_an_array_of_another_program_in_its_place_is_told(opened):
    shutil.rmtree(opened.root)
    opened.root.mkdir()
    (opened.root / "stack_metadata.json").write_text('{"shape_full": [6], "shape_block": [2]}')
    with pytest.raises(ConflictError, match="there now: no id"):
        opened[0]


def test_an_array_that_is_gone_or_damaged_is_none_that_was_replaced(opened):
    (opened.root / "0001.h5").write_bytes(b"")
    with pytest.raises(FormatError, match=r"0001\.h5"):
        opened[:]
    again = SplitDataset(opened.root)
    shutil.rmtree(opened.root)
    with pytest.raises(FormatError, match=r"0002\.h5 is missing"):
        again[5]
    with pytest.raises(PathNotFoundError, match="does not exist"):
        opened.refresh()
