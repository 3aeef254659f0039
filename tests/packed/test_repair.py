"""Repair keeps every whole record, lists what is lost, and leaves a dataset without damage."""

import os
import re
import shutil
import time

import numpy as np
import pytest
from tests.running import run_python

from haversack.errors import FormatError, HaversackError, IntegrityError, NewerFormatError
from haversack.packed import PackWriter, compact, open_packed, pack, repair
from haversack.packed.journal.log import make_journal
from haversack.packed.manifests.manifest import encode
from haversack.storage.checksum import crc32c

from .conftest import METADATA, small_records
from .test_damage import files, positions


@pytest.fixture(params=["mixed", "uniform", "encoded", "one kind", "shared"])
def closed(request, tmp_path):
    """A dataset of several chunks, with deleted records, and no older versions."""
    codec = "blosc-zstd" if request.param == "encoded" else "none"
    shared = request.param == "shared"
    with PackWriter(tmp_path / "ds", codec=codec, chunk_bytes=60, dedupe=shared) as writer:
        for key, array, metadata in small_records():
            if shared:
                writer.append(np.full((2, 3), metadata["n"] % 3, ">i2"), metadata, key=key)
            elif request.param in {"uniform", "one kind"}:
                wide = 2 if request.param == "one kind" and metadata["n"] == 3 else 3
                writer.append(np.full((2, wide), metadata["n"], ">i2"), metadata, key=key)
            else:
                writer.append(array, metadata, key=key)
    with PackWriter(tmp_path / "ds") as writer:
        writer.delete("key 2")
        writer.delete("key 7")
    for path in sorted((tmp_path / "ds/manifest").iterdir())[:-1]:
        path.unlink()
    return tmp_path / "ds"


def readable(path):
    """Each record that reads: key -> (bytes, metadata or None); and whether all did."""
    found, whole = {}, True
    ds = open_packed(path)
    for place in range(len(ds)):
        try:
            record = ds[place]
            data, key = record.data, record.key
        except HaversackError:
            whole = False
            continue
        try:
            metadata = record.metadata
        except HaversackError:
            metadata, whole = None, False
        found[key] = (data.dtype.str, data.shape, data.tobytes(), metadata)
    return found, whole


def check_repaired(path, expected, before):
    """What read before reads after; what does not is listed; nothing is wrong."""
    done = repair(path)
    ds = open_packed(path)
    after, whole = readable(path)
    assert whole
    assert ds.verify() == []
    assert (done.version, done.kept) == (ds.version, len(ds))
    listed = " ".join(f"{damage.where} {damage.what}" for damage in done.lost)
    for key, value in before.items():
        assert after[key][:3] == value[:3]
        assert value[3] is None or after[key][3] == value[3]
    for key, value in expected.items():
        if key not in after:
            assert f"(key '{key}')" in listed
            continue
        assert after[key][:3] == value[:3]
        if after[key][3] != value[3]:
            assert after[key][3] == {}
            assert f"(key '{key}')" in listed
    assert set(after) <= set(expected)
    assert repair(path) == type(done)(done.version, done.kept, [], [])
    return after


def sweep(path, tmp_path, damages):
    expected, _ = readable(path)
    complete = 0
    for number, (file, damage) in enumerate(damages):
        copy = tmp_path / f"copy {number}"
        shutil.copytree(path, copy)
        damaged = copy / file.relative_to(path)
        damage(damaged)
        try:
            before, whole = readable(copy)
        except HaversackError:
            before, whole = {}, False
        if whole and open_packed(copy).verify() == []:
            assert repair(copy).lost == []
        else:
            complete += check_repaired(copy, expected, before) == expected
        shutil.rmtree(copy)
    return complete


def flip(at):
    def change(file):
        data = bytearray(file.read_bytes())
        data[at] ^= 1 << (at % 8)
        file.write_bytes(data)

    return change


def flips(path, step):
    return [(file, flip(at)) for file in files(path) for at in positions(file.stat().st_size, step)]


def test_after_a_flipped_byte_all_that_was_whole_is_there(closed, tmp_path):
    sweep(closed, tmp_path, flips(closed, 1)[::4001])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_after_each_flipped_byte_all_that_was_whole_is_there(closed, tmp_path):
    sweep(closed, tmp_path, flips(closed, 1))


def spoil(start, size):
    def change(file):
        data = bytearray(file.read_bytes())
        data[start : start + size] = bytes(len(data[start : start + size]))
        file.write_bytes(data)

    return change


def cut(size):
    return lambda file: os.truncate(file, size)


def test_after_a_lost_sector_all_that_was_whole_is_there(closed, tmp_path):
    damages = []
    for file in files(closed):
        size = file.stat().st_size
        if file.parent.name != "manifest" and file.suffix != ".del":
            damages += [(file, spoil(at, 64)) for at in range(max(0, size % 512), size, 512)]
            damages += [(file, spoil(size - at, 40)) for at in (40, 64, 100, 200, 300)]
    sweep(closed, tmp_path, damages[:: max(1, len(damages) // 10)])


def test_after_a_cut_or_a_loss_all_that_was_whole_is_there(closed, tmp_path):
    damages = []
    for file in files(closed):
        size = file.stat().st_size
        if file.parent.name != "manifest" and file.suffix != ".del":
            damages += [(file, cut(size - at)) for at in (1, 60, 64, 70, 500, size // 2, size)]
            damages += [(file, os.unlink)]
    sweep(closed, tmp_path, damages[::2])


def one(path, count=6, **options):
    """A dataset of one chunk of records of one kind."""
    with PackWriter(path, **options) as writer:
        for number in range(count):
            writer.append(np.full(10, number, "u4"), {**METADATA, "n": number}, key=f"k{number}")
    return open_packed(path)


def the(path, pattern):
    (found,) = path.glob(pattern)
    return found


# What is told of what.


def test_a_damaged_record_is_dropped_and_listed_by_key_and_place(tmp_path):
    one(tmp_path / "ds")
    flip(4096 + 40 * 3)(the(tmp_path / "ds", "chunks/*"))
    before = {file: file.read_bytes() for file in files(tmp_path / "ds")}
    wanted = repair(tmp_path / "ds", dry_run=True)
    assert {file: file.read_bytes() for file in files(tmp_path / "ds")} == before
    done = repair(tmp_path / "ds")
    (damage,) = done.lost
    assert (damage.path, done.rebuilt) == (the_chunk(done), [the_chunk(done)])
    assert damage.where == "record 3 (key 'k3'), position 3 of the version"
    assert (done.version, done.kept) == (2, 5)
    assert (wanted.lost, wanted.rebuilt, wanted.kept) == (done.lost, done.rebuilt, 5)
    assert {file: file.read_bytes() for file in before} == before
    assert open_packed(tmp_path / "ds").keys() == ["k0", "k1", "k2", "k4", "k5"]
    with pytest.raises(IntegrityError):
        open_packed(tmp_path / "ds", version=1)[3]


def the_chunk(done):
    return done.rebuilt[0]


def test_a_dataset_without_damage_stays_as_it_is(closed):
    before = {file: file.read_bytes() for file in files(closed)}
    done = repair(closed)
    assert (done.lost, done.rebuilt, done.version) == ([], [], open_packed(closed).version)
    assert {file: file.read_bytes() for file in files(closed)} == before


def test_metadata_of_row_groups_that_read_are_kept(tmp_path):
    count = 40_000
    with PackWriter(tmp_path / "ds") as writer:
        for number in range(count):
            writer.append(np.full(1, number, "u4"), key=number, n=number, text=f"{number:x}" * 5)
    index = the(tmp_path / "ds", "index/*")
    spoil(index.stat().st_size // 2, 30)(index)
    done = repair(tmp_path / "ds")
    ds = open_packed(tmp_path / "ds")
    metadata = [record.metadata for record in ds]
    assert (len(ds), ds.keys()) == (count, list(range(count)))
    kept = [n for n, each in enumerate(metadata) if each]
    assert all(metadata[n]["n"] == n for n in kept)
    assert len(kept) >= 16_384
    assert len(kept) + len(done.lost) == count
    assert ds.verify() == []


def test_keys_come_back_from_whichever_file_is_whole(tmp_path):
    ds = one(tmp_path / "ds")
    chunk = the(ds.path, "chunks/*")
    data = chunk.read_bytes()
    at = data.index(b"k0k1k2k3k4k5")
    spoil(at, 12)(chunk)
    done = repair(ds.path)
    assert done.lost == []
    assert open_packed(ds.path).keys() == [f"k{n}" for n in range(6)]
    shutil.rmtree(ds.path)
    ds = one(tmp_path / "ds")
    the(ds.path, "index/*").unlink()
    spoil(at + 2, 3)(the(ds.path, "chunks/*"))
    done = repair(ds.path)
    assert open_packed(ds.path).keys() == ["k0", None, None, "k3", "k4", "k5"]
    assert [damage.what for damage in done.lost if "2 keys are lost" in damage.what]


def test_payloads_that_were_shared_stay_so(tmp_path):
    with PackWriter(tmp_path / "ds", dedupe=True) as writer:
        for number in range(9):
            writer.append(np.full(1000, number % 3, "u4"), key=number)
    chunk = the(tmp_path / "ds", "chunks/*")
    flip(4096 + 4000)(chunk)
    done = repair(tmp_path / "ds")
    assert [damage.where.split()[1] for damage in done.lost] == ["1", "4", "7"]
    ds = open_packed(tmp_path / "ds")
    assert ds.keys() == [0, 2, 3, 5, 6, 8]
    assert ds.manifest.chunks[0].bytes < chunk.stat().st_size - 3000


# Manifests.


def history(path):
    """Versions: 0-2 added; 3 added; 1 deleted; 4 added."""
    for numbers, delete in (((0, 1, 2), ()), ((3,), ()), ((), (1,)), ((4,), ())):
        with PackWriter(path) as writer:
            for number in numbers:
                writer.append(np.full(3, number), key=number, n=number)
            for key in delete:
                writer.delete(key)
    return sorted((path / "manifest").glob("*.json"))


def test_every_flipped_byte_of_the_newest_manifest_is_put_right(tmp_path):
    newest = history(tmp_path / "ds")[-1]
    good = newest.read_bytes()
    for at in range(0, len(good), 13):
        flip(at)(newest)
        done = repair(tmp_path / "ds")
        assert (done.lost, done.rebuilt) == ([], [newest])
        assert newest.read_bytes() == good


def test_a_lost_manifest_is_replaced_by_the_newest_that_reads_and_its_chunks_are_found(tmp_path):
    manifests = history(tmp_path / "ds")
    spoil(60, 30)(manifests[-1])
    done = repair(tmp_path / "ds")
    ds = open_packed(tmp_path / "ds")
    assert [damage.path for damage in done.lost] == [manifests[-1]]
    assert "but for 1 records" in done.lost[0].what
    assert (ds.keys(), ds.version, ds.verify()) == ([0, 2, 3, 4], 5, [])
    assert ds.filter("n = 4").keys() == [4]
    assert [version.number for version in ds.versions()] == [1, 2, 3, 5]
    assert manifests[-1].with_name("00000004.json.damaged").exists()
    with PackWriter(ds.path) as writer:
        writer.append([5], key=5)
    assert len(ds.refresh()) == 5


def test_an_older_version_stands_where_the_newest_cannot_be_told(tmp_path):
    manifests = history(tmp_path / "ds")
    for path in manifests[1:]:
        path.write_bytes(b"gone")
    done = repair(tmp_path / "ds")
    assert open_packed(tmp_path / "ds").keys() == [0, 1, 2]
    assert {damage.path for damage in done.lost} == set(manifests[1:])
    assert "after version 1" in done.lost[-1].what


def test_a_tag_stands_in_for_lost_manifests(tmp_path):
    manifests = history(tmp_path / "ds")
    open_packed(tmp_path / "ds", version=3).tag("three")
    for path in manifests:
        path.unlink()
    done = repair(tmp_path / "ds")
    assert (open_packed(tmp_path / "ds").keys(), done.version) == ([0, 2, 3], 4)


def test_a_damaged_tag_is_set_aside_and_listed(tmp_path):
    history(tmp_path / "ds")
    open_packed(tmp_path / "ds").tag("mine")
    tag = the(tmp_path / "ds", "manifest/tags/*")
    flip(50)(tag)
    assert repair(tmp_path / "ds").rebuilt == [tag]
    assert open_packed(tmp_path / "ds", version="mine").keys() == [0, 2, 3, 4]
    tag.write_bytes(b"gone")
    assert [damage.path for damage in repair(tmp_path / "ds").lost] == [tag]
    assert open_packed(tmp_path / "ds").info()["tags"] == []


def test_without_any_manifest_the_files_tell_what_they_can(tmp_path):
    history(tmp_path / "ds")
    expected = {r.key: (r.data.tobytes(), r.metadata) for r in open_packed(tmp_path / "ds")}
    shutil.rmtree(tmp_path / "ds/manifest")
    done = repair(tmp_path / "ds")
    ds = open_packed(tmp_path / "ds")
    assert "no manifest that can be read" in done.lost[0].what
    assert {r.key: (r.data.tobytes(), r.metadata) for r in ds} == expected
    assert ds.keys() == [0, 2, 3, 4]
    assert ds.filter("n >= 3").keys() == [3, 4]
    assert ds.verify() == []


def test_of_records_that_come_back_the_replaced_ones_stay_away(tmp_path):
    for number in range(4):
        with PackWriter(tmp_path / "ds") as writer:
            writer.put([number], key="a", n=number)
            writer.append([number], key=f"b{number}")
    for path in (tmp_path / "ds").glob("index/*.del"):
        path.unlink()
    shutil.rmtree(tmp_path / "ds/manifest")
    repair(tmp_path / "ds")
    ds = open_packed(tmp_path / "ds")
    assert set(ds.keys()) == {"a", "b0", "b1", "b2", "b3"}
    assert len(ds) == 5
    assert ds.record("a").metadata == {"n": 3}


def test_what_holds_nothing_is_no_dataset(tmp_path):
    with pytest.raises(FileNotFoundError):
        repair(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="neither a manifest nor a chunk"):
        repair(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_format_is_left_alone(tmp_path):
    ds = one(tmp_path / "ds")
    text = encode(ds.manifest).replace(b'"format":1', b'"format":2')
    path = the(ds.path, "manifest/*.json")
    path.write_bytes(b'{"crc32c":"%08x",' % crc32c(text[21:]) + text[21:])
    with pytest.raises(NewerFormatError):
        repair(ds.path)


# Deletions.


def test_a_deletion_list_that_can_be_told_is_written_anew(tmp_path):
    history(tmp_path / "ds")
    path = the(tmp_path / "ds", "index/*.del")
    flip(33)(path)
    done = repair(tmp_path / "ds")
    assert (done.lost, done.rebuilt) == ([], [path])
    assert open_packed(tmp_path / "ds").keys() == [0, 2, 3, 4]
    assert open_packed(tmp_path / "ds").verify() == []


@pytest.mark.parametrize("damage", [os.unlink, lambda path: path.write_bytes(b"gone")])
def test_deleted_records_come_back_only_when_that_is_asked_for(tmp_path, damage):
    history(tmp_path / "ds")
    damage(the(tmp_path / "ds", "index/*.del"))
    there = files(tmp_path / "ds")
    with pytest.raises(IntegrityError, match=r"1 deleted records of 3 .*--undelete"):
        repair(tmp_path / "ds")
    assert files(tmp_path / "ds") == there
    done = repair(tmp_path / "ds", undelete=True)
    assert "they are back" in done.lost[0].what
    assert open_packed(tmp_path / "ds").keys() == [0, 1, 2, 3, 4]
    assert open_packed(tmp_path / "ds").verify() == []


def test_the_lists_of_older_versions_say_most_of_it(tmp_path):
    one(tmp_path / "ds", 9)
    for key in ("k1", "k4", "k7"):
        with PackWriter(tmp_path / "ds") as writer:
            writer.delete(key)
    max((tmp_path / "ds").glob("index/*.del")).unlink()
    repair(tmp_path / "ds", undelete=True)
    assert open_packed(tmp_path / "ds").keys() == ["k0", "k2", "k3", "k5", "k6", "k7", "k8"]


# The journal.


def with_journal(path):
    one(path, 3)
    writer = PackWriter(path)
    for number in range(10, 14):
        writer.append(np.full(10, number, "u4"), {"n": number}, key=f"k{number}")
        if number == 11:
            writer.delete("k1")
        writer.flush()
    writer.close(seal=False)
    return the(path, "journal/*")


def test_a_whole_journal_is_sealed(tmp_path):
    with_journal(tmp_path / "ds")
    done = repair(tmp_path / "ds")
    ds = open_packed(tmp_path / "ds")
    assert (done.lost, done.kept, ds.snapshot["journal"]) == ([], 6, None)
    assert ds.keys() == ["k0", "k2", "k10", "k11", "k12", "k13"]


def test_frames_of_a_damaged_journal_that_are_whole_are_kept(tmp_path):
    path = with_journal(tmp_path / "ds")
    good = path.read_bytes()
    frames = [match.start() for match in re.finditer(b"HSKFRAME", good)]
    for number, at in enumerate([10, *frames]):
        copy = tmp_path / f"copy {number}"
        shutil.copytree(tmp_path / "ds", copy)
        flip(at + 100 if number else at)(copy / path.relative_to(tmp_path / "ds"))
        done = repair(copy)
        ds = open_packed(copy)
        lost = {2: {"k11"}, 1: {"k10"}, 3: {"k12"}, 4: {"k13"}}.get(number, set())
        expected = ["k0", *(["k1"] if number == 2 else []), "k2"]
        expected += [key for key in ("k10", "k11", "k12", "k13") if key not in lost]
        assert ds.keys() == expected
        assert bool(done.lost) == (number > 0)
        assert ds.verify() == []
        with PackWriter(copy) as writer:
            writer.append([1], key="more")
            writer.flush()
        assert len(open_packed(copy)) == len(expected) + 1


def test_a_lost_journal_costs_its_records_and_no_others(tmp_path):
    path = with_journal(tmp_path / "ds")
    path.unlink()
    done = repair(tmp_path / "ds")
    assert [damage.path for damage in done.lost] == [path]
    assert open_packed(tmp_path / "ds").keys() == ["k0", "k1", "k2"]


# Journals that no version names.


def without_newest(path):
    """Lose the manifest that names the journal."""
    max(path.glob("manifest/*.json")).unlink()


def lose_all(path):
    shutil.rmtree(path / "manifest")


def spoil_newest(path):
    newest = max(path.glob("manifest/*.json"))
    before = newest.stat()
    spoil(60, 30)(newest)
    os.utime(newest, ns=(before.st_atime_ns, before.st_mtime_ns))


def content_of(path):
    return [(r.key, r.data.tolist(), r.metadata) for r in open_packed(path)]


def in_a_journal(path):
    """A dataset of which half is in its journal: added, put, deleted, and without keys."""
    one(path, 4)
    writer = PackWriter(path)
    writer.append(np.full(10, 9, "u4"), {"n": 9}, key="k9")
    writer.put(np.full(10, 20, "u4"), {"n": 20}, key="k2")
    writer.flush()
    writer.append(np.zeros(3), {"n": None})
    writer.delete("k1")
    writer.append(np.full(10, 8, "u4"), {"n": 8}, key="k8")
    writer.flush()
    with pytest.raises(KeyError):
        writer.append([1], key="k3")
    writer.delete("k9")
    writer.flush()
    writer.close(seal=False)
    return the(path, "journal/*")


@pytest.mark.parametrize("lose", [without_newest, spoil_newest, lose_all])
def test_the_commits_of_a_journal_whose_manifest_is_lost_are_taken_back(tmp_path, lose):
    journal = in_a_journal(tmp_path / "ds")
    expected = content_of(tmp_path / "ds")
    lose(tmp_path / "ds")
    if lose is without_newest:
        (damage,) = open_packed(tmp_path / "ds").verify()
        assert (damage.path, "3 whole commits" in damage.what) == (journal, True)
    before = {file: file.read_bytes() for file in files(tmp_path / "ds")}
    wanted = repair(tmp_path / "ds", dry_run=True)
    assert {file: file.read_bytes() for file in files(tmp_path / "ds")} == before
    done = repair(tmp_path / "ds")
    assert content_of(tmp_path / "ds") == expected
    assert (wanted.kept, wanted.lost) == (done.kept, done.lost)
    (told,) = [damage.what for damage in done.lost if damage.path == journal]
    assert "3 records of its 3 commits are taken back" in told
    assert "in use" not in told
    assert open_packed(tmp_path / "ds").verify() == []
    assert repair(tmp_path / "ds").lost == []
    with PackWriter(tmp_path / "ds") as writer:
        writer.append([1], key="k1")
    assert len(open_packed(tmp_path / "ds")) == len(expected) + 1


def test_a_journal_is_taken_back_where_nothing_else_is_left(tmp_path):
    PackWriter(tmp_path / "ds").close()
    with pytest.raises(FormatError, match="neither a manifest nor a chunk"):
        lose_all(tmp_path / "ds")
        repair(tmp_path / "ds")
    PackWriter(tmp_path / "ds").close()
    writer = PackWriter(tmp_path / "ds")
    writer.append([7], {"n": 7}, key=7)
    writer.flush()
    writer.close(seal=False)
    lose_all(tmp_path / "ds")
    repair(tmp_path / "ds")
    assert content_of(tmp_path / "ds") == [(7, [7], {"n": 7})]


def test_what_was_committed_after_the_loss_of_a_journal_stays(tmp_path):
    journal = in_a_journal(tmp_path / "ds")
    without_newest(tmp_path / "ds")
    time.sleep(0.02)  # clocks of file systems tick more slowly than writers commit
    with PackWriter(tmp_path / "ds") as writer:
        writer.put(np.full(10, 88, "u4"), {"n": 88}, key="k8")
    (damage,) = open_packed(tmp_path / "ds").verify()
    assert damage.path == journal
    done = repair(tmp_path / "ds")
    (told,) = [damage.what for damage in done.lost]
    # k1 and k2 are in use as they were before the journal; k8 as it was put since.
    assert "1 records of its 3 commits are taken back, but nothing that it did to 3 keys" in told
    assert [(key, data[0]) for key, data, _ in content_of(tmp_path / "ds")] == [
        *[("k0", 0), ("k1", 1), ("k2", 2), ("k3", 3), ("k8", 88), (None, 0)]
    ]
    assert open_packed(tmp_path / "ds").verify() == []


def test_whole_commits_of_a_damaged_journal_are_taken_back_too(tmp_path):
    journal = in_a_journal(tmp_path / "ds")
    frames = [match.start() for match in re.finditer(b"HSKFRAME", journal.read_bytes())]
    without_newest(tmp_path / "ds")
    flip(frames[1] + 100)(journal)
    flip(10)(journal)
    (damage,) = open_packed(tmp_path / "ds").verify()
    assert "2 whole commits" in damage.what
    done = repair(tmp_path / "ds")
    assert any(d.where == f"bytes {frames[1]} to {frames[2]}" for d in done.lost)
    assert open_packed(tmp_path / "ds").keys() == ["k0", "k1", "k3", "k2"]
    assert open_packed(tmp_path / "ds").verify() == []


def test_a_repair_that_dies_before_it_ends_a_journal_takes_nothing_back_twice(
    tmp_path, monkeypatch
):
    from haversack.packed.upkeep import rescue

    in_a_journal(tmp_path / "ds")
    expected = content_of(tmp_path / "ds")
    without_newest(tmp_path / "ds")

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rescue, "end_journal", die)
    with pytest.raises(KeyboardInterrupt):
        repair(tmp_path / "ds")
    monkeypatch.undo()
    for _ in range(2):
        assert content_of(tmp_path / "ds") == expected
        assert open_packed(tmp_path / "ds").verify() == []
        assert repair(tmp_path / "ds").lost == []


def test_who_goes_on_in_a_journal_that_is_taken_back_is_told_or_moves_on(tmp_path):
    one(tmp_path / "ds", 2)
    writer = PackWriter(tmp_path / "ds")
    writer.append([1], key="a")
    writer.flush()
    without_newest(tmp_path / "ds")
    writer.append([2], key="b")
    writer.flush()
    assert repair(tmp_path / "ds").kept == 4
    writer.append([3], key="c")
    writer.close()
    assert open_packed(tmp_path / "ds").keys() == ["k0", "k1", "a", "b", "c"]
    assert open_packed(tmp_path / "ds").verify() == []


def test_journals_of_the_normal_course_are_no_damage(tmp_path):
    one(tmp_path / "ds", 2)
    for number in range(3):
        writer = PackWriter(tmp_path / "ds")
        writer.append([1], key=f"a{number}")
        writer.flush()
        if number < 2:
            writer.close()
    make_journal(tmp_path / "ds")  # by a writer that has not named it yet
    compact(tmp_path / "ds", remove=True, keep=1)  # old manifests go, young files stay
    assert len(list((tmp_path / "ds/journal").iterdir())) == 4
    assert open_packed(tmp_path / "ds").verify() == []
    assert repair(tmp_path / "ds").lost == []
    assert open_packed(tmp_path / "ds").keys() == ["k0", "k1", "a0", "a1", "a2"]


def test_the_removal_of_files_leaves_a_journal_whose_commits_no_version_has(tmp_path):
    journal = in_a_journal(tmp_path / "ds")
    expected = content_of(tmp_path / "ds")
    without_newest(tmp_path / "ds")
    compact(tmp_path / "ds", remove=True, keep=1, older_than=-5)
    assert journal.exists()
    repair(tmp_path / "ds")
    assert sorted(content_of(tmp_path / "ds"), key=str) == sorted(expected, key=str)
    compact(tmp_path / "ds", remove=True, keep=1, older_than=-5)
    assert not journal.exists()


# Others at work, and afterwards.


def test_repair_begins_again_where_others_publish_meanwhile(tmp_path, monkeypatch):
    ds = one(tmp_path / "ds")
    flip(4096)(the(ds.path, "chunks/*"))
    from haversack.packed.upkeep import recovery

    examine, others = recovery.examine, []

    def examine_while_others_write(*arguments):
        if not others:
            others.append(1)
            with PackWriter(ds.path) as writer:
                writer.append([9], key="other")
        return examine(*arguments)

    monkeypatch.setattr(recovery, "examine", examine_while_others_write)
    assert repair(ds.path).kept == 6
    assert open_packed(ds.path).keys() == ["k1", "k2", "k3", "k4", "k5", "other"]
    chunks = {entry.id for entry in open_packed(ds.path).manifest.chunks}
    assert len(list((ds.path / "chunks").iterdir())) == len(chunks) + 1


def test_compaction_removes_what_repair_has_left(tmp_path):
    ds = pack([(np.full(5, n), {"n": n}) for n in range(20)], tmp_path / "ds", chunk_bytes=80)
    flip(4096)(ds.path / "chunks" / f"{ds.manifest.chunks[3].id}.chunk")
    assert repair(ds.path).kept == 19
    assert len(open_packed(ds.path).manifest.chunks) == len(ds.manifest.chunks)
    assert compact(ds.path, remove=True, keep=1, older_than=-5).removed.versions >= 1
    assert len(open_packed(ds.path)) == 19
    assert open_packed(ds.path).verify() == []


_THREADS = """
import io, os, sys
import pyarrow as pa, pyarrow.parquet as pq
from haversack.packed import repair

pq.write_table(pa.table({"a": [1]}), io.BytesIO())
before = len(os.listdir("/proc/self/task"))
repair(sys.argv[1])
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="threads cannot be counted")
def test_a_repair_leaves_no_thread_that_could_abort_the_process_at_its_end(tmp_path):
    pack([(np.arange(3), {"n": n}) for n in range(12)], tmp_path / "ds")
    assert run_python(_THREADS, tmp_path / "ds").split() == ["0"]
