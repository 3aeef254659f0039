"""Directories of other programs open as they are, and hostile ones run nothing."""

import json
import os
import pickle

import h5py
import numpy as np
import pytest

from haversack.errors import FormatError, HaversackError, PathNotFoundError, UnsupportedError
from haversack.split import SplitDataset, is_split
from haversack.split.chunks.codec import coding_named, encode

VOLUMES = (np.arange(10 * 3 * 8 * 9) % 997).astype("uint16").reshape(10, 3, 8, 9)


def write(path, data, key="stack_4D", blosc=False, chunks=None, **options):
    """Write one block as a microscope's program does."""
    with h5py.File(path, "w") as hdf5:
        if not blosc:
            hdf5.create_dataset(key, data=data, chunks=chunks, **options)
            return
        chunks = chunks or data.shape
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(chunks)
        nbytes = int(np.prod(chunks)) * data.itemsize
        properties.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, data.itemsize, nbytes, 9, 1))
        kind = h5py.h5t.py_create(data.dtype)
        space = h5py.h5s.create_simple(data.shape, (h5py.h5s.UNLIMITED,) * data.ndim)
        dataset = h5py.h5d.create(hdf5.id, key.encode(), kind, space, properties)
        full = np.zeros(chunks, data.dtype)
        full[tuple(map(slice, data.shape))] = data
        dataset.write_direct_chunk((0,) * data.ndim, encode(full, coding_named("blosc"), 0))


def directory(folder, about, names="{:04d}.h5", **options):
    """Lay out blocks of four volumes with their metadata."""
    folder.mkdir()
    for number, start in enumerate(range(0, 10, 4)):
        write(folder / names.format(number), VOLUMES[start : start + 4], **options)
    (folder / "stack_metadata.json").write_text(json.dumps(about))
    return folder


SASHIMI = {
    "shape_full": [10, 3, 8, 9],
    "shape_block": [4, 3, 8, 9],
    "crop": [0, 0, 9, 8],
    "padding": 0,
    "voxel_size": [5.0, 0.6, 0.6],
}
FIMPY = {**SASHIMI, "files": ["000.h5", "001.h5", "002.h5"], "padding": [0, 0, 0, 0]}
BRUNOISE = {"shape_full": [10, 3, 8, 9], "shape_block": [4, 3, 8, 9], "padding": [0, 0, 0, 0]}


@pytest.mark.parametrize(
    ("about", "options"),
    [
        (SASHIMI, {"blosc": True}),
        (SASHIMI, {"key": "stack"}),
        (FIMPY, {"names": "{:03d}.h5", "key": "stack", "blosc": True}),
        (BRUNOISE, {"chunks": (1, 3, 8, 9), "compression": "gzip", "shuffle": True}),
        (BRUNOISE, {"names": "{:06d}.h5", "fletcher32": True}),
        (BRUNOISE, {"blosc": True, "chunks": (81, 3, 8, 9)}),
        (BRUNOISE, {"names": "scan_{:d}.h5"}),
        (BRUNOISE, {"maxshape": (None, 3, 8, 9)}),
    ],
)
def test_each_dialect_opens_and_is_not_changed(tmp_path, about, options):
    folder = directory(tmp_path / "array", about, **options)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = SplitDataset(folder)
    np.testing.assert_array_equal(found[...], VOLUMES)
    np.testing.assert_array_equal(found[::-3, 1, [0, -1], ::2], VOLUMES[::-3, 1, [0, -1], ::2])
    assert found.dtype == np.uint16
    assert found.data_key == options.get("key", "stack_4D")
    assert found.verify() == []
    assert found.info()["checksums"] is False
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_voxel_size_is_the_resolution(tmp_path):
    assert SplitDataset(directory(tmp_path / "array", SASHIMI)).resolution == (5.0, 0.6, 0.6)
    assert SplitDataset(directory(tmp_path / "plain", BRUNOISE)).resolution == (1, 1, 1, 1)


def test_metadata_inside_of_the_last_block_is_found(tmp_path):
    folder = directory(tmp_path / "array", {})
    (folder / "stack_metadata.json").unlink()
    with h5py.File(folder / "0002.h5", "a") as hdf5:
        for name, lengths in (("full_size", (10, 3, 8, 9)), ("block_size", (4, 3, 8, 9))):
            group = hdf5.create_group(f"stack_metadata/{name}")
            group.attrs.update({f"i{i}": length for i, length in enumerate(lengths)})
            group.attrs["TITLE"] = np.bytes_(b"tuple:4")
    np.testing.assert_array_equal(SplitDataset(folder)[...], VOLUMES)


def test_two_arrays_in_one_directory_are_told_apart_by_prefix(tmp_path):
    folder = directory(tmp_path / "array", BRUNOISE, names="red_{:04d}.h5")
    (folder / "stack_metadata.json").rename(folder / "red_stack_metadata.json")
    np.testing.assert_array_equal(SplitDataset(folder)[...], VOLUMES)
    for path in list(folder.iterdir()):
        (folder / path.name.replace("red", "green")).write_bytes(path.read_bytes())
    with pytest.raises(FormatError, match="more than one array"):
        SplitDataset(folder)
    np.testing.assert_array_equal(SplitDataset(folder, prefix="green")[...], VOLUMES)


def test_a_recording_that_is_not_finished_says_so(tmp_path):
    folder = directory(tmp_path / "array", {})
    (folder / "stack_metadata.json").unlink()
    assert is_split(folder)
    with pytest.raises(FormatError, match="3 blocks but no stack_metadata.json"):
        SplitDataset(folder)


def test_a_recording_stopped_early_reads_as_far_as_it_goes(tmp_path):
    folder = directory(tmp_path / "array", {**BRUNOISE, "shape_full": [20, 3, 8, 9]})
    found = SplitDataset(folder)
    np.testing.assert_array_equal(found[:10], VOLUMES)
    with pytest.raises(FormatError, match="stopped early"):
        found[11]
    with pytest.raises(FormatError, match=r"0003.h5 is missing: block 3 of 5"):
        found[12:]
    assert [damage.path.name for damage in found.verify()] == ["0002.h5", "0003.h5", "0004.h5"]


def test_a_stray_block_is_named(tmp_path):
    folder = directory(tmp_path / "array", {**BRUNOISE, "shape_full": [8, 3, 8, 9]})
    with pytest.raises(FormatError, match=r"3 blocks .* describes 2: 0002.h5 does not belong"):
        SplitDataset(folder)


def test_blocks_of_different_dtypes_are_refused(tmp_path):
    folder = directory(tmp_path / "array", BRUNOISE)
    write(folder / "0001.h5", VOLUMES[4:8].astype("float32"))
    with pytest.raises(FormatError, match=r"0001.h5 does not belong here: float32"):
        SplitDataset(folder)[...]


def test_every_cut_of_a_foreign_block_is_an_error_or_right(tmp_path):
    folder = directory(tmp_path / "array", BRUNOISE, blosc=True)
    path = folder / "0000.h5"
    good = path.read_bytes()
    for length in range(0, len(good), 97):
        path.write_bytes(good[:length])
        try:
            np.testing.assert_array_equal(SplitDataset(folder)[...], VOLUMES)
        except HaversackError as error:
            assert "0000.h5" in str(error)  # noqa: PT017


def test_what_is_not_there_or_not_an_array_is_refused(tmp_path):
    with pytest.raises(PathNotFoundError):
        SplitDataset(tmp_path / "nothing")
    with pytest.raises(FormatError, match="not a split array"):
        SplitDataset(tmp_path)
    assert not is_split(tmp_path)
    assert not is_split(tmp_path / "nothing")


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickled_attributes_and_metadata_run_nothing(tmp_path):
    folder = directory(tmp_path / "array", BRUNOISE)
    marker = tmp_path / "ran"
    poison = np.void(pickle.dumps(Hostile(marker)))
    for path in folder.glob("*.h5"):
        with h5py.File(path, "a") as hdf5:
            hdf5.attrs["FILTERS"] = hdf5["stack_4D"].attrs["TITLE"] = poison
            hdf5.attrs["stack_metadata"] = poison
    np.testing.assert_array_equal(SplitDataset(folder)[...], VOLUMES)
    (folder / "stack_metadata.json").unlink()
    with h5py.File(folder / "0002.h5", "a") as hdf5:
        hdf5.create_group("stack_metadata").attrs["full_size"] = poison
    with pytest.raises(FormatError):
        SplitDataset(folder)
    assert not marker.exists()


def test_objects_text_and_data_in_other_files_are_refused(tmp_path):
    folder = directory(tmp_path / "array", BRUNOISE)
    secret = tmp_path / "secret.h5"
    write(secret, VOLUMES[:4])

    def objects(hdf5):
        hdf5.create_dataset("stack", data=["a", "b"], dtype=h5py.string_dtype())

    def ragged(hdf5):
        hdf5.create_dataset("stack", (4,), dtype=h5py.vlen_dtype("u1"))

    def link(hdf5):
        hdf5["stack"] = h5py.ExternalLink(str(secret), "stack_4D")

    def virtual(hdf5):
        layout = h5py.VirtualLayout((4, 3, 8, 9), "u2")
        layout[...] = h5py.VirtualSource(str(secret), "stack_4D", (4, 3, 8, 9))
        hdf5.create_virtual_dataset("stack", layout)

    def outside(hdf5):
        hdf5.create_dataset("stack", (4, 3, 8, 9), "u2", external=[(str(secret), 0, 1728)])

    for make in (objects, ragged, link, virtual, outside):
        with h5py.File(folder / "0000.h5", "w") as hdf5:
            make(hdf5)
        with pytest.raises((UnsupportedError, FormatError), match=r"0000.h5"):
            SplitDataset(folder)[0]


def test_a_chunk_that_claims_gigabytes_allocates_nothing(tmp_path):
    folder = directory(tmp_path / "array", {**BRUNOISE, "shape_block": [4, 3, 8, 9]})
    with h5py.File(folder / "0000.h5", "w") as hdf5:
        hdf5.create_dataset(
            "stack", (4, 3, 8, 9), "u2", chunks=(1 << 20, 3, 8, 9), maxshape=(None, 3, 8, 9)
        )
    with pytest.raises(FormatError, match="claims chunks of shape"):
        SplitDataset(folder)[0]


@pytest.mark.parametrize("options", [{"blosc": True}, {"compression": "gzip"}, {}])
def test_any_flipped_byte_of_a_foreign_block_is_an_error_or_data(tmp_path, options):
    """They have no checksums: wrong data may come, but nothing else goes wrong."""
    folder = directory(tmp_path / "array", BRUNOISE, **options)
    path = folder / "0000.h5"
    good = path.read_bytes()
    for place in range(0, len(good), 11):
        for bit in (1, 0x80):
            path.unlink()  # HDF5 knows files by their inode
            path.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
            found = first_volumes(folder)
            if isinstance(found, HaversackError):
                assert str(folder) in str(found)
            else:
                assert found.shape == VOLUMES[:4].shape


def first_volumes(folder):
    """The first block, or the error."""
    try:
        return SplitDataset(folder)[:4]
    except HaversackError as error:
        return error
