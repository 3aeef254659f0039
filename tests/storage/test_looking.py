"""What the disk refuses to tell is an error of ours, whatever is asked."""

import pytest

from haversack.errors import StorageError
from haversack.packed import is_packed, open_packed
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
    with pytest.raises(StorageError):
        read_file(tmp_path)


def test_a_manifest_or_a_tag_that_cannot_be_read_is_a_storage_error(tmp_path):
    (tmp_path / "manifest/00000001.json").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot read .*00000001.json"):
        open_packed(tmp_path)
    (tmp_path / "manifest/tags/mine.json").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot read .*mine.json"):
        open_packed(tmp_path, version="mine")
