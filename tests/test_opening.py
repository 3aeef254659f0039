"""open() gives the right kind of object for whatever stands at a path, or says what it is."""

import shutil

import numpy as np
import pytest

import haversack
from haversack.catalog import Catalog
from haversack.errors import (
    FormatError,
    HaversackError,
    PathNotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from haversack.packed import compact, merge, repair


def test_each_kind_opens_as_itself(small_hub, tmp_path):
    with haversack.PackWriter(tmp_path / "packed") as writer:
        writer.append(np.zeros(3))
    haversack.save_to_split_dataset(np.zeros((4, 2)), tmp_path, prefix="split", block_size=(2, 2))
    haversack.DiskDataset(tmp_path / "disk").add_image("place", "source", np.zeros((2, 2)))
    archive = shutil.make_archive(str(tmp_path / "crops"), "gztar", small_hub, "demo_crop_seasons")
    kinds = {
        tmp_path / "packed": haversack.PackedDataset,
        tmp_path / "split": haversack.SplitDataset,
        tmp_path / "disk": haversack.DiskDataset,
        small_hub / "demo_crop_seasons": Catalog,
        archive: Catalog,
    }
    for path, kind in kinds.items():
        opened = haversack.open(path)
        assert type(opened) is kind
        assert opened.info()["kind"]
        assert opened.verify() == []
        assert opened._repr_html_().startswith("<")
        assert len(repr(opened).splitlines()) <= 10


def test_what_is_nothing_of_ours_is_named(tmp_path):
    (tmp_path / "chunks").mkdir()
    with pytest.raises(FormatError, match="is no packed dataset"):
        haversack.open(tmp_path)
    (tmp_path / "index.csv").touch()
    with pytest.raises(FormatError, match="haversack convert"):
        haversack.open(tmp_path)
    with pytest.raises(PathNotFoundError, match="nowhere"):
        haversack.open(tmp_path / "nowhere")
    with pytest.raises(UnsupportedError, match="haversack download"):
        haversack.open("https://hub.example/catalog.json")


@pytest.mark.parametrize(
    ("name", "kind", "builtin"),
    [
        ("a\0b", UsageError, ValueError),
        ("a\ud800b", UsageError, ValueError),
        ("x" * 300, StorageError, OSError),
        ("deep/" * 1500, StorageError, OSError),
    ],
)
def test_a_path_that_no_file_can_have_is_one_clear_error(
    tmp_path, monkeypatch, name, kind, builtin
):
    monkeypatch.chdir(tmp_path)
    for use in (
        haversack.open,
        haversack.PackWriter,
        lambda path: haversack.pack([[1]], path),
        lambda path: merge([], path),
        repair,
        compact,
    ):
        with pytest.raises(builtin) as raised:
            use(name)
        assert isinstance(raised.value, kind)
        assert isinstance(raised.value, HaversackError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["https://me:sesame@hub.example/a", "https://hub.example/?token=sesame", "http://[a?sesame"],
)
def test_the_message_about_an_address_shows_no_secret(url):
    with pytest.raises(UnsupportedError, match="haversack download") as raised:
        haversack.open(url)
    assert "sesame" not in str(raised.value)
