"""A tail whose checksum is right and whose content lies is refused."""

import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from haversack.errors import HaversackError
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.blockfiles.block import Place
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.split.blockfiles.tail import CHUNK, MAGIC, PIECE, Tail, encode_tail, read_tail
from haversack.storage.checksum import crc32c
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
        {"shape": (60.0, 400.0)},
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


@pytest.mark.parametrize("flags", [*range(64), *range(64, 256, 7)])
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


def forge_chunks(path, tail, body, count, **fields):
    """Put a block of ``count`` chunks behind each other, all of which are one place of a body."""
    chunks = np.zeros(count, CHUNK)
    for name, value in {"version": 2, "codec_version": 1, "typesize": 1, **fields}.items():
        chunks[name] = value
    chunks["first"] = np.arange(count)
    pieces = np.zeros(count, PIECE)
    pieces["start"], pieces["crc32c"] = 20, crc32c(body[20:])
    head = replace(tail.head, hdf5_size=len(body), shape=(count,), chunk_shape=(1,), dtype="|u1")
    path.write_bytes(body + encode_tail(Tail(head, chunks, pieces)))


def test_chunks_that_share_bytes_are_refused_before_any_memory_is_taken(tmp_path):
    folder = save_to_split_dataset(np.zeros(70_000, "u1"), tmp_path / "bomb").root
    path, body = folder / "0000.h5", bytes(1 << 20)
    tail = read_tail(RangeFile(path))
    forge_chunks(path, tail, body, 70_000, flags=0x20, nbytes=1, blocksize=1, size=len(body))
    tracemalloc.start()
    try:
        with pytest.raises(HaversackError, match=r"0000.h5.*contradicts itself"):
            SplitDataset(folder)[...]
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_pieces_of_a_stored_chunk_lie_where_its_bytes_do(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 70_000).astype("u1")
    folder = save_to_split_dataset(noise, tmp_path / "noise", compression=None).root
    path = folder / "0000.h5"
    tail = read_tail(RangeFile(path))
    assert tail.chunks["flags"][0] & 0x2
    assert len(tail.pieces) > 1
    pieces = tail.pieces.copy()
    pieces["start"], pieces["crc32c"] = 16, crc32c(b"")
    forge(path, Tail(tail.head, tail.chunks, pieces))
    with pytest.raises(HaversackError, match=r"0000.h5.*contradicts itself"):
        SplitDataset(folder)[...]


def test_a_block_size_of_nothing_is_refused(one):
    folder, path, tail = one
    chunks = np.repeat(tail.chunks[:1], len(tail.chunks))
    count = int(chunks["nbytes"][0])
    chunks["blocksize"], chunks["offset"] = 0, tail.chunks["offset"]
    chunks["first"] = np.arange(len(chunks)) * count
    forge(path, Tail(tail.head, chunks, np.zeros(len(chunks) * count, PIECE)))
    with pytest.raises(HaversackError, match=r"0000.h5"):
        SplitDataset(folder)[...]


def test_a_tail_of_a_sparse_file_takes_no_memory(one):
    folder, path, _ = one
    data = path.read_bytes()
    footer = struct.pack("<IIIII8s", 100, 1 << 28, 1 << 29, 1, 0, MAGIC)
    with path.open("wb") as file:
        file.truncate((100 << 30) - len(footer))
        file.seek(0, 2)
        file.write(footer)
    with pytest.raises(HaversackError, match=r"0000.h5: the tail is damaged: it claims"):
        SplitDataset(folder)[...]
    path.write_bytes(data)


def test_a_head_of_countless_levels_is_refused(one):
    folder, path, tail = one
    data = path.read_bytes()[: tail.head.hdf5_size]
    for head in (b"[" * 60_000, b"{" + b'"a":{' * 10_000, b" " * 100_000):
        footer = struct.pack("<IIII", len(head), 0, 0, 1)
        crc = crc32c(head + footer)
        path.write_bytes(data + head + footer + struct.pack("<I8s", crc, MAGIC))
        with pytest.raises(HaversackError, match=r"0000.h5"):
            SplitDataset(folder)[...]


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
    monkeypatch.setattr("haversack.split.blockfiles.tail.FORMAT", 2)
    path.write_bytes(data + encode_tail(tail))
    monkeypatch.undo()
    with pytest.raises(HaversackError, match="format 2, this haversack reads up to 1: upgrade"):
        OwnBlock(RangeFile(path), Place(tail.head.array, 0, None, ((0, 60), (0, 400))))


def test_chunks_coded_in_more_ways_than_anybody_does_are_refused(tmp_path):
    folder = save_to_split_dataset(np.zeros(100, "u1"), tmp_path / "ways").root
    path, body = folder / "0000.h5", bytes(1 << 10)
    tail = read_tail(RangeFile(path))
    chunks = np.zeros(100, CHUNK)
    chunks["version"], chunks["typesize"] = 2, np.arange(1, 101)
    chunks["nbytes"] = chunks["blocksize"] = 1
    chunks["offset"] = np.arange(100)
    head = replace(tail.head, hdf5_size=len(body), shape=(100,), chunk_shape=(1,), dtype="|u1")
    path.write_bytes(body + encode_tail(Tail(head, chunks, np.zeros(0, PIECE))))
    with pytest.raises(HaversackError, match=r"0000.h5.*contradicts itself"):
        SplitDataset(folder)[...]
