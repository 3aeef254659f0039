"""Some rows of a chunk are decoded from their blocks alone, and are what they were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import IntegrityError
from haversack.split.chunk import StoredChunk
from haversack.split.codec import coding_named, encode


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
    sums = np.array(StoredChunk(stored).checksums(), np.uint32)
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
    sums = np.array(chunk.checksums(), np.uint32)
    stored[chunk.extents[5][0] + 3] ^= 1
    damaged = StoredChunk(bytes(stored), sums)
    for rows in (range(5), range(6, 32)):
        found = damaged.decode(array.dtype, array.shape, rows)
        np.testing.assert_array_equal(found[rows.start : rows.stop], array[rows.start : rows.stop])
    with pytest.raises(IntegrityError, match="Blosc block 5"):
        damaged.decode(array.dtype, array.shape, range(4, 7))
