"""What is packed comes back: dtype, shape, bytes, metadata and order."""

import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import UnsupportedError, UsageError
from haversack.packed import PackWriter, open_packed, pack

from .conftest import arrays, same

BLOSC = ["blosc-lz4", "blosc-zstd-bitshuffle-3", "blosc-lz4-noshuffle"]
CODECS = ["none", "auto", *BLOSC, "zstd", "gzip"]


@settings(max_examples=60)
@given(st.lists(arrays(), max_size=8), st.sampled_from(CODECS), st.integers(1, 2000))
def test_every_array_comes_back_exactly(records, codec, chunk_bytes):
    with tempfile.TemporaryDirectory() as folder:
        with PackWriter(f"{folder}/ds", codec=codec, chunk_bytes=chunk_bytes) as writer:
            for record in records:
                writer.append(record)
        ds = open_packed(f"{folder}/ds")
        assert len(ds) == len(records)
        assert all(same(ds[i].data, record) for i, record in enumerate(records))
        taken = ds.take(range(len(records)))
        assert all(same(taken[i][...], record) for i, record in enumerate(records) if record.ndim)
        assert ds.verify() == []


@settings(max_examples=30)
@given(arrays(), st.integers(1, 30), st.sampled_from(CODECS), st.data())
def test_records_of_one_kind_stack_like_numpy(first, count, codec, data):
    with tempfile.TemporaryDirectory() as folder:
        oracle = np.empty((count, *first.shape), first.dtype)
        oracle[...] = first
        chunk_bytes = data.draw(st.integers(1, 4 * first.nbytes + 1))
        with PackWriter(f"{folder}/ds", codec=codec, chunk_bytes=chunk_bytes) as writer:
            for record in oracle:
                writer.append(np.asarray(record, first.dtype))
        ds = open_packed(f"{folder}/ds")
        chosen = data.draw(st.lists(st.integers(-count, count - 1), min_size=1))
        assert same(ds.take(chosen), oracle[chosen])
        out = np.empty_like(oracle[chosen])
        assert ds.take(chosen, out=out) is out
        assert same(out, oracle[chosen])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 1, 784, 300_000])
def test_codecs_give_compressible_and_random_bytes_back(tmp_path, codec, size):
    random = np.random.default_rng(0).integers(0, 1 << 16, size, "u2")
    ds = pack([random, np.zeros(size, "f8"), np.arange(size)], tmp_path / "ds", codec=codec)
    assert same(ds[0].data, random)
    assert same(ds[1].data, np.zeros(size, "f8"))
    assert same(ds[2].data, np.arange(size))


def test_structures_keep_offsets_and_subarrays(tmp_path):
    dtype = np.dtype(
        {"names": ["b", "a"], "formats": ["<f4", (">i2", (2,))], "offsets": [8, 0], "itemsize": 16}
    )
    array = np.zeros(3, dtype)
    array["a"], array["b"] = [[1, 2]] * 3, [0.5, 1.5, np.nan]
    found = pack([array], tmp_path / "ds")[0].data
    assert found.dtype == dtype
    assert found.dtype.fields == dtype.fields
    assert same(found, array)


def test_arrays_that_would_be_pickled_or_lose_a_part_are_refused(tmp_path):
    wrong = [
        np.array([object()]),
        np.zeros(2, [("a", "O")]),
        np.ma.masked_array([1, 2], [True, False]),
        [[1, 2], [3]],
        "text",
        b"bytes",
        None,
        {"a": 1},
        np.zeros(2, {"names": ["a"], "formats": ["f4"], "titles": [("no", "text")]}),
    ]
    with PackWriter(tmp_path / "ds") as writer:
        for value in wrong:
            with pytest.raises(UnsupportedError):
                writer.append(value)
        writer.append(np.arange(3))
    assert [r.data.tolist() for r in open_packed(tmp_path / "ds")] == [[0, 1, 2]]


def test_data_is_read_only_and_outlives_the_dataset(small):
    ds = open_packed(small)
    data = ds[0].data
    ds.close()
    del ds
    assert data.tolist() == [[0] * 4] * 3
    with pytest.raises(ValueError, match="read-only"):
        data[0] = 1


def test_take_gives_arrays_of_its_own(small):
    taken = open_packed(small).take([0, 0])
    taken[0] = 1
    assert taken[1].tolist() == [[0] * 4] * 3


def test_out_of_the_wrong_kind_is_refused(tmp_path):
    ds = pack([np.zeros(4, "f4")] * 3, tmp_path / "ds")
    for out in (np.empty((2, 4)), np.empty((3, 4), "f4"), np.empty((4, 2), "f4").T):
        with pytest.raises(UsageError, match="out"):
            ds.take([0, 1], out=out)


def test_neighbouring_chunks_with_gaps_between_read_as_one(tmp_path):
    oracle = np.random.default_rng(3).integers(0, 255, (500, 37), "u1")
    for part in np.split(oracle, [1, 3, 200, 201, 450]):
        with PackWriter(tmp_path / "ds", chunk_bytes=2000) as writer:
            for record in part:
                writer.append(record)
    ds = open_packed(tmp_path / "ds")
    assert len(ds.manifest.chunks) > 8
    for _ in range(3):
        chosen = np.random.default_rng(4).integers(0, 500, 300)
        assert same(ds.take(chosen), oracle[chosen])
    assert all(same(ds[i].data, oracle[i]) for i in range(500))
    assert same(np.stack([r.data for r in ds]), oracle)
