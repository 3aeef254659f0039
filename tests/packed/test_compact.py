"""Compaction changes nothing that can be read, whoever writes meanwhile, and removes when asked."""

import errno
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haversack.errors import (
    FormatError,
    IntegrityError,
    KeyExistsError,
    StorageError,
    UsageError,
    VersionGoneError,
)
from haversack.packed import PackWriter, compact, open_packed
from haversack.packed.manifests import publishing
from haversack.packed.manifests.kept import kept_manifests
from haversack.packed.manifests.manifest import ChunkEntry, Deletions
from haversack.packed.manifests.places import files as named
from haversack.packed.reading.snapshot import Snapshot
from haversack.packed.upkeep import compaction
from haversack.packed.upkeep.compaction import plan
from haversack.packed.upkeep.removal import remove_files
from haversack.storage.publish import storage_error

from .conftest import METADATA, arrays, same


def write(path, numbers, delete=(), **options):
    with PackWriter(path, **options) as writer:
        for key in delete:
            writer.delete(key)
        for number in numbers:
            writer.append(np.full(100, number, "u4"), key=number, n=number)
    return open_packed(path)


def content(ds):
    return [(record.key, record.data.tobytes(), record.metadata) for record in ds]


@pytest.fixture
def path(tmp_path):
    """A dataset of five chunks, of which two have deleted records, and one nothing else."""
    for first in range(0, 50, 10):
        write(tmp_path / "ds", range(first, first + 10))
    write(tmp_path / "ds", [], delete=[0, 3, 11, *range(20, 30)])
    return tmp_path / "ds"


def files(path):
    return {file.relative_to(path) for file in path.rglob("*") if file.is_file()}


def age(path, days=2.0):
    for file in path.rglob("*"):
        os.utime(file, (time.time() - days * 86_400,) * 2)


# What stays the same.


def test_records_keys_metadata_and_order_stay(path):
    before, there = content(open_packed(path)), files(path)
    done = compact(path)
    ds = open_packed(path)
    assert (done.chunks, done.into, done.records, done.version) == (5, 1, 13, ds.version)
    assert content(ds) == before
    assert (len(ds.manifest.chunks), ds.manifest.chunks[0].shape) == (1, [100])
    assert all(entry.deleted is None for entry in ds.manifest.chunks)
    assert ds.verify() == []
    assert there <= files(path)
    assert content(open_packed(path, version=ds.version - 1)) == before
    assert compact(path).chunks == 0
    assert open_packed(path).version == ds.version


@settings(max_examples=25)
@given(
    st.lists(st.tuples(arrays(), st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 400),
    st.sampled_from(["none", "zstd"]),
)
def test_arrays_of_every_kind_are_compacted(tmp_path_factory, records, chunk_bytes, codec):
    path = tmp_path_factory.mktemp("compact") / "ds"
    with PackWriter(path, chunk_bytes=chunk_bytes, codec=codec) as writer:
        for number, (array, has_key, _) in enumerate(records):
            writer.append(array, METADATA, key=str(number) if has_key else None)
    with PackWriter(path) as writer:
        for number, (_, has_key, goes) in enumerate(records):
            if has_key and goes:
                writer.delete(str(number))
    left = [array for array, has_key, goes in records if not (has_key and goes)]
    keys = open_packed(path).keys()
    compact(path, chunk_bytes=600)
    ds = open_packed(path)
    assert ds.keys() == keys
    assert all(map(same, [record.data for record in ds], left))
    assert ds.verify() == []
    assert all(entry.deleted is None for entry in ds.manifest.chunks)
    assert compact(path, chunk_bytes=600).records == 0


def test_nothing_but_deleted_records_leaves_no_chunk(tmp_path):
    write(tmp_path / "ds", range(5))
    write(tmp_path / "ds", [], delete=range(5))
    assert compact(tmp_path / "ds").into == 0
    ds = open_packed(tmp_path / "ds")
    assert (len(ds), ds.manifest.chunks, ds.keys()) == (0, [], [])
    assert len(write(tmp_path / "ds", range(3))) == 3


def test_a_type_that_only_deleted_records_had_is_forgotten(tmp_path):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([1], key="a", n="text")
        writer.append([2], key="b", n=1)
    with PackWriter(tmp_path / "ds") as writer:
        writer.delete("a")
    compact(tmp_path / "ds")
    assert open_packed(tmp_path / "ds").filter("n = 1").keys() == ["b"]


def test_the_journal_is_compacted_too(tmp_path):
    write(tmp_path / "ds", range(5))
    writer = PackWriter(tmp_path / "ds")
    writer.append([7], key=7)
    writer.delete(2)
    writer.flush()
    assert compact(tmp_path / "ds").records == 1
    writer.append([8], key=8)
    writer.close()
    ds = open_packed(tmp_path / "ds")
    assert ds.keys() == [0, 1, 3, 4, 7, 8]
    assert ds.manifest.chunks[0].rows == 5


def entries(sizes):
    deleted = Deletions(number=1, rows=5, crc32c=0)
    return [
        ChunkEntry("0" * 32, 10, size, 0, 0, 0, 0, "|u1", [kind], deleted if gone else None)
        for size, kind, gone in sizes
    ]


@given(
    st.lists(st.tuples(st.integers(5000, 90_000_000), st.integers(1, 2), st.booleans())),
    st.integers(1, 100_000_000),
)
@example([(5000, 2, False), (5000, 1, False), (16 << 20, 1, True)], 8_398_608)
def test_a_plan_joins_small_neighbours_and_leaves_the_rest(sizes, chunk_bytes):
    chunks = entries(sizes)
    groups = plan(chunks, chunk_bytes)
    for group in groups:
        left = [e.bytes // 2 if e.deleted else e.bytes for e in chunks[group.start : group.stop]]
        assert len(group) == 1 or sum(left) <= chunk_bytes + len(group)
        assert len(group) > 1 or chunks[group.start].deleted
        if max(e.bytes for e in chunks[group.start : group.stop]) >= 16 << 20:
            assert len({e.shape[0] for e in chunks[group.start : group.stop]}) == 1
    numbers = [number for group in groups for number in group]
    assert numbers == sorted(set(numbers))
    assert {n for n, e in enumerate(chunks) if e.deleted} <= set(numbers)


# Others at work.


def superseded(path):
    """What only older versions name, which nobody will ever name again."""
    older = list(kept_manifests(path))
    return {f for m in older for f in named(m)} - set(named(open_packed(path).manifest))


WRITER = """
import sys
import numpy as np
from haversack.packed import PackWriter
path, which, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in range(count):
    with PackWriter(path) as writer:
        key = which * 1000 + n
        writer.append(np.full(100, key, "u4"), key=key, n=key)
        if n >= 3 and n % 2:
            writer.delete(key - 3)
    if n % 5 == 0:
        with PackWriter(path, chunk_bytes=1) as writer:
            writer.put(np.full(100, 7, "u4"), key=which, n=7)
"""


def test_a_commit_whose_base_was_removed_begins_again_with_what_took_its_place(path):
    bases = []

    def change(base):
        bases.append(base.version)
        if len(bases) == 1:  # others were faster, and have removed what this one is about to read
            compact(path)
            write(path, [60])
            compact(path, remove=True, keep=1, older_than=0)
        Snapshot(path, base).chunk(0)
        return base

    published = publishing.commit(path, change)
    assert len(bases) == 2
    assert published.version == bases[1] + 1
    assert content(open_packed(path))[-1][0] == 60

    def lost(base):
        raise VersionGoneError("a chunk is gone, and nobody has made another version")

    with pytest.raises(VersionGoneError):
        publishing.commit(path, lost)


@pytest.mark.parametrize("removes", [False, True])
def test_nothing_is_lost_of_those_who_write_meanwhile(path, removes):
    mine = {*range(4, 50)} - {11, *range(20, 30)}
    count = 30
    others = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, str(which), str(count)])
        for which in (1, 2)
    ]
    compacted = removed = 0
    while any(other.poll() is None for other in others):
        compacted += compact(path).records
        if removes:
            for file in superseded(path):
                with suppress(FileNotFoundError):
                    os.utime(path / file, (0, 0))
            removed += len(compact(path, remove=True, keep=3, older_than=3600).removed.files)
    assert [other.returncode for other in others] == [0, 0]
    compact(path)
    ds = open_packed(path)
    gone = {w * 1000 + n - 3 for w in (1, 2) for n in range(3, count) if n % 2}
    theirs = {w * 1000 + n for w in (1, 2) for n in range(count)} - gone
    assert len(ds) == len(mine | theirs | {1, 2})
    assert set(ds.keys()) == mine | theirs | {1, 2}
    for record in ds:
        value = 7 if record.key in {1, 2} else record.key
        assert (record.data == value).all()
        assert record.metadata == {"n": value}
    assert ds.verify() == []
    assert compacted > 0
    assert (removed > 0) == removes


def test_deletions_of_others_are_carried_over(path, monkeypatch):
    copied = compaction._copied
    steps = iter([[1, 49], [31], []])

    def copied_while_others_delete(snapshot, group, work):
        done = copied(snapshot, group, work)
        write(path, [100], delete=next(steps)) if group.start == 0 else None
        return done

    monkeypatch.setattr(compaction, "_copied", copied_while_others_delete)
    before = [key for key in open_packed(path).keys() if key not in {1, 49}]  # noqa: SIM118
    done = compact(path)
    ds = open_packed(path)
    assert done.into == 1
    assert ds.keys() == [*before, 100]
    assert [e.deleted.rows if e.deleted else 0 for e in ds.manifest.chunks] == [2, 0]
    assert ds.verify() == []


def test_it_begins_again_where_others_replaced_the_chunks(path, monkeypatch):
    copied, others = compaction._copied, []

    def copied_while_another_compacts(snapshot, group, work):
        done = copied(snapshot, group, work)
        if not others:
            others.append(1)
            compact(path)
            write(path, [100], delete=[1, 40])
        return done

    monkeypatch.setattr(compaction, "_copied", copied_while_another_compacts)
    before = [key for key in open_packed(path).keys() if key not in {1, 40}]  # noqa: SIM118
    done = compact(path)
    ds = open_packed(path)
    assert (done.records, ds.keys(), len(ds.manifest.chunks)) == (2, [*before, 100], 1)
    # What was written in vain is not left behind.
    assert len(list((path / "chunks").iterdir())) == 5 + 1 + 1 + 1


def test_a_damaged_record_stops_it_and_nothing_is_left(path):
    damaged = path / "chunks" / f"{open_packed(path).manifest.chunks[1].id}.chunk"
    data = bytearray(damaged.read_bytes())
    data[4096 + 400 * 5] ^= 1
    damaged.write_bytes(data)
    there = files(path)
    with pytest.raises(IntegrityError, match="record 5"):
        compact(path)
    assert files(path) == there


KILLED = """
import sys
from haversack.packed import compact
print("READY", flush=True)
compact(sys.argv[1], chunk_bytes=5000)
"""


def test_killed_at_any_moment_it_has_changed_nothing_that_can_be_read(path):
    expected, chance = content(open_packed(path)), random.Random(0)
    for _ in range(8):
        child = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.12))
        child.kill()
        child.communicate()
        ds = open_packed(path)
        assert content(ds) == expected
        assert ds.verify() == []
    assert content(write(path, [99]))[:-1] == expected


# Removing.


def test_only_what_no_kept_version_names_is_removed(path):
    open_packed(path, version=2).tag("two")
    compact(path)
    current, two = content(open_packed(path)), content(open_packed(path, version="two"))
    age(path)
    assert compact(path, remove=True).removed.files == ()
    done = compact(path, remove=True, keep=1).removed
    assert done.versions == open_packed(path).version - 1
    assert {file.relative_to(path).parts[0] for file in done.files} == {"chunks", "index"}
    assert done.bytes > 3 * 4096
    assert not any(file.exists() for file in done.files)
    assert content(open_packed(path)) == current
    assert content(open_packed(path, version="two")) == two
    assert [v.number for v in open_packed(path).versions()] == [2, open_packed(path).version]
    open_packed(path).untag("two")
    assert len(compact(path, remove=True).removed.files) == 4
    assert len(files(path)) == 3


def test_what_is_young_stays(path):
    compact(path)
    assert compact(path, remove=True, keep=1).removed.files == ()
    assert len(compact(path, remove=True, keep=1, older_than=-5).removed.files) > 5


@pytest.fixture
def fill_disk(path, monkeypatch):
    """Take all room but what is made from now on, of what was compacted two days ago."""
    compact(path)
    age(path)
    write(path, [], delete=[1, 2])
    real = compaction.copy_rows

    def fill():
        had = size(path)

        def copy(snapshot, number, rows, draft):
            if size(path) > had - 5000:
                error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                raise storage_error("write", path, error) from error
            real(snapshot, number, rows, draft)

        monkeypatch.setattr(compaction, "copy_rows", copy)

    return fill


def size(path):
    return sum((path / file).stat().st_size for file in files(path) if ".partial" not in file.name)


def test_on_a_full_disk_older_versions_make_room_where_they_may_go(path, fill_disk):
    fill_disk()
    before, there = content(open_packed(path)), files(path)
    for options in ({}, {"remove": True}, {"remove": True, "keep": 20}):
        with pytest.raises(StorageError, match="the disk is full") as raised:
            compact(path, **options)
        assert ("--remove --keep 1" in str(raised.value)) == ("keep" not in options)
        assert files(path) == there
    done = compact(path, remove=True, keep=1)
    assert (done.records, done.removed.versions) == (2, 8)
    assert content(open_packed(path)) == before
    assert open_packed(path).verify() == []


def test_on_a_full_disk_what_nobody_needs_makes_room_first(path, fill_disk):
    before = content(open_packed(path))
    stray = path / "chunks" / f"{'0' * 32}.chunk"
    stray.write_bytes(bytes(9000))
    os.utime(stray, (1, 1))
    fill_disk()
    done = compact(path, remove=True)
    assert (done.records, done.removed.files, done.removed.versions) == (2, (stray,), 0)
    assert content(open_packed(path)) == before


def test_older_versions_stay_where_the_newest_is_damaged(path):
    (first, *_) = open_packed(path).manifest.chunks
    chunk = path / "chunks" / f"{first.id}.chunk"
    data = bytearray(chunk.read_bytes())
    data[4096 + 400] ^= 1
    chunk.write_bytes(data)
    there = files(path)
    with pytest.raises(IntegrityError):
        compact(path, remove=True, keep=1, older_than=-5)
    assert {file for file in there if file.parts[0] != "journal"} <= files(path)


def test_what_killed_writers_left_is_removed(path):
    strays = [
        "chunks/.0123456789abcdef.partial",
        f"chunks/{'0' * 32}.chunk",
        f"index/{'0' * 32}.parquet",
        f"index/{'0' * 32}.7.del",
        "manifest/.0123456789abcdef.partial",
        "manifest/tags/.0123456789abcdef.partial",
        "cache/anything",
        f"journal/{'0' * 32}.journal",
    ]
    others = ["chunks/README", "index/.hidden", "notes.txt", f"build/{'0' * 32}.txt", "chunks/a"]
    for name in strays + others:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"x")
    age(path)
    compact(path)
    found = compact(path, remove=True, dry_run=True).removed
    assert {str(file.relative_to(path)) for file in found.files} == set(strays)
    assert found.bytes == len(strays)
    assert all((path / name).exists() for name in strays + others)
    assert compact(path, remove=True).removed == found
    assert not any((path / name).exists() for name in strays)
    assert all((path / name).exists() for name in others)


def test_what_a_running_build_names_stays(path):
    (path / "build").mkdir()
    (path / "build/nightly.json").write_text(f'[{{"chunks": ["{"1" * 32}"]}}')  # cut short
    for name in (
        f"chunks/{'1' * 32}.chunk",
        f"index/{'1' * 32}.parquet",
        f"chunks/{'2' * 32}.chunk",
    ):
        (path / name).write_bytes(b"x")
    age(path)
    removed = compact(path, remove=True).removed
    assert [file.name for file in removed.files] == [f"{'2' * 32}.chunk"]
    # What a build of ours makes begins with its name, before its notes speak of it.
    (path / f"build/{'3' * 16}.json").write_text("")
    for name in (f"chunks/{'3' * 16}{'0' * 16}.chunk", f"chunks/.{'3' * 16}{'1' * 16}.partial"):
        (path / name).write_bytes(b"x")
    age(path)
    assert compact(path, remove=True).removed.files == ()


@pytest.mark.parametrize("name", ["manifest/00000001.json", "manifest/tags/one.json"])
def test_who_cannot_tell_what_is_named_removes_nothing(path, name):
    open_packed(path, version=1).tag("one")
    compact(path)
    (path / name).write_bytes(b"{}")
    age(path)
    there = files(path)
    with pytest.raises(FormatError, match=Path(name).name):
        compact(path, remove=True, keep=None)
    assert files(path) == there


def test_a_reader_of_a_forgotten_version_is_told_to_refresh(path):
    lazy, mapped = open_packed(path), open_packed(path)
    expected = content(mapped)
    compact(path)
    compact(path, remove=True, keep=1, older_than=-5)
    assert [(r.key, r.data.tobytes()) for r in mapped] == [each[:2] for each in expected]
    for read in (lambda: lazy[0], lazy.metadata, lambda: lazy.record(1)):
        with pytest.raises(VersionGoneError, match=r"refresh\(\)"):
            read()
    assert content(lazy.refresh()) == expected


@pytest.mark.parametrize("begun", [False, True])
def test_a_writer_goes_on_where_the_files_of_its_version_are_removed(path, begun):
    writer = PackWriter(path)
    if begun:
        writer.append([99], key=99)
        writer.flush()
    for number in (100, 101):
        compact(path)
        compact(path, remove=True, keep=1, older_than=-5)
        writer.append([number], key=number)
        with pytest.raises(KeyExistsError):
            writer.append([1], key=49)
        writer.put([number], key=48)
        writer.delete(47 - number % 2)
        writer.flush()
    writer.close()
    ds = open_packed(path)
    assert set(ds.keys()) >= {100, 101, 48, 49}
    assert not {46, 47}.intersection(ds.keys())
    assert ds.record(48).data.tolist() == [101]
    assert ds.verify() == []


@pytest.mark.parametrize("folder", ["manifest", "manifest/tags", "build"])
def test_a_directory_that_cannot_be_read_is_not_taken_for_an_empty_one(path, folder, monkeypatch):
    open_packed(path, version=1).tag("one")
    age(path)
    there, listdir = files(path), os.listdir

    def failing(name):
        if str(name) == str(path / folder):
            raise PermissionError(13, "Permission denied", name)
        return listdir(name)

    monkeypatch.setattr(os, "listdir", failing)
    with pytest.raises(StorageError, match="permission denied"):
        remove_files(path, keep=1)
    assert files(path) == there


BIG = np.zeros(5 << 20, "u1")  # too big for the journal


def test_a_writer_that_waited_too_long_is_told(path):
    writer = PackWriter(path, chunk_bytes=10)
    writer.append(BIG, key=100)
    assert compact(path, remove=True, older_than=-5).removed.files
    with pytest.raises(StorageError, match="more than a day"):
        writer.close()
    assert len(open_packed(path)) == 37
    assert open_packed(path).verify() == []


def test_a_writer_that_takes_long_keeps_its_files_young(path, monkeypatch):
    monkeypatch.setattr("haversack.packed.writing.change._OFTEN", 0)
    writer = PackWriter(path, chunk_bytes=10)
    writer.append(BIG, key=100)
    age(path)
    writer.append(BIG, key=101)
    assert compact(path, remove=True).removed.files == ()
    age(path)
    writer.close()
    assert compact(path, remove=True).removed.files == ()
    assert len(open_packed(path)) == 37 + 2


def test_a_dry_run_changes_nothing(path):
    there = files(path)
    done = compact(path, dry_run=True, remove=True, keep=1, older_than=-5)
    assert (done.chunks, done.into, done.records) == (5, 1, 13)
    assert done.removed.versions == 5
    assert files(path) == there


def test_wrong_arguments_are_said(path, tmp_path):
    for call in (
        lambda: compact(path, keep=1),
        lambda: compact(path, keep=0, remove=True),
        lambda: compact(path, chunk_bytes=0),
    ):
        with pytest.raises(UsageError):
            call()
    with pytest.raises(FileNotFoundError):
        compact(tmp_path / "nowhere")
    (tmp_path / "text").mkdir()
    with pytest.raises(FormatError, match="no manifest"):
        compact(tmp_path / "text", remove=True)
    assert list((tmp_path / "text").iterdir()) == []
