"""Rows of chunks are decoded from their Blosc blocks alone, and are what they were."""

from collections import deque

import numcodecs.blosc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import FormatError, IntegrityError
from haversack.split.blockfiles.block import Place
from haversack.split.blockfiles.ownblock import OwnBlock
from haversack.split.blockfiles.tail import CHUNK, PIECE, BlockHead, Tail, encode_tail
from haversack.split.chunks import blosc
from haversack.split.chunks.chunk import StoredChunk, in_order
from haversack.split.chunks.codec import coding_named, encode, encode_in_blocks
from haversack.storage.checksum import crc32c
from haversack.storage.ranges import RangeFile

ID = "0" * 32


def block_of(path, arrays, stored):
    """Make a block of chunks that lie behind each other in time, with a gap before each."""
    data, table, pieces = b"", [], []
    for number, chunk in enumerate(stored):
        data += bytes(number * 5000)
        found = StoredChunk(chunk)
        table.append((*found.header, len(data), len(pieces)))
        pieces += zip(found.starts, map(crc32c, found.pieces()), strict=True)
        data += chunk
    array = np.concatenate(arrays)
    head = BlockHead(
        ID, ID, 0, array.dtype.str, array.shape, arrays[0].shape, len(data), crc32c(data)
    )
    tail = encode_tail(Tail(head, np.array(table, CHUNK), np.array(pieces, PIECE)))
    path.write_bytes(data + tail)
    return OwnBlock(RangeFile(path), Place(ID, 0, array.dtype, tuple((0, n) for n in array.shape)))


def draw_chunks(data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "u2", "f4", "f8", "c16"])))
    shape = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3000)))
    blocksize = data.draw(st.sampled_from([0, 4096, shape[1] * dtype.itemsize, 1 << 16]))
    rng = np.random.default_rng(shape[1])
    arrays, stored = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        top = data.draw(st.sampled_from([1, 9, 250, 1 << 60]))
        bits = rng.integers(0, top, shape)
        arrays.append(bits.astype(dtype) if top < 251 else bits.astype("u8").astype(dtype))
        make = data.draw(st.sampled_from([encode, encode_in_blocks])) if blocksize else encode
        coding = coding_named(data.draw(st.sampled_from(["blosc", "zstd", "zlib", None])))
        stored.append(in_order(make(arrays[-1], coding, blocksize)))
    return arrays, stored


@settings(max_examples=80)
@given(data=st.data())
def test_any_rows_of_any_chunks_are_right(tmp_path_factory, data):
    arrays, stored = draw_chunks(data)
    block = block_of(tmp_path_factory.mktemp("any") / "block", arrays, stored)
    wanted = []
    for number in data.draw(st.lists(st.integers(0, len(arrays) - 1), min_size=1, max_size=5)):
        start = data.draw(st.integers(0, len(arrays[0]) - 1))
        wanted.append((number, range(start, data.draw(st.integers(start + 1, len(arrays[0]))))))
    fetch = block.fetch([((number, 0), rows) for number, rows in wanted])
    fetch.expect()
    fetch.read()
    for (number, rows), found in zip(wanted, fetch.arrays(), strict=True):
        np.testing.assert_array_equal(found, arrays[number][rows.start : rows.stop])
    np.testing.assert_array_equal(block.whole(), np.concatenate(arrays))
    assert list(block.verify()) == []


def test_numcodecs_decodes_what_libblosc2_does(tmp_path, monkeypatch):
    array = np.random.default_rng(1).integers(0, 50, (32, 128, 64)).astype("u2")
    stored = encode_in_blocks(array, coding_named("zstd"), array[0].nbytes)
    block = block_of(tmp_path / "block", [array, array], [stored, stored])
    assert blosc._library is not None, "blosc2 is a dependency"
    first = block.whole()
    monkeypatch.setattr(blosc, "_library", None)
    monkeypatch.setattr(blosc, "_idle", deque())
    np.testing.assert_array_equal(block.whole(), first)
    np.testing.assert_array_equal(first, np.concatenate([array, array]))


def arrays_of(block, rows):
    """Read rows of its first chunk."""
    fetch = block.fetch([((0, 0, 0), rows)])
    fetch.read()
    return [array.copy() for array in fetch.arrays()]


def test_rows_in_blocks_that_are_whole_read_beside_a_damaged_one(tmp_path):
    array = np.random.default_rng(1).integers(0, 50, (32, 128, 64)).astype("u2")
    stored = in_order(encode(array, coding_named("zstd"), 128 * 64 * 2))
    chunk = StoredChunk(stored)
    assert len(chunk.starts) == 32
    block = block_of(tmp_path / "block", [array], [stored])
    with (tmp_path / "block").open("r+b") as file:
        file.seek(chunk.starts[5] + 3)
        file.write(bytes([stored[chunk.starts[5] + 3] ^ 1]))
    for rows in (range(5), range(6, 32)):
        (found,) = arrays_of(block, rows)
        np.testing.assert_array_equal(found, array[rows.start : rows.stop])
    place = f"Blosc block at byte {chunk.starts[5]} does not match"
    with pytest.raises(IntegrityError, match=place):
        arrays_of(block, range(4, 7))


def test_a_body_that_no_blosc_wrote_is_an_error(tmp_path):
    array = np.arange(64 * 1000, dtype="u2").reshape(64, 1000)
    stored = bytearray(encode_in_blocks(array, coding_named("blosc"), array[0].nbytes * 32))
    stored[-3000:] = b"\xff" * 3000
    block = block_of(tmp_path / "block", [array], [bytes(stored)])
    with pytest.raises(FormatError, match="block: the chunk that holds .* cannot be decoded"):
        block.whole()


@settings(max_examples=60)
@given(data=st.data())
def test_one_blosc_block_is_one_row_and_any_blosc_decodes_the_whole(data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "u2", "f4", "f8"])))
    shape = (data.draw(st.integers(2, 9)), data.draw(st.sampled_from([600, 1024, 16384])))
    array = np.random.default_rng(shape[1]).integers(0, 9, shape).astype(dtype)
    coding = coding_named(data.draw(st.sampled_from(["blosc", "zstd", "zlib"])))
    stored = encode_in_blocks(array, coding, array[0].nbytes)
    assert StoredChunk(stored).header.blocksize == array[0].nbytes
    whole = np.frombuffer(numcodecs.blosc.decompress(stored), dtype).reshape(shape)
    np.testing.assert_array_equal(whole, array)


@pytest.mark.parametrize("noisy", [range(8), range(1), range(7, 8)], ids=["all", "first", "last"])
def test_rows_that_cannot_be_compressed_are_kept_whole(noisy):
    array = np.zeros((8, 4096), np.uint16)
    for row in noisy:
        array[row] = np.random.default_rng(row).integers(0, 1 << 16, 4096)
    stored = encode_in_blocks(array, coding_named("blosc"), array[0].nbytes)
    found = StoredChunk(stored)
    np.testing.assert_array_equal(found.decode(array.dtype, array.shape), array)
    whole = np.frombuffer(numcodecs.blosc.decompress(stored), array.dtype).reshape(array.shape)
    np.testing.assert_array_equal(whole, array)
    assert len(stored) <= array.nbytes + 16
    assert len(noisy) < len(array) or found.header.blocksize == array[0].nbytes


def test_blosc_blocks_are_put_in_order():
    array = np.random.default_rng(3).integers(0, 50, 1 << 17).astype("u2")
    chunk = StoredChunk(encode(array, coding_named("blosc"), 1 << 16))
    pieces = chunk.pieces()
    starts = [chunk.header.body]
    for piece in reversed(pieces[1:]):
        starts.append(starts[-1] + len(piece))
    table = np.array([starts[-1 - n] for n in range(len(pieces))], "<u4").tobytes()
    shuffled = chunk.data[:16] + table + b"".join(reversed(pieces))
    ordered = StoredChunk(in_order(shuffled))
    assert ordered.starts == sorted(ordered.starts)
    np.testing.assert_array_equal(ordered.decode(array.dtype, array.shape), array)
