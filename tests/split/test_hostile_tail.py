"""A tail whose checksum is right and whose content lies is refused."""

from dataclasses import replace

import numpy as np
import pytest

from haversack.errors import HaversackError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.block import Place
from haversack.split.ownblock import OwnBlock
from haversack.split.tail import CHUNK, Tail, encode_tail, read_tail
from haversack.storage.ranges import RangeFile


@pytest.fixture
def one(tmp_path):
    """An array of one block, its file, and its tail."""
    array = np.arange(60 * 400, dtype="uint16").reshape(60, 400)
    folder = save_to_split_dataset(array, tmp_path / "array").root
    return folder, folder / "0000.h5", read_tail(RangeFile(folder / "0000.h5"))


def forge(path, tail, **head):
    """Put a tail of these contents behind the block."""
    data = path.read_bytes()[: tail.head.hdf5_size]
    path.write_bytes(data + encode_tail(replace(tail, head=replace(tail.head, **head))))


@pytest.mark.parametrize(
    "head",
    [
        {"dtype": "O"},
        {"dtype": "nonsense"},
        {"dtype": ">u2"},
        {"dtype": None},
        {"shape": (60, 401)},
        {"shape": ()},
        {"shape": ("a", {})},
        {"chunk_shape": (0, 400)},
        {"chunk_shape": (-60, -400)},
        {"chunk_shape": (60,)},
        {"chunk_shape": ()},
        {"chunk_shape": (1 << 30, 400)},
        {"chunk_shape": (1, 1)},
        {"chunk_shape": (60, "x")},
        {"block": "0"},
        {"array": 7},
    ],
)
def test_a_lying_head_is_refused(one, head):
    folder, path, tail = one
    forge(path, tail, **head)
    with pytest.raises(HaversackError, match=r"0000.h5"):
        SplitDataset(folder)[...]
    assert SplitDataset(folder).verify()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offset", 1 << 40),
        ("offset", (1 << 64) - 1),
        ("offset", 0),
        ("size", 0),
        ("size", 5),
        ("size", (1 << 32) - 1),
    ]
    + [("first", value) for value in (1, 99, (1 << 32) - 1)]
    + [("nbytes", value) for value in (0, 1, (1 << 32) - 1)]
    + [("blocksize", value) for value in (0, 1, 7, (1 << 32) - 1)]
    + [("typesize", 0), ("version", 1), ("version", 5)]
    + [("flags", value) for value in (0x2, 0x5, 0x8, 0xFF)],
)
def test_a_lying_chunk_table_is_refused(one, field, value):
    folder, path, tail = one
    chunks = tail.chunks.astype(CHUNK)
    chunks[field][0] = value
    forge(path, Tail(tail.head, chunks, tail.pieces))
    with pytest.raises(HaversackError, match=r"0000.h5"):
        SplitDataset(folder)[...]


@pytest.mark.parametrize("start", [0, 15, 17, (1 << 31) - 1, (1 << 32) - 1])
def test_a_lying_table_of_blosc_blocks_is_refused(one, start):
    folder, path, tail = one
    for number in range(len(tail.pieces)):
        pieces = tail.pieces.copy()
        pieces["start"][number] = start
        forge(path, Tail(tail.head, tail.chunks, pieces))
        with pytest.raises(HaversackError, match=r"0000.h5"):
            SplitDataset(folder)[...]


@pytest.mark.parametrize("flags", range(256))
def test_no_flags_of_a_chunk_harm(one, flags):
    folder, path, tail = one
    chunks = tail.chunks.copy()
    chunks["flags"] = flags
    forge(path, Tail(tail.head, chunks, tail.pieces))
    try:
        found = SplitDataset(folder)[...]
    except HaversackError:
        return
    assert found.shape == (60, 400)


def test_a_lying_size_of_the_hdf5_part_is_found_by_verify(one):
    folder, path, tail = one
    for size in (-1, 1, 1 << 50):
        data = path.read_bytes()[: tail.head.hdf5_size]
        forged = replace(tail, head=replace(tail.head, hdf5_size=size))
        path.write_bytes(data + encode_tail(forged))
        assert len(SplitDataset(folder).verify()) == 1
        path.write_bytes(data + encode_tail(tail))


def test_a_newer_tail_says_upgrade(one, monkeypatch):
    _, path, tail = one
    data = path.read_bytes()[: tail.head.hdf5_size]
    monkeypatch.setattr("haversack.split.tail.FORMAT", 2)
    path.write_bytes(data + encode_tail(tail))
    monkeypatch.undo()
    with pytest.raises(HaversackError, match="format 2, this haversack reads up to 1: upgrade"):
        OwnBlock(RangeFile(path), Place(tail.head.array, 0, None, ((0, 60), (0, 400))))
