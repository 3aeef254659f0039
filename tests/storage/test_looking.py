"""What the disk refuses to tell is an error of ours, whatever is asked."""

from pathlib import Path

import numpy as np
import pytest

from haversack.convert import import_array
from haversack.errors import FormatError, StorageError, UnsupportedError
from haversack.packed import PackWriter, is_packed, open_packed
from haversack.split import EmptySplitDataset, FrameWriter, SplitDataset, save_to_split_dataset
from haversack.storage.looking import exists, is_directory, read_file
from haversack.storage.publish import make_directory


def test_a_question_that_the_disk_does_not_answer_is_a_storage_error(tmp_path):
    name = tmp_path / ("x" * 300)
    for ask in (exists, is_directory, read_file, make_directory, is_packed, open_packed):
        with pytest.raises(StorageError, match="name too long"):
            ask(name)


def test_what_is_not_there_is_told_from_what_cannot_be_read(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "nothing", tmp_path / "file" / "below"):
        assert not exists(path)
        assert not is_directory(path)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing")
    with pytest.raises(FormatError, match="is no file, but a directory"):
        read_file(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError):
        read_file(tmp_path / "loop")


def test_a_manifest_or_a_tag_that_cannot_be_read_is_a_storage_error(tmp_path):
    (tmp_path / "manifest/tags").mkdir(parents=True)
    (tmp_path / "manifest/00000001.json").symlink_to("00000001.json")
    with pytest.raises(StorageError, match=r"cannot read .*00000001.json"):
        open_packed(tmp_path)
    (tmp_path / "manifest/tags/mine.json").symlink_to("mine.json")
    with pytest.raises(StorageError, match=r"cannot read .*mine.json"):
        open_packed(tmp_path, version="mine")


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize(
    "address", ["https://me:SECRET@host/y", "s3://bucket/y?X-Amz-Signature=SECRET"]
)
def test_an_address_is_never_taken_for_a_path_nor_shown(tmp_path, monkeypatch, address, kind):
    monkeypatch.chdir(tmp_path)
    where = kind(address)
    for take in (
        SplitDataset,
        FrameWriter,
        PackWriter,
        open_packed,
        lambda path: EmptySplitDataset(path, "name", (2, 3), (1, 3)),
        lambda path: save_to_split_dataset(np.zeros((2, 3)), path),
        lambda path: import_array(path, "new"),
    ):
        with pytest.raises(UnsupportedError, match=r"an address \(.*://...\) is no path") as caught:
            take(where)
        assert "SECRET" not in str(caught.value)
    assert not [*tmp_path.iterdir()]
