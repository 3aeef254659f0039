"""Many small commits cost little each, and nothing shows that their chunks were merged."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import StorageError
from haversack.packed import PackWriter, open_packed
from haversack.packed.writing import sealing
from haversack.packed.writing.smallchunks import MOST, SMALL, _run

from .conftest import METADATA, same

COUNT = 2 * MOST + 40


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A dataset of as many commits as records, every tenth of which deletes the one before."""
    path = tmp_path_factory.mktemp("packed") / "ds"
    expected = []
    for number in range(COUNT):
        codec = "zstd" if number % 5 == 0 else "none"
        array = np.full(5 + number % 3, number, [">u2", "f4"][number % 2])
        with PackWriter(path, codec=codec) as writer:
            if number % 10 == 9:
                writer.delete(expected.pop()[0])
            writer.append(array, {**METADATA, "n": number}, key=f"k{number}")
        expected.append((f"k{number}", array, number))
    return path, expected


def test_records_keys_and_metadata_are_as_they_were(many):
    path, expected = many
    ds = open_packed(path)
    assert len(ds.manifest.chunks) <= MOST
    assert ds.keys() == [key for key, _, _ in expected]
    assert all(same(ds[at].data, array) for at, (_, array, _) in enumerate(expected))
    assert all(ds.record(key).metadata == {**METADATA, "n": n} for key, _, n in expected)
    assert len(ds.filter("n < 50")) == sum(n < 50 for _, _, n in expected)
    assert ds.verify() == []


def test_a_commit_writes_a_bounded_manifest(many):
    path, _ = many
    assert max(file.stat().st_size for file in (path / "manifest").iterdir()) < 40_000


def test_a_merged_chunk_of_records_of_one_kind_is_uniform(tmp_path):
    for number in range(MOST + 1):
        with PackWriter(tmp_path / "ds") as writer:
            writer.append(np.full(3, number, "u1"))
    (entry,) = open_packed(tmp_path / "ds").manifest.chunks
    assert (entry.rows, entry.shape) == (MOST + 1, [3])


def test_a_damaged_chunk_does_not_stop_later_commits(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append(np.zeros(3, "u1"), key="damaged")
    (path,) = (tmp_path / "ds/chunks").iterdir()
    data = bytearray(path.read_bytes())
    data[4096] ^= 1
    path.write_bytes(data)
    for number in range(MOST + 5):
        with PackWriter(tmp_path / "ds") as writer:
            writer.append(np.full(3, number, "u1"), key=f"k{number}")
    ds = open_packed(tmp_path / "ds")
    assert len(ds) == MOST + 6
    assert [damage.where for damage in ds.verify()] == ["record 0 (key 'damaged')"]
    assert not list((tmp_path / "ds/chunks").glob(".*"))


def test_merging_nothing_but_deleted_records_leaves_none(tmp_path):
    for number in range(MOST + 5):
        with PackWriter(tmp_path / "ds") as writer:
            if number:
                writer.delete("k")
            writer.append([number], key="k")
    with PackWriter(tmp_path / "ds") as writer:
        writer.delete("k")
    ds = open_packed(tmp_path / "ds")
    assert len(ds) == 0
    assert ds.verify() == []
    for _ in range(MOST + 5):
        with PackWriter(tmp_path / "ds") as writer:
            writer.append([1])
    assert len(open_packed(tmp_path / "ds")) == MOST + 5


def test_chunks_as_large_as_was_asked_for_are_left_alone(tmp_path):
    with PackWriter(tmp_path / "ds", chunk_bytes=10) as writer:
        for number in range(MOST + 10):
            writer.append(np.full(10, number, "u1"))
    assert len(open_packed(tmp_path / "ds").manifest.chunks) == MOST + 10


def append(path, number):
    with PackWriter(path) as writer:
        writer.append([number], key=number)


def test_a_chunk_that_its_own_commit_merges_away_is_removed(tmp_path):
    for number in range(MOST + 1):
        append(tmp_path / "ds", number)
    assert len(list((tmp_path / "ds/chunks").iterdir())) == MOST + 1
    assert len(list((tmp_path / "ds/index").iterdir())) == MOST + 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_version_keeps_its_chunks_when_others_merge_them_at_once(tmp_path, monkeypatch, fails):
    for number in range(MOST - 1):
        append(tmp_path / "ds", number)
    versions, commit = [], sealing.commit

    def commit_then_others(*arguments, **options):
        published = commit(*arguments, **options)
        if not versions:
            versions.append(open_packed(tmp_path / "ds"))
            append(tmp_path / "ds", MOST)
            if fails:
                raise StorageError("the disk refuses to tell")
        return published

    monkeypatch.setattr(sealing, "commit", commit_then_others)
    writer = PackWriter(tmp_path / "ds")
    writer.append([MOST - 1], key=MOST - 1)
    if fails:
        with pytest.raises(StorageError, match="refuses"):
            writer.close()
    else:
        writer.close()
        append(tmp_path / "ds", MOST + 1)
    assert len(open_packed(tmp_path / "ds").manifest.chunks) < MOST
    assert [int(r.data[0]) for r in versions[0]] == list(range(MOST))
    assert open_packed(tmp_path / "ds").keys() == list(range(MOST + (1 if fails else 2)))


@given(st.lists(st.integers(1, 2 * SMALL), max_size=200))
def test_what_is_merged_are_small_neighbours(sizes):
    run = _run(sizes)
    smalls = sum(size < SMALL for size in sizes)
    if run is None:
        assert smalls <= MOST or all(max(pair) >= SMALL for pair in pairwise(sizes))
    else:
        assert smalls > MOST
        assert len(run) > 1
        assert all(sizes[at] < SMALL for at in run)


@settings(max_examples=5)
@given(st.integers(1, 50_000))
def test_a_record_is_copied_a_few_times_only(size):
    sizes, copied = [], 0
    for _ in range(3000):
        sizes.append(size)
        if (run := _run(sizes)) is not None:
            total = sum(sizes[run.start : run.stop])
            copied += total
            sizes[run.start : run.stop] = [total]
        assert sum(each < SMALL for each in sizes) <= MOST
    assert copied <= 8 * 3000 * size
