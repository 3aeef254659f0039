"""Batches give every record once, in an order that depends on nothing but seed and epoch."""

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import IntegrityError, UsageError
from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.batches import filling
from haversack.packed.batches.shuffle import Permutation, Windows
from haversack.packed.reading import mapped


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


@given(st.integers(2**32 - 9, 2**40), st.integers(0, 2**40))
def test_orders_of_more_records_than_32_bits_count_are_permutations_too(count, seed):
    order = Permutation(count, seed=seed, epoch=0)
    places = np.unique(np.linspace(0, count - 1, 50).astype(np.int64))
    found = order.at(places)
    assert len(set(found.tolist())) == len(places)
    assert 0 <= found.min() <= found.max() < count
    assert [order.place(value) for value in found[:5].tolist()] == places[:5].tolist()


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


@settings(max_examples=40)
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


@settings(max_examples=25)
@given(
    count=st.integers(0, 100),
    size=st.integers(1, 40),
    world=st.integers(1, 5),
    threads=st.integers(0, 3),
    window=st.none() | st.integers(1, 130),
    shuffle=st.sampled_from([True, False, "window"]),
    drop_last=st.booleans(),
    even=st.booleans(),
    seed=st.integers(0, 5),
)
def test_all_ranks_together_have_every_record_once(
    hundred, count, size, world, threads, window, shuffle, drop_last, even, seed
):
    given = {"window": window, "shuffle": shuffle, "drop_last": drop_last, "even": even}
    loaders = [
        hundred[:count].batches(
            size, rank=rank, world=world, threads=threads, seed=seed, epoch=1, **given
        )
        for rank in range(world)
    ]
    ranks = [list(loader) for loader in loaders]
    assert [len(rank) for rank in ranks] == [len(loader) for loader in loaders]
    assert max(map(len, ranks)) - min(map(len, ranks)) <= (not even)
    batches = [batch for rank in ranks for batch in rank]
    assert all((batch.data[:, 0] == batch.indices).all() for batch in batches)
    found = sorted(index for batch in batches for index in batch.indices.tolist())
    assert len(set(found)) == len(found)
    if not drop_last and not even:
        assert found == list(range(count))
    else:
        assert all(len(batch) == size for batch in batches) or not drop_last
        assert count - len(found) < size * (world if even else 1)


def test_ranks_take_turns_in_one_order(hundred):
    whole = [batch.indices.tolist() for batch in hundred.batches(7, shuffle=True, seed=3)]
    for rank in range(3):
        part = hundred.batches(7, shuffle=True, seed=3, rank=rank, world=3)
        assert [batch.indices.tolist() for batch in part] == whole[rank::3]


@given(
    st.integers(0, 500), st.integers(1, 60), st.integers(1, 9), st.integers(0, 9), st.integers(0, 3)
)
def test_a_windowed_order_keeps_blocks_of_neighbours_in_one_window(
    count, block, blocks, seed, epoch
):
    order = Windows(count, block=block, blocks=blocks, seed=seed, epoch=epoch)
    found = order.at(np.arange(count))
    assert sorted(found.tolist()) == list(range(count))
    start = 0
    for window in range(order.windows):
        members = [row for span in order.spans(window) for row in range(*span)]
        stop = start + len(members)
        assert len({row // block for row in members}) <= blocks
        assert sorted(found[start:stop].tolist()) == members
        assert {order.window(place) for place in range(start, stop)} <= {window}
        start = stop
    half = np.arange(count // 3, count)
    again = Windows(count, block=block, blocks=blocks, seed=seed, epoch=epoch)
    assert again.at(half).tolist() == found[half].tolist()


def test_windows_shuffle_the_blocks_and_what_is_in_them():
    orders = [Windows(10_000, block=10, blocks=50, seed=1, epoch=e) for e in range(2)]
    first, second = (order.at(np.arange(10_000)) for order in orders)
    assert (first == second).sum() < 20
    inside = first[:500]
    assert abs(np.corrcoef(np.arange(500), inside)[0, 1]) < 0.2
    assert np.histogram(first[:500], bins=5, range=(0, 10_000))[0].min() > 40


def test_the_windows_of_a_seed_never_change():
    order = Windows(11, block=2, blocks=3, seed=7, epoch=0)
    assert order.at(np.arange(11)).tolist() == WINDOWED


def test_each_iteration_is_the_next_epoch(hundred):
    loader = hundred.batches(30, shuffle=True, seed=2, epoch=5)
    first, second = ([batch.indices.tolist() for batch in loader] for _ in range(2))
    for epoch, found in ((5, first), (6, second)):
        alone = hundred.batches(30, shuffle=True, seed=2, epoch=epoch)
        assert [batch.indices.tolist() for batch in alone] == found
    assert first != second
    loader.set_epoch(5)
    assert loader.epoch == 5
    assert [batch.indices.tolist() for batch in loader] == first
    for _ in loader:
        break
    assert loader.epoch == 6
    assert next(batch.indices.tolist() for batch in loader) not in second
    assert "batches of 30" in repr(loader)


def test_what_next_begins_a_loop_goes_on_with(hundred):
    loader = hundred.batches(40)
    assert next(loader).indices[0] == 0
    assert [batch.indices[0] for batch in loader] == [40, 80]
    assert [batch.indices[0] for batch in loader] == [0, 40, 80]
    assert [next(loader).indices[0] for _ in range(3)] == [0, 40, 80]
    with pytest.raises(StopIteration):
        next(loader)
    assert next(loader).indices[0] == 0
    loader.close()


@pytest.fixture(scope="module")
def heavy(tmp_path_factory):
    """Forty records of 200 kB: a batch of several is read in pieces."""
    items = [(np.full((100, 1000), n, ">u2"), {}) for n in range(40)]
    return pack(items, tmp_path_factory.mktemp("heavy") / "ds", chunk_bytes=2_000_000)


@pytest.mark.parametrize("threads", [0, 1, 2, 4])
@pytest.mark.parametrize("prefetch", [None, 0, 1, 5])
def test_large_batches_are_whole_whatever_reads_them(heavy, threads, prefetch):
    loader = heavy.batches(12, shuffle=True, threads=threads, prefetch=prefetch)
    for batch in loader:
        assert batch.data.dtype == np.dtype(">u2")
        assert (batch.data == batch.indices[:, None, None]).all()
    kept = list(loader)
    assert all((batch.data == batch.indices[:, None, None]).all() for batch in kept)


def test_small_records_are_read_by_one_thread_and_large_ones_by_several(hundred, heavy):
    before = threading.active_count()
    for ds, most in ((hundred, 1), (heavy, 4)):
        loader = ds.batches(4)
        next(loader)
        assert threading.active_count() - before <= most
        loader.close()
    assert [filling.threads_that_help(((1 << 16,), np.dtype("u1")), n) for n in (0, 1, 3, 9)] == [
        1,
        1,
        3,
        4,
    ]
    assert filling.threads_that_help(((28, 28), np.dtype("u1")), 9) == 1
    assert filling.threads_that_help(None, 9) == 1


@pytest.mark.parametrize("threads", [0, 2])
def test_a_batch_that_is_kept_never_changes_and_others_use_memory_again(heavy, threads):
    places = set()
    kept, parts = [], []
    loader = heavy.batches(8, shuffle=True, threads=threads, prefetch=1)
    for epoch in range(6):
        for number, batch in enumerate(loader):
            places.add(batch.data.ctypes.data)
            if epoch == 1 and number == 2:
                kept.append(batch)
            if epoch == 2 and number == 1:
                parts.append((batch.indices[3], batch.data[3, 7:9]))
            del batch
    assert len(places) <= 9
    assert all((batch.data == batch.indices[:, None, None]).all() for batch in kept)
    assert all((part == index).all() for index, part in parts)
    assert all(place % 64 == 0 for place in places)


def test_neighbouring_batches_may_differ_in_what_their_records_share(tmp_path):
    shapes = [(3,)] * 20 + [(2, 2)] * 20 + [(5,), (6,)] * 5 + [(3,)] * 9
    arrays = [np.full(shape, n, "f4" if n % 37 else "f8") for n, shape in enumerate(shapes)]
    ds = pack(((array, {}) for array in arrays), tmp_path / "ds")
    for size in (1, 3, 10, 59):
        for threads in (0, 3):
            for batch in ds.batches(size, threads=threads):
                alone = ds.take(batch.indices)
                assert type(alone) is type(batch.data)
                assert len(alone) == len(batch) == len(batch.data)
                for mine, other in zip(batch.data, alone, strict=True):
                    assert mine.dtype == other.dtype
                    np.testing.assert_array_equal(mine, other)


def test_encoded_records_are_decoded_by_several_threads(tmp_path):
    items = [(np.full((300, 400), n, "u2"), {}) for n in range(30)]
    ds = pack(items, tmp_path / "ds", codec="blosc-lz4")
    for batch in ds.batches(9, shuffle=True, threads=3):
        assert (batch.data == batch.indices[:, None, None]).all()


def test_a_transform_is_called_in_the_threads_and_gives_what_is_drawn(hundred):
    def transform(batch):
        names.add(threading.current_thread().name)
        return batch.data.sum(), batch.metadata()["n"].tolist()

    for threads in (0, 2):
        names: set[str] = set()
        found = list(hundred.batches(33, shuffle=True, threads=threads, transform=transform))
        assert all(5 * sum(rows) == total for total, rows in found)
        assert sorted(row for _, rows in found for row in rows) == list(range(100))
        assert all(name.startswith("haversack-batches") == bool(threads) for name in names)


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_what_a_transform_raises_comes_with_its_batch(hundred, threads, error):
    def transform(batch):
        if 50 in batch.indices:
            raise error
        return batch.indices[0]

    batches = iter(hundred.batches(10, threads=threads, transform=transform))
    assert [next(batches) for _ in range(5)] == [0, 10, 20, 30, 40]
    with pytest.raises(type(error)) as raised:
        next(batches)
    if isinstance(error, ValueError):
        assert "transform of batch 5, of records [50, 51" in raised.value.__notes__[0]
    assert list(batches) == []


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_damaged_record_is_named_when_its_batch_is_due(tmp_path, threads, codec):
    path = tmp_path / "ds"
    with PackWriter(path, codec=codec) as writer:
        for n in range(60):
            writer.append(np.random.default_rng(n).integers(0, 255, 500, "u1"), key=f"r{n}")
    wanted = open_packed(path).take([33])[0]
    (chunk,) = path.glob("chunks/*")
    data, payload = bytearray(chunk.read_bytes()), _payload(path, 33)
    at = data.index(payload)
    data[at + len(payload) // 2] ^= 4
    chunk.write_bytes(data)
    ds = open_packed(path)
    batches = iter(ds.batches(10, threads=threads))
    for start in (0, 10, 20):
        assert next(batches).indices[0] == start
    with pytest.raises(IntegrityError, match="record 33 .*'r33'"):
        next(batches)
    assert len(wanted) == 500


def _payload(path, row):
    chunk = next(open_packed(path)._snapshot.chunks())
    return bytes(chunk.payload(row))


@pytest.mark.parametrize("how", ["close", "forget", "break", "raise", "next"])
def test_leaving_early_stops_the_threads(hundred, how):
    before = threading.active_count()
    loader = hundred.batches(1, threads=3)
    if how in ("close", "forget"):
        batches: Any = iter(loader)
        next(batches)
        assert threading.active_count() > before
        if how == "close":
            batches.close()
        else:
            del batches
    elif how == "next":
        next(loader)
        loader.close()
    elif how == "break":
        for _ in loader:
            break
    else:
        with pytest.raises(ZeroDivisionError):
            _fail(loader)
    assert threading.active_count() == before


def _fail(loader):
    for _ in loader:
        raise ZeroDivisionError


def test_blocks_of_a_window_are_asked_for_ahead(heavy, tmp_path, monkeypatch):
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, *span: asked.append(span[:2]))
    batches = iter(heavy.batches(5, window=10, threads=0))
    next(batches)
    assert sum(length for _, length in asked) == 20 * 200_000
    assert len(list(batches)) == 7
    assert sum(length for _, length in asked) == 40 * 200_000
    asked.clear()
    chosen = [1, 2, 3, 20, 21, 30, 31, 39]
    for batch in heavy[chosen].batches(5, window=64, threads=1):
        assert (batch.data[:, 0, 0] == np.array(chosen)[batch.indices]).all()
    assert sum(length for _, length in asked) == len(chosen) * 200_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_its_own_epoch(heavy):
    loader = heavy.batches(4, shuffle=True, threads=2)
    batches = iter(loader)
    first = next(batches)
    child = os.fork()
    if not child:
        code = 1
        try:
            with pytest.raises(UsageError, match="another process"):
                list(batches)
            if sorted(i for b in loader for i in b.indices.tolist()) == list(range(40)):
                code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert len([first, *batches]) == 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"size": 2.5},
        {"threads": -1},
        {"prefetch": -1},
        {"window": 0},
        {"shuffle": "yes"},
        {"rank": 2, "world": 2},
        {"rank": -1},
        {"world": 0},
        {"seed": "x"},
        {"epoch": None},
    ],
)
def test_batches_that_make_no_sense_are_refused_at_once(hundred, wrong):
    with pytest.raises(UsageError):
        hundred.batches(**{"size": 3, **wrong})


def test_threads_that_touch_a_dataset_first_at_once_read_the_same(tmp_path):
    with PackWriter(tmp_path / "ds", chunk_bytes=20_000) as writer:
        for n in range(400):
            writer.append(np.full(100, n, "i4"))
    command = [sys.executable, "-c", FIRST_TOUCH, str(tmp_path / "ds")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=100)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr


FIRST_TOUCH = """
import sys, threading
import numpy as np
from haversack.packed import open_packed

def read(start):
    together.wait()
    chosen = np.arange(start, start + 100)
    if (ds.take(chosen)[:, 0] != chosen).any():
        print("wrong")

sys.setswitchinterval(1e-6)
for _ in range(400):
    ds, together = open_packed(sys.argv[1]), threading.Barrier(4)
    threads = [threading.Thread(target=read, args=(start,)) for start in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_a_batch_larger_than_the_dataset_costs_nothing(hundred):
    (batch,) = hundred.batches(10**15, shuffle=True)
    assert len(batch) == 100
    assert list(hundred.batches(10**15, drop_last=True)) == []


ORDER = [3, 5, 9, 7, 1, 6, 8, 4, 0, 2]
WINDOWED = [10, 6, 7, 9, 8, 3, 5, 4, 1, 2, 0]


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
