"""Records of one dataset are added to another as they are stored, all or none."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import (
    ExistsError,
    IntegrityError,
    KeyExistsError,
    UsageError,
)
from haversack.packed import PackWriter, extending, merge, open_packed, pack

from .conftest import METADATA, arrays, same, small_records


@pytest.fixture(params=["steps", "chunks"])
def way(request, monkeypatch):
    """Both ways in which records are added: few by the writer's steps, many as chunks."""
    if request.param == "chunks":
        monkeypatch.setattr(extending, "MOST_STEPS", 0)
    return request.param


def make(path, numbers, *, codec="none", **options):
    with PackWriter(path, codec=codec, **options) as writer:
        for number in numbers:
            writer.append(np.full(50, number, "u4"), METADATA, key=number, n=number)
    return open_packed(path)


def content(ds):
    return [(record.key, record.data.tobytes(), record.metadata) for record in ds]


def extend(path, *sources, **options):
    with PackWriter(path) as writer:
        counts = [writer.extend(source, **options) for source in sources]
    return open_packed(path), counts


@settings(max_examples=30)
@given(
    st.lists(st.tuples(arrays(), st.booleans()), max_size=8),
    st.lists(st.integers(0, 7), unique=True),
    st.sampled_from(["none", "zstd"]),
    st.integers(1, 300),
    st.booleans(),
)
def test_any_selection_of_any_records_is_added(
    tmp_path_factory, records, chosen, codec, chunk_bytes, few
):
    folder = tmp_path_factory.mktemp("extend")
    with PackWriter(folder / "one", codec=codec, chunk_bytes=chunk_bytes) as writer:
        for number, (array, has_key) in enumerate(records):
            writer.append(array, METADATA, key=f"k{number}" if has_key else None)
    with PackWriter(folder / "two") as writer:
        writer.append([1], key="first")
    places = [number for number in chosen if number < len(records)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extending, "MOST_STEPS", 4096 if few else 0)
        two, counts = extend(folder / "two", open_packed(folder / "one")[places])
    assert counts == [len(places)]
    assert two.keys()[1:] == [f"k{n}" if records[n][1] else None for n in places]
    assert all(same(r.data, records[n][0]) for r, n in zip(two[1:], places, strict=True))
    assert all(record.metadata == METADATA for record in two[1:])
    assert two.verify() == []


def payloads(ds):
    return [
        (chunk.kind_of(row), chunk.payload(row).tobytes())
        for chunk in ds._snapshot.chunks()
        for row in range(chunk.rows)
    ]


def test_payloads_stay_as_they_are_stored(tmp_path, way):
    one = make(tmp_path / "one", range(20), codec="zstd", chunk_bytes=500)
    two, _ = extend(tmp_path / "two", one)
    assert payloads(two) == payloads(one)
    assert content(two) == content(one)


def test_a_filter_a_slice_and_a_dataset_with_deletions_and_a_journal_are_added(tmp_path, way):
    make(tmp_path / "one", range(10))
    writer = PackWriter(tmp_path / "one")
    writer.delete(3)
    writer.put(np.zeros((2, 2)), key=4, n=-4)
    writer.append([7], key=70, n=70)
    writer.flush()
    one = open_packed(tmp_path / "one")
    assert one.snapshot["journal"] is not None
    expected = content(one)
    for name, source in (("all", one), ("some", one[2:]), ("few", one.filter("n % 2 = 0"))):
        found, counts = extend(tmp_path / name, source)
        assert counts == [len(source)]
        assert content(found) == [each for each in expected if each in content(source)]
        assert found.verify() == []
    writer.close()


def test_records_of_a_kind_stay_uniform_and_chunks_have_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(extending, "MOST_STEPS", 0)
    one = make(tmp_path / "one", range(300))
    with PackWriter(tmp_path / "two", chunk_bytes=10_000) as writer:
        writer.extend(one[::-1])
    two = open_packed(tmp_path / "two")
    assert [entry.shape for entry in two.manifest.chunks] == [[50]] * 6
    assert content(two) == content(one)[::-1]


@pytest.mark.parametrize("pending", ["published", "waiting", "spilled", "journal"])
def test_conflicts_are_errors_or_skipped_or_replaced(tmp_path, way, pending):
    one = make(tmp_path / "one", range(5, 15))
    for choice in ("error", "skip", "replace"):
        path = tmp_path / choice
        make(path, range(3))
        writer = PackWriter(path)
        for number in range(3, 8):
            writer.append(np.full(50, 100, "u4"), key=number, n=100)
        if pending == "published":
            writer.close()
            writer = PackWriter(path)
        elif pending == "spilled":
            writer._committer._spill()
        elif pending == "journal":
            writer.flush()
        if choice == "error":
            with pytest.raises(KeyExistsError, match=r"has the key 5 .*on_conflict="):
                writer.extend(one)
            writer.extend(one[5:])
        else:
            added = writer.extend(one, on_conflict=choice)
            assert added == (7 if choice == "skip" else 10)
        writer.close()
        found = {record.key: record.metadata["n"] for record in open_packed(path)}
        theirs = range({"error": 10, "skip": 8, "replace": 5}[choice], 15)
        expected = (
            {n: n for n in range(3)} | dict.fromkeys(range(3, 8), 100) | {n: n for n in theirs}
        )
        assert found == expected
        assert open_packed(path).verify() == []


def test_extending_twice_in_one_commit_sees_itself(tmp_path, way):
    one, two = make(tmp_path / "one", range(5)), make(tmp_path / "two", range(3, 8))
    with PackWriter(tmp_path / "ds") as writer:
        writer.extend(one)
        with pytest.raises(KeyExistsError, match="key 3"):
            writer.extend(two)
        assert writer.extend(two, on_conflict="replace") == 5
        writer.delete(7)
        assert writer.extend(two, on_conflict="skip") == 1
    assert open_packed(tmp_path / "ds").keys() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert open_packed(tmp_path / "ds").verify() == []


def test_keys_of_another_type_are_said(tmp_path, way):
    one = make(tmp_path / "one", range(5))
    text = pack([(np.zeros(2), {"k": "a"})], tmp_path / "text", key="k")
    with PackWriter(tmp_path / "text") as writer, pytest.raises(UsageError, match="text.*int"):
        writer.extend(one)
    with PackWriter(tmp_path / "new") as writer:
        writer.extend(one)
        with pytest.raises(UsageError, match="int.*text"):
            writer.extend(text)
        with pytest.raises(UsageError, match="int"):
            writer.append([1], key="a")
    assert len(open_packed(tmp_path / "new")) == 5


def test_a_damaged_record_of_the_source_adds_nothing(tmp_path, way):
    make(tmp_path / "one", range(20))
    (file,) = (tmp_path / "one/chunks").iterdir()
    data = bytearray(file.read_bytes())
    data[4096 + 200 * 13] ^= 1
    file.write_bytes(data)
    one = open_packed(tmp_path / "one")
    with PackWriter(tmp_path / "two", chunk_bytes=500) as writer:
        writer.append([1], key=-1)
        with pytest.raises(IntegrityError, match="record 13"):
            writer.extend(one)
        assert writer.extend(one[:10]) == 10
    assert open_packed(tmp_path / "two").keys() == [-1, *range(10)]
    assert not [name for name in os.listdir(tmp_path / "two/chunks") if name.startswith(".")]
    assert len(os.listdir(tmp_path / "two/chunks")) == len(
        open_packed(tmp_path / "two").manifest.chunks
    )


def test_wrong_sources_are_said(tmp_path):
    one = make(tmp_path / "one", range(5))
    with PackWriter(tmp_path / "two") as writer:
        for source in ("one", one[0], None, [one]):
            with pytest.raises(UsageError, match="packed dataset"):
                writer.extend(source)
        with pytest.raises(UsageError, match="on_conflict"):
            writer.extend(one, on_conflict="both")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="more than once"):
            writer.extend(one[[1, 1]])
        plain = pack([(np.zeros(2), {})], tmp_path / "plain")
        assert writer.extend(plain[[0, 0, 0]]) == 3
        assert writer.extend(one[[]]) == 0


def test_a_dataset_extends_itself(tmp_path, way):
    plain = pack([(np.full(2, n), {"n": n}) for n in range(4)], tmp_path / "plain")
    plain, _ = extend(tmp_path / "plain", plain, plain)
    assert [record.metadata["n"] for record in plain] == [0, 1, 2, 3] * 3


def test_small_records_of_every_kind_merge(tmp_path, small):
    with PackWriter(tmp_path / "more") as writer:
        for key, array, metadata in small_records():
            writer.append(array, metadata, key=f"more {key}")
    events = []
    ds = merge(
        [small, open_packed(tmp_path / "more")[:5]], tmp_path / "both", progress=events.append
    )
    assert content(ds) == [
        *content(open_packed(small)),
        *content(open_packed(tmp_path / "more")[:5]),
    ]
    assert ds.filter("n = 3").keys() == ["key 3", "more key 3"]
    assert ds.version == 1
    assert sum(event.done for event in events if event.state == "end") == 17


def test_a_merge_that_fails_leaves_nothing(tmp_path, small):
    with pytest.raises(KeyExistsError, match="key 0"):
        merge([small, small], tmp_path / "new/both")
    with pytest.raises(FileNotFoundError):
        merge([small, tmp_path / "none"], tmp_path / "new/both")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ExistsError):
        merge([small], small.parent / "small")
    other = make(tmp_path / "other", [])
    with pytest.raises(ExistsError):
        merge([small], other.path)
    assert len(merge([small], other.path, append=True)) == 12
    assert len(merge([small], other.path, append=True, on_conflict="skip")) == 12
