"""Small commits go to one journal that all writers share, and whose order is the truth."""

import multiprocessing
import os
import pickle
import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import (
    HaversackError,
    IntegrityError,
    KeyExistsError,
    RecordNotFoundError,
    StorageError,
    UsageError,
)
from haversack.packed import PackWriter, open_packed
from haversack.packed.journal import frames, log
from haversack.packed.manifests.kept import read_latest
from haversack.storage import filesystem
from haversack.storage.calls import calls

from . import second_journal
from .conftest import METADATA, same


@pytest.fixture
def path(tmp_path):
    """A dataset of three records in a chunk: "a", "b", "c"."""
    with PackWriter(tmp_path / "ds") as writer:
        for number, key in enumerate("abc"):
            writer.append([number], key=key, n=number)
    return tmp_path / "ds"


def state(path):
    """What each record is, by key, in the order of the dataset."""
    ds = open_packed(path)
    assert ds.keys() == [record.key for record in ds]
    return {record.key: record.metadata["n"] for record in ds}


def journals(path):
    return sorted((path / "journal").iterdir()) if (path / "journal").exists() else []


def test_a_flush_is_visible_at_once_and_makes_no_version(path):
    with PackWriter(path) as writer:
        writer.append([3], key="d", n=3)
        writer.flush()
        version = open_packed(path).version
        for number in range(4, 9):
            writer.append([number], key=f"k{number}", n=number)
            assert f"k{number}" not in open_packed(path)
            writer.flush()
            assert open_packed(path).record(f"k{number}").metadata == {"n": number}
        assert open_packed(path).version == version
        assert len(open_packed(path).manifest.chunks) == 1
    assert journal_id(path) is None
    assert len(open_packed(path).manifest.chunks) == 2
    assert list(state(path).values()) == list(range(9))
    assert open_packed(path).verify() == []


def test_put_replaces_and_delete_removes_in_chunks_and_journal(path):
    with PackWriter(path) as writer:
        for n, key in enumerate("bdb", start=10):
            writer.put([n], key=key, n=n)
            writer.flush()
        writer.delete("a")
        writer.delete("d")
        writer.append([20], key="a", n=20)
        writer.flush()
        expected = {"c": 2, "b": 12, "a": 20}
        assert state(path) == expected
        ds = open_packed(path)
        assert ds.take([0, 2]).tolist() == [[2], [20]]
        assert ds.filter("n >= 12").keys() == ["b", "a"]
        assert ds.metadata()["_key"].tolist() == ["c", "b", "a"]
    assert state(path) == expected
    assert ds.keys() == list(expected)
    assert ds.refresh().filter("n >= 12").keys() == ["b", "a"]


def test_one_flush_is_kept_whole_or_not_at_all(path):
    one, two = PackWriter(path), PackWriter(path)
    one.append([1], key="x", n=1)
    two.append([2], key="y", n=2)
    two.append([2], key="x", n=2)
    one.flush()
    with pytest.raises(KeyExistsError, match="'y', 'x'"):
        two.flush()
    assert state(path) == {"a": 0, "b": 1, "c": 2, "x": 1}
    two.append([3], key="y", n=3)
    two.delete("a")
    one.delete("a")
    one.flush()
    with pytest.raises(RecordNotFoundError, match="meanwhile"):
        two.flush()
    two.append([3], key="y", n=3)
    two.close()
    one.close()
    assert state(path) == {"b": 1, "c": 2, "x": 1, "y": 3}


def test_keys_of_one_type_only_among_writers(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([0])
    one, two = PackWriter(tmp_path / "ds"), PackWriter(tmp_path / "ds")
    one.append([1], key="x")
    two.append([2], key=7)
    one.flush()
    with pytest.raises(UsageError, match="another type"):
        two.flush()
    one.close()
    two.close()
    assert open_packed(tmp_path / "ds").keys() == [None, "x"]


def test_a_large_flush_is_a_version_that_seals_the_journal_before_it(path):
    with PackWriter(path) as writer:
        writer.append([3], key="d", n=3)
        writer.flush()
        writer.append(np.zeros(5 << 20, "u1"), key="large", n=4)
        writer.put([5], key="d", n=5)
        writer.flush()
        assert journal_id(path) is None
        writer.append([6], key="e", n=6)
        writer.flush()
    assert state(path) == {"a": 0, "b": 1, "c": 2, "large": 4, "d": 5, "e": 6}


def test_a_full_journal_is_sealed_and_the_next_begun(path, monkeypatch):
    monkeypatch.setattr(log, "MOST_ROWS", 5)
    with PackWriter(path) as writer:
        for number in range(23):
            writer.append([number], key=f"k{number}", n=number)
            writer.flush()
            assert list(state(path).values()) == [0, 1, 2, *range(number + 1)]
        assert len(journals(path)) == 5
    assert list(state(path).values()) == [0, 1, 2, *range(23)]


def test_what_is_left_unsealed_is_read_and_the_next_close_seals_it(path):
    writer = PackWriter(path)
    writer.append([3], key="d", n=3)
    writer.flush()
    writer.close(seal=False)
    assert state(path) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert journal_id(path) is not None
    PackWriter(path).close()
    assert journal_id(path) is None
    assert state(path) == {"a": 0, "b": 1, "c": 2, "d": 3}


@settings(max_examples=35)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["add", "put", "delete", "flush", "flush", "close", "large"]),
            st.integers(0, 5),
        ),
        max_size=40,
    ),
    st.integers(2, 6),
)
def test_three_writers_do_what_a_dict_would(tmp_path_factory, steps, most_rows):
    path = tmp_path_factory.mktemp("model") / "ds"
    with PackWriter(path) as writer:
        writer.append([0], key="k0", n=-1)
    model, pending, writers = {"k0": -1}, [[], [], []], [PackWriter(path) for _ in range(3)]
    before, log.MOST_ROWS = log.MOST_ROWS, most_rows
    try:
        for step, (who, what, number) in enumerate(steps):
            run_step(path, model, pending, writers, step, who, what, f"k{number}")
            assert state(path) == model
            assert list(state(path)) == list(model)
    finally:
        log.MOST_ROWS = before
    for writer in writers:
        writer.abandon()
    PackWriter(path).close()
    assert list(state(path).items()) == list(model.items())
    assert open_packed(path).verify() == []


def run_step(path, model, pending, writers, step, who, what, key):
    """Do one step with a writer and with the model, which takes flushed commits whole."""
    writer = writers[who]
    try:
        if what in {"add", "put"}:
            write = writer.append if what == "add" else writer.put
            write([step], key=key, n=step)
            pending[who].append((what, key, step))
        elif what == "large":
            writer.put(np.zeros(5 << 20, "u1"), key=key, n=step)
            pending[who].append(("put", key, step))
        elif what == "delete":
            writer.delete(key)
            pending[who].append(("delete", key, step))
        else:
            steps, pending[who] = pending[who], []
            following = applied(model, steps)
            if what == "flush":
                writer.flush()
            else:
                writers[who] = PackWriter(path)
                writer.close()
            assert following is not None
            model.clear()
            model.update(following)
    except (KeyExistsError, RecordNotFoundError):
        if what in {"flush", "close"}:
            assert following is None


def applied(model, steps):
    """The model after a commit, None where it contradicts it."""
    following = dict(model)
    for what, key, step in steps:
        if (what == "add") == (key in following) and what != "put":
            return None
        following.pop(key, None)
        if what != "delete":
            following[key] = step
    return following


def test_arrays_and_metadata_of_every_kind_come_back_from_the_journal(path):
    arrays = [
        np.arange(6, dtype=">u2").reshape(2, 3),
        np.float16(1.5),
        np.zeros((0, 3)),
        np.array([(1, 2.5)], [("x", "i4"), ("y", "f8", (2,))]),
        np.array(["2020-01-02"], "M8[D]"),
        np.array([True, False]),
        np.array([1 + 2j], "c8"),
    ]
    with PackWriter(path, codec="zstd") as writer:
        for number, array in enumerate(arrays):
            writer.append(array, {**METADATA, "n": number}, key=f"k{number}")
            writer.flush()
        for ds in (open_packed(path), pickle.loads(pickle.dumps(open_packed(path)))):
            for number, array in enumerate(arrays):
                record = ds.record(f"k{number}")
                assert same(record.data, np.asarray(array))
                assert record.metadata == {**METADATA, "n": number}
                assert not record.data.flags.writeable


def test_an_open_dataset_stays_where_it_was_until_refreshed(path):
    with PackWriter(path) as writer:
        writer.append([3], key="d", n=3)
        writer.flush()
        ds = open_packed(path)
        chosen, pickled = ds[1:], pickle.dumps(ds)
        writer.put([9], key="a", n=9)
        writer.append([4], key="e", n=4)
        writer.flush()
        for opened in (ds, pickle.loads(pickled), pickle.loads(pickle.dumps(ds))):
            assert opened.keys() == ["a", "b", "c", "d"]
            assert opened.record("a").metadata == {"n": 0}
        assert ds.refresh().keys() == ["b", "c", "d", "a", "e"]
    assert chosen.keys() == ["b", "c", "d"]
    assert pickle.loads(pickled).keys() == ["a", "b", "c", "d"]


# Kills, damage, and disks that refuse.


def journal_id(path):
    latest = read_latest(path)
    assert latest is not None
    return latest.journal


def last_journal(path):
    return path / "journal" / f"{journal_id(path)}.journal"


def appended(path, count):
    """Append so many single commits, and leave them unsealed; give where each ends."""
    writer, ends = PackWriter(path), []
    for number in range(count):
        writer.append([number], key=f"k{number}", n=number)
        writer.flush()
        ends.append(last_journal(path).stat().st_size)
    writer.close(seal=False)
    return ends


def test_a_commit_that_was_cut_off_is_nothing_and_the_next_goes_on_behind_it(path):
    ends = appended(path, 3)
    whole = last_journal(path).read_bytes()
    for size in range(ends[1], ends[2]):
        last_journal(path).write_bytes(whole[:size])
        assert list(state(path)) == ["a", "b", "c", "k0", "k1"]
        found = open_packed(path).verify()
        assert len(found) == (size > ends[1])
        assert all("cut off" in str(damage) for damage in found)
    with PackWriter(path) as writer:
        writer.append([7], key="next", n=7)
        writer.flush()
        assert list(state(path)) == ["a", "b", "c", "k0", "k1", "next"]
        assert open_packed(path).verify() == []
    assert list(state(path)) == ["a", "b", "c", "k0", "k1", "next"]


@pytest.mark.parametrize("tail", [b"\0" * 100, b"HSKFRAME" * 20, os.urandom(333)])
def test_rubbish_behind_the_last_commit_is_passed_over(path, tail):
    appended(path, 2)
    with last_journal(path).open("ab") as file:
        file.write(tail)
    with PackWriter(path) as writer:
        writer.append([7], key="next", n=7)
        writer.flush()
        assert list(state(path)) == ["a", "b", "c", "k0", "k1", "next"]
    assert list(state(path)) == ["a", "b", "c", "k0", "k1", "next"]


def test_each_flipped_byte_of_a_journal_is_found_but_for_the_last_commit(path):
    ends = appended(path, 4)
    whole = last_journal(path).read_bytes()
    expected = state(path)
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at % 8)
        last_journal(path).write_bytes(changed)
        if at < ends[2]:
            with pytest.raises(IntegrityError, match=last_journal(path).name):
                open_packed(path)
            with pytest.raises(IntegrityError):
                PackWriter(path)
        else:
            assert list(state(path)) == [key for key in expected if key != "k3"]
    last_journal(path).write_bytes(whole)
    assert state(path) == expected


def test_a_journal_that_is_lost_or_another_is_named(path):
    appended(path, 2)
    other = path.parent / "other"
    with PackWriter(other) as writer:
        writer.append([0], key="a")
    appended(other, 1)
    lost = last_journal(path)
    whole = lost.read_bytes()
    lost.write_bytes(last_journal(other).read_bytes())
    with pytest.raises(IntegrityError, match="not"):
        open_packed(path)
    lost.unlink()
    for fails in (open_packed, PackWriter):
        with pytest.raises(IntegrityError, match=f"{lost.name} is missing"):
            fails(path)
    lost.write_bytes(whole)
    assert list(state(path)) == ["a", "b", "c", "k0", "k1"]


def test_a_failed_sync_ends_the_journal_and_the_writer(path, monkeypatch):
    writer = PackWriter(path)
    writer.append([3], key="d", n=3)
    writer.flush()

    def fails(descriptor):
        raise OSError(5, "Input/output error")

    writer.append([4], key="e", n=4)
    with monkeypatch.context() as patch:
        patch.setattr(calls, "fdatasync", fails)
        with pytest.raises(StorageError, match="cannot sync"):
            writer.flush()
    with pytest.raises(UsageError, match="closed"):
        writer.flush()
    ended = last_journal(path)
    with PackWriter(path) as following:
        following.append([5], key="f", n=5)
        following.flush()
        assert last_journal(path) != ended
    assert {"a", "b", "c", "d", "f"} <= set(state(path))


@pytest.mark.parametrize("taken", [1, 3])
def test_a_write_cut_short_is_repeated_whole(path, monkeypatch, taken):
    writer, write, cuts = PackWriter(path), os.write, []
    writer.append([3], key="d", n=3)
    writer.flush()

    def short(descriptor, data):
        if len(cuts) < taken and data[:8] == b"HSKFRAME":
            cuts.append(write(descriptor, data[: len(data) // 2]))
            return cuts[-1]
        return write(descriptor, data)

    writer.append([4], key="e", n=4)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        if taken < 3:
            writer.flush()
        else:
            with pytest.raises(StorageError, match="full"):
                writer.flush()
    expected = ["a", "b", "c", "d"] + ["e"] * (taken < 3)
    assert list(state(path)) == expected
    writer.close()
    assert list(state(path)) == expected


def test_where_appends_may_mix_each_flush_is_a_version(path, monkeypatch):
    monkeypatch.setattr(filesystem, "LOCAL", frozenset())
    with PackWriter(path) as writer:
        for number in range(3):
            writer.append([number], key=f"k{number}", n=number)
            writer.flush()
            assert open_packed(path).version == number + 2
    assert journals(path) == []
    assert list(state(path)) == ["a", "b", "c", "k0", "k1", "k2"]


# Many at once.


def add_all(path, name, count, most_rows):
    log.MOST_ROWS = most_rows
    with PackWriter(path) as writer:
        for number in range(count):
            writer.append([number], key=f"{name}-{number}", n=number)
            writer.flush()


def processes(target, argument_lists):
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=target, args=arguments) for arguments in argument_lists]
    for process in running:
        process.start()
    for process in running:
        process.join(120)
        assert process.exitcode == 0


def check_each_kept_its_order(path, count):
    keys = [str(key).split("-") for key in open_packed(path).keys()[3:]]
    assert len(keys) == 4 * count
    for name in "0123":
        assert [int(number) for who, number in keys if who == name] == list(range(count))


def test_four_processes_appending_at_once_lose_nothing_and_keep_their_order(path):
    processes(add_all, [(path, name, 150, 100) for name in "0123"])
    check_each_kept_its_order(path, 150)
    assert open_packed(path).verify() == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_four_processes_appending_10_000_each_lose_nothing(path):
    processes(add_all, [(path, name, 10_000, log.MOST_ROWS) for name in "0123"])
    check_each_kept_its_order(path, 10_000)


def race(path, name, count):
    """Add keys that all processes want; note which were won."""
    order = random.Random(name).sample(range(count), count)
    won = []
    with PackWriter(path) as writer:
        for number in order:
            try:
                writer.append([int(name)], key=f"k{number}", n=int(name))
                writer.flush()
                won.append(number)
            except KeyExistsError:
                pass
    (path.parent / f"won-{name}").write_text(" ".join(map(str, won)))


def test_of_processes_racing_for_keys_exactly_one_wins_each_and_knows(path):
    processes(race, [(path, name, 120) for name in "0123"])
    winners = {}
    for name in "0123":
        for number in (path.parent / f"won-{name}").read_text().split():
            assert winners.setdefault(f"k{number}", int(name)) == int(name)
    assert {key: n for key, n in state(path).items() if key not in "abc"} == winners
    assert len(winners) == 120


def test_threads_share_a_writer_and_a_reader_sees_only_whole_commits(path):
    writer, failures = PackWriter(path), []

    def add(name):
        for number in range(40):
            writer.append([number], key=f"{name}-{number}", n=number)
            writer.flush()

    def watch():
        ds = open_packed(path)
        while any(thread.is_alive() for thread in threads[:-1]):
            before = len(ds)
            if len(ds.refresh()) < before or len(ds.keys()) != len(ds):
                failures.append(len(ds))

    threads = [threading.Thread(target=add, args=(name,)) for name in "0123"]
    threads.append(threading.Thread(target=watch))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert failures == []
    check_each_kept_its_order(path, 40)


def test_a_second_reader_reads_the_journal_by_the_specification(path):
    with PackWriter(path) as writer:
        for n, key in enumerate(["d", "b", "d"]):
            writer.put(np.full((2, n), n, ">i4"), key=key, n=n)
            writer.flush()
        writer.delete("a")
        writer.flush()
        with pytest.raises(KeyExistsError):
            writer.append([0], key="d")
        name = journal_id(path)
        rows, gone = second_journal.read(path, name)
        assert gone == {0, 1}
        ours = list(open_packed(path))[1:]
        assert [(key, metadata) for key, _, metadata in rows] == [(r.key, r.metadata) for r in ours]
        assert all(same(array, r.data) for (_, array, _), r in zip(rows, ours, strict=True))


def test_a_hostile_journal_is_refused_without_harm(path):
    appended(path, 1)
    place, name = last_journal(path), journal_id(path)
    whole = place.read_bytes()
    for operation in (
        {"op": "add", "dtype": "|O", "shape": [1], "length": 8},
        {"op": "add", "dtype": "<f8", "shape": [1 << 40], "length": 8},
        {"op": "add", "dtype": "<f8", "shape": [2], "length": 8},
        {"op": "add", "dtype": "<f8", "shape": [1], "length": 1 << 40},
        {"op": "put", "key": "x", "at": 1 << 50, "dtype": "<f8", "shape": [1], "length": 8},
        {"op": "put", "key": 1 << 70, "dtype": "<f8", "shape": [1], "length": 8},
        {"op": "burn"},
        {"op": "add", "dtype": "<f8", "shape": [1], "length": 8, "meta": [1]},
    ):
        frame = frames.encode(
            str(name),
            os.urandom(16),
            [operation],  # type: ignore[list-item]
            [b"\0" * 8],
            synced=0,
            count=0,
        )
        place.write_bytes(whole + frame)
        with pytest.raises(HaversackError):
            [record.metadata for record in open_packed(path)]
    place.write_bytes(whole)
    assert list(state(path)) == ["a", "b", "c", "k0"]


def test_a_rollback_drops_what_waits_and_learns_what_others_did(path):
    one, other = PackWriter(path), PackWriter(path)
    for writer, key in ((one, "d"), (other, "e")):
        writer.append([3], key=key, n=3)
        writer.flush()
    other.delete("d")
    other.append([4], key="f", n=4)
    other.flush()
    one.append([5], key="g", n=5)
    with pytest.raises(KeyExistsError):
        one.append([6], key="d", n=6)  # as far as it knows
    one.rollback()
    one.append([7], key="d", n=7)
    with pytest.raises(KeyExistsError):
        one.append([8], key="f", n=8)
    one.delete("e")
    one.flush()
    assert state(path) == {"a": 0, "b": 1, "c": 2, "f": 4, "d": 7}
    other.close()  # ends the journal
    with PackWriter(path) as third:
        third.delete("f")
    one.rollback()
    one.append([9], key="f", n=9)
    one.close()
    assert state(path) == {"a": 0, "b": 1, "c": 2, "d": 7, "f": 9}


def test_a_rollback_of_a_large_commit_leaves_no_file(path):
    before = sorted((path / "chunks").iterdir())
    with PackWriter(path, chunk_bytes=1000) as writer:
        for number in range(50):
            writer.append(np.zeros(1 << 20, "u1"), key=f"k{number}", n=number)
        writer.rollback()
        writer.append([1], key="k1", n=1)
    assert state(path) == {"a": 0, "b": 1, "c": 2, "k1": 1}
    assert len(list((path / "chunks").iterdir())) == len(before) + 1


@pytest.mark.parametrize("with_journal", [True, False])
def test_looking_for_news_lists_no_versions_and_misses_none(path, monkeypatch, with_journal):
    writer = PackWriter(path)
    if with_journal:
        writer.append([3], key="d", n=3)
        writer.flush()
    long_ago = 10**18
    os.utime(path / "manifest", ns=(long_ago, long_ago))
    ds = open_packed(path)
    with monkeypatch.context() as context:
        context.setattr(os, "listdir", None)
        assert ds.latest().version == ds.version
        if with_journal:
            writer.append([4], key="e", n=4)
            writer.flush()
            ds = ds.latest()
            assert ds.record("e").data == [4]
    version = ds.version
    with PackWriter(path) as other:
        other.delete("a")
    assert "a" not in ds.latest()
    writer.append([5], key="f", n=5)
    writer.flush()
    ds = ds.refresh()
    assert "f" in ds
    assert ds.version > version
    writer.close()
    assert ds.refresh().manifest.journal is None
    assert set(ds.keys()) == set(state(path))


def test_what_was_read_of_files_serves_all_snapshots_of_the_same_chunks(path):
    with PackWriter(path) as writer:
        writer.delete("b")
        writer.flush()
        writer.append([3], key="d", n=3)
        writer.close()
    writer = PackWriter(path)
    writer.append([9], key="y", n=9)
    writer.flush()
    writer.delete("y")
    writer.flush()
    with pytest.raises(RecordNotFoundError):
        writer.delete("b")
    ds = open_packed(path)
    assert ds.metadata_of("c") == {"n": 2}
    for file in (path / "index").iterdir():
        file.rename(file.with_suffix(".hidden"))
    for number in range(3):
        writer.append([9], key=f"x{number}", n=9)
        writer.delete(["a", "c", "d"][number])
        writer.flush()
        ds = ds.latest()
        assert "b" not in ds
        assert f"x{number}" in ds
        assert len(ds) == 3
    assert ds.keys() == ["x0", "x1", "x2"]
    assert ds.metadata_of("x1") == {"n": 9}
    assert ds.metadata_of("c") is ds.metadata_of("none") is None
    assert ds[1:].texts() == ['{"n":9}'] * 2
    assert ds[1:].metadata_of("x0") is None
