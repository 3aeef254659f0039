"""Some rows of a chunk are decoded from their blocks alone, and are what they were."""

import numcodecs.blosc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import IntegrityError
from haversack.split.chunk import StoredChunk
from haversack.split.codec import coding_named, encode, encode_in_blocks


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_any_rows_are_right(data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "u2", "f4", "f8", "c16"])))
    shape = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 5000)))
    top = data.draw(st.sampled_from([1, 9, 250]))
    array = np.random.default_rng(shape[1]).integers(0, top, shape).astype(dtype)
    name = data.draw(st.sampled_from(["blosc", "zstd", "zlib", None]))
    blocksize = data.draw(st.sampled_from([0, 4096, shape[1] * dtype.itemsize, 1 << 16]))
    stored = encode(array, coding_named(name), blocksize)
    sums = StoredChunk(stored).checksums()
    start = data.draw(st.integers(0, shape[0] - 1))
    stop = data.draw(st.integers(start + 1, shape[0]))
    chunk = StoredChunk(stored, sums)
    head = min(len(stored), chunk.header.body)
    rest = (len(stored), lambda at, count: stored[at : at + count])
    for one in (chunk, StoredChunk(stored[:head], sums, rest)):
        found = one.decode(dtype, shape, range(start, stop))
        np.testing.assert_array_equal(found[start:stop], array[start:stop])
    np.testing.assert_array_equal(chunk.decode(dtype, shape), array)


def test_rows_in_blocks_that_are_whole_read_beside_a_damaged_one():
    array = np.random.default_rng(1).integers(0, 50, (32, 128, 64)).astype("u2")
    stored = bytearray(encode(array, coding_named("zstd"), 128 * 64 * 2))
    chunk = StoredChunk(bytes(stored))
    assert len(chunk.extents) == 32
    sums = chunk.checksums()
    stored[chunk.extents[5][0] + 3] ^= 1
    damaged = StoredChunk(bytes(stored), sums)
    for rows in (range(5), range(6, 32)):
        found = damaged.decode(array.dtype, array.shape, rows)
        np.testing.assert_array_equal(found[rows.start : rows.stop], array[rows.start : rows.stop])
    with pytest.raises(IntegrityError, match="Blosc block 5"):
        damaged.decode(array.dtype, array.shape, range(4, 7))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_one_blosc_block_is_one_row_and_any_blosc_decodes_the_whole(data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "u2", "f4", "f8"])))
    shape = (data.draw(st.integers(2, 9)), data.draw(st.sampled_from([600, 1024, 16384])))
    array = np.random.default_rng(shape[1]).integers(0, 9, shape).astype(dtype)
    coding = coding_named(data.draw(st.sampled_from(["blosc", "zstd", "zlib"])))
    stored = encode_in_blocks(array, coding, array[0].nbytes)
    assert StoredChunk(stored).header.blocksize == array[0].nbytes
    whole = np.frombuffer(numcodecs.blosc.decompress(stored), dtype).reshape(shape)
    np.testing.assert_array_equal(whole, array)
    chunk = StoredChunk(stored, StoredChunk(stored).checksums())
    for row in range(shape[0]):
        found = chunk.decode(dtype, shape, range(row, row + 1))
        np.testing.assert_array_equal(found[row], array[row])


@pytest.mark.parametrize("noisy", [range(8), range(1), range(7, 8)], ids=["all", "first", "last"])
def test_rows_that_cannot_be_compressed_are_kept_whole(noisy):
    array = np.zeros((8, 4096), np.uint16)
    for row in noisy:
        array[row] = np.random.default_rng(row).integers(0, 1 << 16, 4096)
    stored = encode_in_blocks(array, coding_named("blosc"), array[0].nbytes)
    found = StoredChunk(stored).decode(array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    assert len(stored) <= array.nbytes + 16
