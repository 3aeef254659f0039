"""Batches give every record once, in an order that depends on nothing but seed and epoch."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import UsageError
from haversack.packed import PackWriter, mapped, open_packed, pack
from haversack.packed.shuffle import Permutation


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    items = [(np.full(5, n), {"n": n}) for n in range(100)]
    return pack(items, tmp_path_factory.mktemp("packed") / "ds", chunk_bytes=900)


@given(st.integers(0, 3000), st.integers(0, 2**40), st.integers(0, 5))
def test_a_shuffled_order_is_a_permutation(count, seed, epoch):
    order = Permutation(count, seed=seed, epoch=epoch)
    found = order[0:count]
    assert sorted(found.tolist()) == list(range(count))
    half = count // 2
    assert np.concatenate([order[0:half], order[half:count]]).tolist() == found.tolist()


def test_orders_of_few_records_are_all_possible():
    seen = {tuple(Permutation(4, seed=seed, epoch=0)[0:4].tolist()) for seed in range(1000)}
    assert len(seen) == 24


def test_a_shuffled_order_has_no_pattern():
    count = 100_003
    order = Permutation(count, seed=1, epoch=0)[0:count]
    place = np.arange(count)
    assert abs(np.corrcoef(place, order)[0, 1]) < 0.02
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.02
    buckets = np.histogram(order[:10_000], bins=10, range=(0, count))[0]
    assert buckets.min() > 850
    other = Permutation(count, seed=1, epoch=1)[0:count]
    assert (order == other).sum() < 20


def test_the_order_of_a_seed_never_changes():
    assert Permutation(10, seed=7, epoch=0)[0:10].tolist() == ORDER
    assert Permutation(10, seed=7, epoch=1)[0:10].tolist() != ORDER


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 130), st.booleans(), st.booleans(), st.integers(0, 3), st.integers(0, 9))
def test_batches_are_the_order_cut_into_pieces(hundred, size, shuffle, drop_last, threads, seed):
    found = list(
        hundred.batches(size, shuffle=shuffle, drop_last=drop_last, threads=threads, seed=seed)
    )
    order = Permutation(100, seed=seed, epoch=0)[0:100] if shuffle else np.arange(100)
    whole = 100 - 100 % size if drop_last else 100
    assert [batch.indices.tolist() for batch in found] == [
        order[start : start + size].tolist() for start in range(0, whole, size)
    ]
    for batch in found:
        assert batch.data[:, 0].tolist() == batch.indices.tolist()


def test_a_batch_finds_its_metadata(hundred):
    chosen = hundred.filter("n % 3 = 0")
    for batch in chosen.batches(7, shuffle=True):
        assert batch.metadata()["n"].tolist() == batch.data[:, 0].tolist()
        assert (np.array(range(0, 100, 3))[batch.indices] == batch.data[:, 0]).all()
        assert "records" in repr(batch)


def test_batches_of_records_that_differ_are_lists(tmp_path):
    ds = pack([np.zeros(n) for n in range(6)], tmp_path / "ds")
    (batch,) = ds.batches(6)
    assert [len(array) for array in batch.data] == list(range(6))


def test_leaving_early_stops_the_threads(hundred):
    before = threading.active_count()
    batches = hundred.batches(1, threads=3)
    next(batches)
    batches.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 3, "threads": -1}])
def test_batches_that_make_no_sense_are_refused_at_once(hundred, wrong):
    with pytest.raises(UsageError):
        hundred.batches(**wrong)


ORDER = [6, 2, 9, 7, 4, 5, 1, 8, 3, 0]


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize("chunk_bytes", [30_000, 1 << 30])
def test_a_dataset_larger_than_memory_reads_the_same(tmp_path, monkeypatch, codec, chunk_bytes):
    monkeypatch.setattr(mapped, "memory", lambda: 1000)
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (500, 700), "u1")
    with PackWriter(tmp_path / "ds", codec=codec, chunk_bytes=chunk_bytes) as writer:
        for array in data:
            writer.append(array)
    ds = open_packed(tmp_path / "ds")
    for size in (0, 1, 2, 300, 500):
        order = rng.permutation(500)[:size]
        assert len(ds.take(order)) == size
        assert all(map(np.array_equal, ds.take(order), data[order]))
    assert np.array_equal(np.concatenate([batch.data for batch in ds.batches(64)]), data)
