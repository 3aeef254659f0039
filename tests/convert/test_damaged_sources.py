"""What is damaged in a file of another program, or no file, is named and refused at once."""

import os
import shutil

import h5py
import numpy as np
import pytest
from tests.running import run_python

from haversack.convert import export_array, import_array
from haversack.errors import (
    EmptySourceError,
    FormatError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from haversack.split import SplitDataset, save_to_split_dataset

VOLUMES = np.random.default_rng(5).integers(0, 900, (5, 4, 30, 40)).astype("u2")
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without FIFOs")
CONVERT = """if True:
    import sys
    from haversack.cli.main import run
    print("ends with", run(["convert", sys.argv[1], "out", "--to", "split"]))
"""
IMPORT = """if True:
    import sys
    from haversack.convert import import_array
    from haversack.errors import FormatError
    try:
        import_array(sys.argv[1], "out")
    except FormatError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Directories of Zarr, OME-Zarr, npy and HDF5 that are whole."""
    pytest.importorskip("zarr")
    folder = tmp_path_factory.mktemp("exported")
    saved = save_to_split_dataset(VOLUMES, folder / "saved")
    saved.build_pyramid(1)
    for name in ("a.zarr", "a.ome.zarr", "a.npy", "a.h5"):
        export_array(saved, folder / name)
    return folder


@pytest.fixture
def copy(exported, tmp_path):
    def make(name):
        whole = exported / name
        return (shutil.copytree if whole.is_dir() else shutil.copy)(whole, tmp_path / name)

    return make


def refused(source, named, error=FormatError):
    """Check that an import is refused, that the error names a file, and that nothing is left."""
    target = source.with_name("made")
    with pytest.raises(error) as caught:
        import_array(source, target)
    assert str(named) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return str(caught.value)


@needs_fifos
@pytest.mark.parametrize(
    "name",
    ["a.zarr/c/0/0/0/0", "a.zarr/zarr.json", "a.ome.zarr/1/zarr.json", "a.npy", "a.h5", "a"],
)
def test_a_fifo_is_refused_and_not_waited_for(copy, tmp_path, name):
    first = name.split("/")[0]
    path = (copy(first) if first != "a" else tmp_path / first).parent / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert run_python(CONVERT, tmp_path / first, cwd=tmp_path, timeout=30) == "ends with 7\n"
    assert not (tmp_path / "out").exists()


@needs_fifos
def test_a_fifo_among_tiff_files_is_named(tmp_path):
    pytest.importorskip("imagecodecs")
    (tmp_path / "tiffs").mkdir()
    os.mkfifo(tmp_path / "tiffs/i1.tif")
    told = run_python(CONVERT, tmp_path / "tiffs", cwd=tmp_path, timeout=30)
    assert told == "ends with 7\n"


@pytest.mark.parametrize(
    ("name", "called", "told"),
    [
        ("a.npy", "a.h5", r"holds npy, .* end in \.npy"),
        ("a.npy", "a.zarr", r"holds npy, .* end in \.npy"),
        ("a.npy", "a.tif", r"holds npy, .* end in \.npy"),
        ("a.h5", "a.npy", r"holds HDF5, .* end in \.h5"),
        ("a.h5", "a.tiff", r"holds HDF5, .* end in \.h5"),
    ],
)
def test_a_file_of_another_kind_than_its_suffix_says_is_told_of(copy, name, called, told):
    path = copy(name)
    renamed = path.rename(path.with_name(called))
    with pytest.raises(FormatError, match=f"{called} {told}"):
        import_array(renamed, path.with_name("made"))
    np.testing.assert_array_equal(import_array(renamed.rename(path), path.with_name("b")), VOLUMES)


@pytest.mark.parametrize("called", ["a.npz", "a.npy", "a.h5", "a.zarr"])
def test_a_zip_archive_is_told_to_be_one(tmp_path, called):
    np.savez(tmp_path / "whole.npz", a=VOLUMES)
    path = (tmp_path / "whole.npz").rename(tmp_path / called)
    with pytest.raises(FormatError, match=f"{called} is a zip archive .* unpack it"):
        import_array(path, tmp_path / "made")


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_hdf5_that_is_open_in_this_process_is_not_called_damaged(copy, mode):
    path = copy("a.h5")
    with h5py.File(path, mode):
        assert "is open elsewhere, in this process or for writing" in refused(path, path)
    assert import_array(path, path.with_name("made")).shape == VOLUMES.shape


def test_hdf5_that_another_process_writes_is_not_called_damaged(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as hdf5:
        hdf5["stack"] = VOLUMES
        hdf5.flush()
        told = run_python(IMPORT, path, cwd=tmp_path, timeout=60)
    assert told.startswith(f"{path} is open elsewhere")


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    return bytes(255 - byte if 40 < at < 90 else byte for at, byte in enumerate(data))


@pytest.mark.parametrize("spoil", [cut, flipped, lambda _: b"garbage" * 9])
def test_a_damaged_chunk_of_zarr_is_told_with_its_elements(copy, spoil):
    for name, array in (("a.zarr", ""), ("a.ome.zarr", "0/")):
        place = copy(name)
        chunk = place / f"{array}c/0/0/0/0"
        chunk.write_bytes(spoil(chunk.read_bytes()))
        assert "elements 0:" in refused(place, place)


@pytest.mark.parametrize("spoil", [cut, lambda _: b'{"a": "\xff"}', lambda _: b"[" * 99_999])
@pytest.mark.parametrize(
    "name", ["a.zarr/zarr.json", "a.ome.zarr/zarr.json", "a.ome.zarr/1/zarr.json"]
)
def test_a_damaged_document_of_zarr_is_named(copy, spoil, name):
    place = copy(name.split("/")[0])
    document = place.parent / name
    document.write_bytes(spoil(document.read_bytes()))
    refused(place, document)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"zarr_format": 3', b'"zarr_format": 9'),
        (b'"node_type": "array"', b'"node_type": "tree"'),
        (b'"chunk_shape"', b'"chunk_form"'),
        (b"256", b"1000000000"),
        (b'"uint16"', b'"text"'),
    ],
)
def test_a_document_of_zarr_that_makes_no_sense_is_refused(copy, old, new):
    for name, document in (("a.zarr", "zarr.json"), ("a.ome.zarr", "0/zarr.json")):
        place = copy(name)
        text = (place / document).read_bytes()
        (place / document).write_bytes(text.replace(old, new).replace(b"30,", new + b","))
        refused(place, place)


def test_a_link_that_leads_nowhere_is_no_chunk(copy):
    place = copy("a.zarr")
    chunk = place / "c/0/0/0/0"
    chunk.unlink()
    chunk.symlink_to("nowhere")
    refused(place, chunk)


def test_a_link_in_a_circle_is_gone_round_once(copy):
    place = copy("a.zarr")
    (place / "circle").symlink_to(place, target_is_directory=True)
    np.testing.assert_array_equal(import_array(place, place.with_name("made")), VOLUMES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"(5, 4,", b"(-1,4,"),
        (b"'shape'", b"'sha\n\n\t'"),
        (b"}", b"("),
        (b"<u2", b"|O "),
        (b"(5, 4, 30, 40), ", b"(5, 4, 30,3**99)"),
        (b"\x93NUMPY", b"\x93NUMPI"),
        (b"\x93NUMPY", b"PK\x03\x04AB"),
    ],
)
def test_a_damaged_header_of_npy_is_refused(copy, old, new):
    path = copy("a.npy")
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    refused(path, path)


def test_a_cut_npy_is_refused(copy):
    path = copy("a.npy")
    data = path.read_bytes()
    for size in (0, 3, 9, 60, len(data) - 1):
        path.write_bytes(data[:size])
        refused(path, path)


def complaint(path):
    """What an import says where it is refused."""
    try:
        made = import_array(path, path.with_name("made"))
    except FormatError as error:
        return str(error)
    shutil.rmtree(made.root)
    return None


def test_hdf5_that_is_damaged_anywhere_is_whole_or_refused(copy):
    path = copy("a.h5")
    whole = path.read_bytes()
    told = []
    for start in range(0, 8000, 200):
        path.write_bytes(whole[:start] + b"\xa5" * 60 + whole[start + 60 :])
        told.append(complaint(path))
        assert not path.with_name("made").exists()
    refusals = [each for each in told if each is not None]
    assert len(refusals) > 4
    assert all(str(path) in each for each in refusals)


def test_a_damaged_chunk_of_hdf5_is_told_with_its_elements(copy):
    path = copy("a.h5")
    with h5py.File(path) as hdf5:
        chunk = hdf5["stack"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)
    assert "elements 0:5" in refused(path, path)


def test_directories_where_files_are_meant_are_refused(tmp_path):
    pytest.importorskip("imagecodecs")
    (tmp_path / "d.npy").mkdir()
    refused(tmp_path / "d.npy", "d.npy is an empty directory", EmptySourceError)
    (tmp_path / "d.npy" / "notes.txt").write_text("mine")
    refused(tmp_path / "d.npy", "d.npy holds neither")
    (tmp_path / "tiffs/i1.tif").mkdir(parents=True)
    refused(tmp_path / "tiffs", tmp_path / "tiffs/i1.tif")
    (tmp_path / "tiffs/i1.tif").rmdir()
    (tmp_path / "tiffs/i1.tif").symlink_to("i1.tif")
    refused(tmp_path / "tiffs", tmp_path / "tiffs/i1.tif")


def test_what_the_disk_refuses_is_no_damage(copy, monkeypatch):
    path = copy("a.npy")

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(np.lib.format, "open_memmap", fail)
    refused(path, path, StorageError)


@pytest.mark.parametrize("source", [5, None, b"a.npy", [5], (b"a.npy",)])
def test_what_is_no_path_is_told_so(tmp_path, source):
    with pytest.raises(
        UnsupportedError, match="a path is a text or an os.PathLike, not "
    ) as caught:
        import_array(source, tmp_path / "made")
    one = source[0] if isinstance(source, list | tuple) else source
    assert str(caught.value).endswith(repr(one))


def test_an_empty_path_is_wrong_use(copy):
    path = copy("a.npy")
    for source, target in (("", "new"), (path, ""), ([""], "new")):
        with pytest.raises(UsageError, match="empty"):
            import_array(source, target)
    with pytest.raises(UsageError, match="empty"):
        SplitDataset("")
