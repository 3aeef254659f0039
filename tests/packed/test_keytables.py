"""Keys of many chunks are found as those of one; a merged table is neither needed nor believed."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import FormatError
from haversack.packed import PackWriter, compact, open_packed
from haversack.packed.chunks.blockfile import BlockFile
from haversack.packed.reading import keytables
from haversack.packed.reading.keytables import ALONE, PATIENCE, KeyTables
from haversack.packed.reading.mergedkeys import Merged, open_merged

CHUNKS = ALONE + 5


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "ds"
    with PackWriter(path, chunk_bytes=10) as writer:
        for number in range(CHUNKS * 10):
            writer.append(np.full(1, number % 256, "u1"), key=f"k{number}")
    assert len(open_packed(path).manifest.chunks) == CHUNKS
    return path


@pytest.fixture
def dataset(many, tmp_path):
    return shutil.copytree(many, tmp_path / "ds")


class Asked:
    """The key tables of some chunks of a dataset, with what opens the chunks."""

    def __init__(self, path, entries=None, merged=None):
        self.snapshot = open_packed(path)._snapshot
        chunks = self.snapshot.manifest.chunks
        self.first = 0 if entries is None else entries.start or 0
        self.tables = KeyTables(path, chunks if entries is None else chunks[entries], merged)

    def find(self, key):
        return self.tables.find(key, lambda number: self.snapshot.chunk(self.first + number))

    @property
    def plan(self):
        return self.tables.plan


def tables_of(path):
    return Asked(path)


def places(path, tables, rounds=1):
    """Look for all keys, and some that are not there; all found must be the right ones."""
    for _ in range(rounds):
        for number in range(CHUNKS * 10):
            assert list(tables.find(b"k%d" % number)) == [divmod(number, 10)]
            assert list(tables.find(b"none %d" % number)) == []
    return tables


def cached(path):
    return sorted((path / "cache").glob("keys-*.table"))


def test_many_tables_become_one_that_others_find(dataset):
    first = places(dataset, tables_of(dataset))
    assert (first.plan.alone, len(cached(dataset))) == ([], 1)
    assert cached(dataset)[0].stat().st_size < 20 * CHUNKS * 10 + 16 * CHUNKS + 500
    second = tables_of(dataset)
    assert list(second.find(b"k7")) == [(0, 7)]
    assert second.plan.alone == []
    places(dataset, second)


def test_few_tables_are_not_merged(dataset):
    tables = Asked(dataset, slice(ALONE))
    for number in range(3 * PATIENCE):
        assert list(tables.find(b"k%d" % (number % 80))) == [divmod(number % 80, 10)]
    assert not (dataset / "cache").exists()


def test_new_chunks_go_on_alone_until_they_are_many(dataset):
    places(dataset, tables_of(dataset))
    (before,) = cached(dataset)
    total = CHUNKS * 10
    for _ in range(2):
        with PackWriter(dataset, chunk_bytes=5000) as writer:
            for number in range(5000):  # too many for a journal
                writer.append(np.full(1, 1, "u1"), key=f"k{total + number}")
        total += 5000
    ds = open_packed(dataset)
    for number in range(0, total, 7):
        assert ds._snapshot.find(f"k{number}") == number
    assert cached(dataset) == [before]
    assert len(ds._snapshot.key_tables.plan.alone) == 2


def test_a_table_of_more_chunks_takes_over_what_was_merged(dataset, tmp_path):
    few = Asked(dataset, slice(ALONE + 1))
    for _ in range(PATIENCE):
        list(few.find(b"k3"))
    assert few.plan.merged is not None
    assert few.plan.alone == []
    places(dataset, Asked(dataset, None, few.plan.merged))
    fewer = Asked(dataset, slice(3, None), few.plan.merged)
    assert list(fewer.find(b"k3")) == []
    assert fewer.plan.numbers[:4] == [-1, -1, -1, 0]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other", "removed"])
def test_a_damaged_table_is_made_anew(dataset, damage, tmp_path):
    places(dataset, tables_of(dataset))
    (path,) = cached(dataset)
    data = path.read_bytes()
    changes = [bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]]) for at in range(0, len(data), 61)]
    if damage != "flip":
        changes = [{"cut": data[:-1], "empty": b"", "other": bytes(5000), "removed": b""}[damage]]
    for change in changes:
        path.write_bytes(change)
        if damage == "removed":
            shutil.rmtree(dataset / "cache")
        tables = places(dataset, tables_of(dataset), 1 if damage == "flip" else 2)
        assert tables.plan.alone == [] or damage == "flip"
        for left in cached(dataset):
            left.unlink()
        path.parent.mkdir(exist_ok=True)


def test_what_a_killed_merge_of_tables_left_is_cleared_away(dataset, monkeypatch):
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(BlockFile, "end", lambda *_: os._exit(9))
        places(dataset, tables_of(dataset))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (left,) = (dataset / "cache").glob(".*")
    places(dataset, tables_of(dataset))
    assert not left.exists()
    assert len(cached(dataset)) == 1
    left.touch()
    os.utime(left, (1, 1))
    assert left in compact(dataset, remove=True).removed.files


def test_without_a_place_for_it_a_table_is_kept_in_memory(dataset):
    (dataset / "cache").write_text("not a directory")
    tables = places(dataset, tables_of(dataset))
    assert tables.plan.merged is not None
    assert tables.plan.merged.path is None
    assert tables.plan.alone == []


def test_keys_of_one_hash_are_told_apart(dataset, monkeypatch):
    monkeypatch.setattr(keytables, "hash64", lambda _key: 7)
    snapshot = open_packed(dataset)._snapshot
    merged = Merged(
        [entry.id for entry in snapshot.manifest.chunks],
        np.full(30, 7, "<u8"),
        np.repeat(np.arange(3, dtype="<u4"), 10),
        np.tile(np.arange(10, dtype="<u4"), 3),
    )
    tables = Asked(dataset, None, merged)
    assert list(tables.find(b"k25")) == [(2, 5)]


def test_a_damaged_chunk_goes_on_alone_and_is_named(dataset):
    ds = open_packed(dataset)
    path = dataset / "chunks" / f"{ds.manifest.chunks[4].id}.chunk"
    path.write_bytes(path.read_bytes()[:-1])
    tables = tables_of(dataset)
    for _ in range(PATIENCE + 1):
        assert next(tables.find(b"k7")) == (0, 7)
    assert tables.plan.alone == [4]
    with pytest.raises(FormatError, match=path.name):
        list(tables.find(b"nothing"))


@settings(max_examples=30)
@given(
    st.lists(st.binary(min_size=16, max_size=16), unique=True, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3), st.integers(0, 99)), max_size=60),
)
def test_a_merged_table_comes_back_from_its_file(tmp_path_factory, ids, entries):
    path = tmp_path_factory.mktemp("merged") / "table"
    columns = np.array(sorted(entries), np.int64).reshape(-1, 3).T
    hashes, tables, rows = (
        columns[at].astype(dtype) for at, dtype in enumerate(("<u8", "<u4", "<u4"))
    )
    Merged([chunk_id.hex() for chunk_id in ids], hashes, tables, rows).write(path)
    found = open_merged(path)
    assert found is not None
    assert found.ids == [chunk_id.hex() for chunk_id in ids]
    assert found.whole()
    for wanted in range(52):
        assert found.find(wanted) == [(t, r) for h, t, r in sorted(entries) if h == wanted]
