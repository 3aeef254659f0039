"""Equal payloads are kept once in a chunk, and every record reads back all the same."""

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import FormatError
from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.build import portions, runs
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.encoder import Stored
from haversack.packed.writing.drafts import Draft

from . import second_reader
from .building import check_nothing_else, content
from .conftest import arrays, same
from .test_hostile import forged, set_at
from .test_roundtrip import CODECS

ALIKE = [np.full((2, 3), n, "<i2") for n in range(4)]
# Some of the same bytes, but not of the same dtype or shape.
MIXED = [
    np.zeros(4, "u1"),
    np.zeros(1, "u4"),
    np.zeros((2, 2), "u1"),
    np.ones(4, "u1"),
    np.empty(0),
]


def chunk_bytes_of(path):
    return sum(file.stat().st_size for file in (path / "chunks").iterdir())


def check(path, records):
    ds = open_packed(path)
    assert all(map(same, (record.data for record in ds), records))
    order = [*range(len(records))][::-1] * 2
    taken = ds.take(order)
    rows = taken if isinstance(taken, list) else [taken[at, ...] for at in range(len(order))]
    assert all(map(same, rows, (records[at] for at in order)))
    assert ds.verify() == []
    assert all(map(same, second_reader.read(path)[0], records))


@settings(max_examples=40)
@given(st.data())
def test_records_of_a_small_pool_read_back(data):
    pool = data.draw(st.sampled_from([ALIKE, MIXED]) | st.lists(arrays(), min_size=1, max_size=3))
    titled = any(len(field) > 2 for array in pool for field in (array.dtype.fields or {}).values())
    records = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=30))
    codec, chunk_bytes = (
        data.draw(st.sampled_from(CODECS)),
        data.draw(st.sampled_from([20, 1 << 20])),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ds")
        with PackWriter(path, codec=codec, chunk_bytes=chunk_bytes, dedupe=True) as writer:
            for number, record in enumerate(records):
                writer.append(record, key=number)
        if titled:
            assert all(map(same, (record.data for record in open_packed(path)), records))
        else:
            check(path, records)


@pytest.mark.parametrize("other", [[], [np.ones(7)]])
def test_equal_payloads_take_no_more_space(tmp_path, other):
    rng = np.random.default_rng(0)
    pool = [rng.integers(0, 256, 5000, "u1") for _ in range(10)]
    records = [pool[n % 10] for n in range(300)] + other
    for dedupe in (False, True):
        with PackWriter(tmp_path / str(dedupe), dedupe=dedupe) as writer:
            for record in records:
                writer.append(record)
        check(tmp_path / str(dedupe), records)
    assert chunk_bytes_of(tmp_path / "False") > 300 * 5000
    assert chunk_bytes_of(tmp_path / "True") < 10 * 5000 + 20_000


def test_a_batch_runs_over_chunks_with_and_without_shared_payloads(tmp_path):
    records = []
    for dedupe in (True, False, True, False):
        with PackWriter(tmp_path / "ds", dedupe=dedupe, chunk_bytes=30_000) as writer:
            for number in range(5000):  # too many for a journal
                records.append(np.full((2, 3), number * 7 % 4 + len(records) // 50, "<i2"))
                writer.append(records[-1])
    ds, whole = open_packed(tmp_path / "ds"), np.stack(records)
    assert [chunk.slots < chunk.rows for chunk in ds._snapshot.chunks()] == [
        *[True, False, False],
        *[True, False, False],
    ]
    order = np.random.default_rng(0).integers(0, len(records), 3000)
    assert same(ds.take(order), whole[order])
    assert all(same(ds[at].data, whole[at]) for at in order[:500].tolist())


def test_a_copy_of_a_chunk_shares_what_the_chunk_shares(tmp_path):
    rng = np.random.default_rng(0)
    pool = [rng.integers(0, 256, 5000, "u1") for _ in range(10)]
    with PackWriter(tmp_path / "ds", dedupe=True) as writer:
        for number in range(200):
            writer.append(pool[number % 10])
    (chunk,) = open_packed(tmp_path / "ds")._snapshot.chunks()
    draft = Draft(tmp_path / "copy")
    for row in range(1, 200):
        stored = Stored(chunk.kind_of(row), chunk.payload(row))
        draft.append_stored(stored, None, "{}", chunk.sharing(row))
    assert draft.size == 10 * 5000
    finished = draft.finish(None)
    assert (finished.entry.rows, finished.entry.bytes < 70_000) == (199, True)


def from_a_pool(number):
    """Give one of ten arrays, two of which are of another shape, each three times in a row."""
    which = number // 3 % 10
    shape = (40, 5) if which > 7 else (200,)
    return np.random.default_rng(which).integers(0, 256, shape, "u1"), {"n": number}


@pytest.fixture
def small_runs(monkeypatch):
    monkeypatch.setattr(runs, "SMALLEST", 20_000)


@pytest.mark.parametrize("codec", ["none", "auto", "zstd"])
@pytest.mark.parametrize("chunk_bytes", [1000, 1 << 20])
def test_a_build_keeps_equal_payloads_once_whatever_the_number_of_workers(
    tmp_path, small_runs, codec, chunk_bytes
):
    options = {"read": from_a_pool, "key": "n", "codec": codec, "chunk_bytes": chunk_bytes}
    with ThreadPoolExecutor(3) as threads:
        for name, executor in (("alone", None), ("threads", threads)):
            pack(range(300), tmp_path / name, executor=executor, dedupe=True, **options)
            check(tmp_path / name, [from_a_pool(n)[0] for n in range(300)])
    assert content(tmp_path / "alone") == content(tmp_path / "threads")
    slots = sum(chunk.slots for chunk in open_packed(tmp_path / "alone")._snapshot.chunks())
    assert slots < 300 / (1 if chunk_bytes == 1000 else 5)


@pytest.mark.parametrize("dedupe", [True, False])
@pytest.mark.parametrize("codec", ["none", "auto", "zstd"])
def test_chunks_do_not_depend_on_how_many_items_are_read_at_once(
    tmp_path, small_runs, monkeypatch, codec, dedupe
):
    options = {"read": from_a_pool, "codec": codec, "chunk_bytes": 1500, "dedupe": dedupe}
    for most in (1, 2, 5):
        monkeypatch.setattr(portions, "_MOST", most)
        pack(range(200), tmp_path / str(most), **options)
    alone, *others = (content(tmp_path / str(most)) for most in (1, 2, 5))
    assert [other == alone for other in others] == [True, True]


def test_processes_share_payloads_as_one_does(tmp_path):
    for name, workers in (("alone", 1), ("processes", 2)):
        pack(range(300), tmp_path / name, read=from_a_pool, workers=workers, dedupe=True)
    assert content(tmp_path / "alone") == content(tmp_path / "processes")
    (chunk,) = open_packed(tmp_path / "processes")._snapshot.chunks()
    assert (chunk.rows, chunk.shares) == (300, True)


@pytest.mark.parametrize("dedupe", [True, False])
def test_a_killed_build_goes_on_only_where_payloads_are_to_be_shared_alike(
    tmp_path, small_runs, caplog, dedupe
):
    stop = threading.Event()  # which marks no build

    def read(number):
        if number == 350 and not stop.is_set():
            raise KeyboardInterrupt
        return from_a_pool(number)

    with pytest.raises(KeyboardInterrupt):
        pack(range(600), tmp_path / "ds", read=read, dedupe=True)
    stop.set()
    ds = pack(range(600), tmp_path / "ds", read=read, dedupe=dedupe)
    assert ("unfinished build of other" in caplog.text) == (not dedupe)
    assert {chunk.shares for chunk in ds._snapshot.chunks()} == {dedupe}
    pack(range(600), tmp_path / "whole", read=from_a_pool, dedupe=dedupe)
    assert content(tmp_path / "ds") == content(tmp_path / "whole")
    check_nothing_else(tmp_path / "ds")


def test_records_that_are_left_out_for_their_keys_leave_the_others_shared(tmp_path, small_runs):
    ds = pack(
        range(600),
        tmp_path / "ds",
        read=from_a_pool,
        key=lambda number: number % 400,
        errors="skip",
        report=lambda skipped: None,
        dedupe=True,
    )
    assert ds.keys() == list(range(400))
    check(tmp_path / "ds", [from_a_pool(n)[0] for n in range(400)])
    for chunk in ds._snapshot.chunks():
        assert chunk.slots == len({bytes(chunk.payload(row)) for row in range(chunk.rows)})


def test_a_damaged_payload_is_damage_of_all_its_records(tmp_path):
    with PackWriter(tmp_path / "ds", dedupe=True) as writer:
        for number in range(12):
            writer.append(ALIKE[number % 4])
    (path,) = (tmp_path / "ds/chunks").iterdir()
    data = bytearray(path.read_bytes())
    data[4096 + 12] ^= 1
    path.write_bytes(data)
    ds = open_packed(tmp_path / "ds")
    assert [damage.where for damage in ds.verify()] == ["record 1", "record 5", "record 9"]
    assert same(ds[4].data, ALIKE[0])


def test_a_slot_that_is_not_there_is_refused(tmp_path):
    with PackWriter(tmp_path / "ds", dedupe=True) as writer:
        for number in range(12):
            writer.append(ALIKE[number % 4])
    (path,) = (tmp_path / "ds/chunks").iterdir()
    for slot in (4, (1 << 32) - 1):
        chunk = Chunk(path, path.stem, forged(path, table={"slot": set_at(3, slot)}))
        for read in (chunk.check, chunk.payload):
            with pytest.raises(FormatError, match="record 3"):
                read(7)
        with pytest.raises(FormatError, match="record 3"):
            chunk.check_many(np.array([7]))
    with pytest.raises(FormatError):
        Chunk(path, path.stem, forged(path, footer=lambda f: f["sections"].pop("slot")))
