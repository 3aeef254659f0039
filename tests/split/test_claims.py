"""No shape that a file claims takes memory, and none ends in anything but a clear error."""

import json
import os
import tracemalloc
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from haversack.errors import FormatError, HaversackError, TooLargeError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.reductions.streaming import pieces

from .test_foreign import BRUNOISE, VOLUMES, directory

LARGE = (1 << 16, 1 << 15)


@contextmanager
def little_memory(most=48 << 20):
    """See that no more than this is taken at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def hollow(folder, shape, **options):
    """An array of one block that claims a shape, of which nothing is stored."""
    folder.mkdir()
    with h5py.File(folder / "0000.h5", "w") as hdf5:
        hdf5.create_dataset("stack", shape, "u1", **options)
    about = {"shape_full": shape, "shape_block": shape}
    (folder / "stack_metadata.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"chunks": (64, 64)},
        {"chunks": (1, 1)},
        {"chunks": (1 << 13, 1 << 15)},
        {},
    ],
)
@pytest.mark.parametrize("shape", [LARGE, (1 << 28, 1 << 29)])
def test_verify_takes_no_memory_for_what_is_not_stored(tmp_path, shape, options):
    dataset = SplitDataset(hollow(tmp_path / "a", shape, **options))
    with little_memory():
        assert dataset.verify() == []
        assert dataset.info()["shape"] == [*shape]


def test_verify_reads_a_large_block_chunk_by_chunk(tmp_path):
    folder = hollow(tmp_path / "a", (1 << 13, 1 << 13), compression="gzip", chunks=(64, 1 << 13))
    with h5py.File(folder / "0000.h5", "a") as hdf5:
        for start in range(0, 1 << 13, 64):
            hdf5["stack"][start : start + 64] = 7
        where = hdf5["stack"].id.get_chunk_info(5).byte_offset
    with little_memory(8 << 20):
        assert SplitDataset(folder).verify() == []
    with (folder / "0000.h5").open("r+b") as file:
        file.seek(where)
        file.write(b"damage")
    [damage] = SplitDataset(folder).verify()
    assert damage.path.name == "0000.h5"
    assert "chunk (5, 0)" in str(damage)


def test_contiguous_data_that_the_file_has_not_is_told_once(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE)
    path = folder / "0000.h5"
    with h5py.File(path) as hdf5:
        offset = hdf5["stack_4D"].id.get_offset()
    assert SplitDataset(folder).verify() == []
    path.write_bytes(path.read_bytes()[: offset + 100])
    assert [damage.path.name for damage in SplitDataset(folder).verify()] == ["0000.h5"]


@pytest.mark.parametrize("count", [3, 1 << 17])
def test_metadata_that_claims_more_than_the_blocks_have_is_an_error(tmp_path, count):
    folder = directory(tmp_path / "a", BRUNOISE)
    about = {"shape_full": [4 * count, 1 << 12, 1 << 12, 1 << 9], "shape_block": [4, 1 << 12]}
    (folder / "stack_metadata.json").write_text(json.dumps(about))
    dataset = SplitDataset(folder)
    with little_memory():
        assert len(dataset.verify()) < 2000
        dataset.info()
        for read in (dataset.max, dataset.view[0].mean, lambda: next(iter(dataset))):
            with pytest.raises(HaversackError):
                read()


@pytest.mark.parametrize("shape", [[1 << 40, 1 << 20], [1 << 40] * 3, [1, 1 << 61], [2] * 33])
def test_shapes_that_no_array_has_are_refused_when_it_is_opened(tmp_path, shape):
    folder = directory(tmp_path / "a", {"shape_full": shape, "shape_block": shape})
    with pytest.raises(FormatError, match="larger than any array"):
        SplitDataset(folder)


def test_a_result_that_memory_cannot_hold_is_told_as_that(tmp_path):
    dataset = SplitDataset(hollow(tmp_path / "a", (1 << 28, 1 << 29), compression="gzip"))
    for read in (
        lambda: dataset[...],
        lambda: np.asarray(dataset),
        lambda: dataset.read_many([0, slice(None)]),
        lambda: dataset.view[::3][...],
        lambda: dataset.sum(axis=()),
        lambda: save_to_split_dataset(dataset, tmp_path / "b"),
    ):
        with pytest.raises(TooLargeError, match="memory") as told:
            read()
        assert isinstance(told.value, MemoryError)
    assert not (tmp_path / "b").exists()
    assert dataset[-1, -5:].tolist() == [0] * 5


def test_coordinates_that_memory_cannot_hold_are_told_as_that(tmp_path):
    pytest.importorskip("xarray")
    dataset = SplitDataset(hollow(tmp_path / "a", (1 << 57,), chunks=(1 << 20,)))
    with pytest.raises(TooLargeError):
        dataset.to_xarray()


def test_wide_rows_are_gone_over_in_pieces_that_cover_all_once(tmp_path):
    dataset = SplitDataset(hollow(tmp_path / "a", (20, 3, 1 << 27), compression="gzip"))
    total, most = 0, 0
    for region in pieces(dataset.view[...]):
        size = int(np.prod([each.stop - each.start for each in region]))
        total, most = total + size, max(most, size)
    assert (total, most <= 256 << 20) == (dataset.size, True)
    with little_memory(300 << 20):
        assert dataset.view[:9, 1, ::3].max() == 0


def test_chunks_with_nothing_but_the_fill_value_are_read(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE)
    with h5py.File(folder / "0000.h5", "w") as hdf5:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((3, 3, 8, 5))
        properties.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 2, 720, 9, 1))
        properties.set_fill_value(np.array(7, "u2"))
        kind, space = h5py.h5t.py_create(VOLUMES.dtype), h5py.h5s.create_simple((4, 3, 8, 9))
        h5py.h5d.create(hdf5.id, b"stack", kind, space, properties)
    dataset = SplitDataset(folder)
    assert (dataset[:4] == 7).all()
    np.testing.assert_array_equal(dataset[4:], VOLUMES[4:])
    assert dataset.verify() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without FIFOs")
@pytest.mark.parametrize("name", ["stack_metadata.json", "0000.h5"])
def test_a_fifo_is_refused_and_not_waited_for(tmp_path, name):
    if name != "stack_metadata.json":
        (tmp_path / "stack_metadata.json").write_text('{"shape_full": [5], "shape_block": [1]}')
    os.mkfifo(tmp_path / name)
    with pytest.raises(FormatError, match="FIFO"):
        SplitDataset(tmp_path)[0]


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="a system without /dev/zero")
def test_a_file_without_an_end_is_not_read(tmp_path):
    (tmp_path / "stack_metadata.json").symlink_to("/dev/zero")
    with pytest.raises(FormatError, match="a device"):
        SplitDataset(tmp_path)
