"""A build that was killed is gone on from, and ends as if nothing had happened."""

import json
import logging
import os
import random
import signal
import threading

import numpy as np
import pytest

import haversack
from haversack.errors import ExistsError, FormatError, KeyExistsError, StorageError, UsageError
from haversack.packed import compact, is_packed, open_packed, pack
from haversack.packed.build import owning, runs
from haversack.storage.checksum import crc32c

from .building import check_nothing_else, content, finish, lines, start, wait_for


@pytest.fixture
def small_runs(monkeypatch):
    monkeypatch.setattr(runs, "SMALLEST", 100)
    monkeypatch.setattr(runs, "UNKNOWN", 1000)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted build makes, and what it skips."""
    folder = tmp_path_factory.mktemp("whole")
    out, _ = finish(start(folder, folder / "ds", folder / "log"))
    return content(folder / "ds"), out


def done(path):
    """The items of the runs that a killed build has noted."""
    found = set()
    for file in (path / "build").glob("*.json"):
        for line in file.read_bytes().split(b"\n")[1:]:
            if line.endswith(b"}"):
                note = json.loads(line)
                found.update(range(note["first"], note["first"] + note["count"]))
    return found


@pytest.mark.parametrize("how", ["1", "2", "processes"])
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 8))]
)
def test_a_killed_build_goes_on_and_ends_as_if_it_had_not_been_killed(tmp_path, whole, how, seed):
    path, log = tmp_path / "ds", tmp_path / "log"
    process = start(tmp_path, path, log, pause=0.002, how=how)
    after = random.Random(f"{how} {seed}").randrange(20, 390)
    wait_for(lambda: len(lines(log)) >= after or process.poll() is not None)
    process.kill()
    process.communicate()
    assert not is_packed(path)
    noted, before = done(path), len(lines(log))
    out, err = finish(start(tmp_path, path, log, how=how))
    assert content(path) == whole[0]
    assert out == whole[1]
    check_nothing_else(path)
    if how == "1":  # orphans of another build may still read
        assert not noted & set(lines(log)[before:])
    if noted:
        assert f"{len(noted)} items were packed before" in err


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_builds_killed_again_and_again_get_done(tmp_path, whole, seed):
    path, log = tmp_path / "ds", tmp_path / "log"
    chance = random.Random(seed)
    for _ in range(6):
        process = start(tmp_path, path, log, pause=0.002, how=chance.choice("12"))
        known = len(lines(log))
        more = chance.randrange(1, 150)
        wait_for(lambda n=known + more, p=process: len(lines(log)) >= n or p.poll() is not None)
        process.kill()
        process.communicate()
    if not is_packed(path):
        finish(start(tmp_path, path, log))
    assert content(path) == whole[0]
    check_nothing_else(path)


def interrupted(items, path, after, **options):
    """Build until so many items were read, as if Ctrl-C was pressed then."""
    seen = []

    def read(item):
        if len(seen) == after:
            raise KeyboardInterrupt
        seen.append(item)
        return np.full(8, item, "i4"), {"n": item}

    with pytest.raises(KeyboardInterrupt):
        pack(items, path, read=read, **options)
    return seen


def read(item):
    READ.append(item)
    return np.full(8, item, "i4"), {"n": item}


READ: list[int] = []


@pytest.fixture
def same_code(monkeypatch):
    """Take a reader that stops for the one that does not."""
    monkeypatch.setattr("haversack.packed.build.making._parameters", lambda *_: "same")
    READ.clear()


@pytest.mark.parametrize("sized", [True, False])
def test_an_interrupted_build_reads_nothing_twice(tmp_path, small_runs, same_code, sized):
    items = range(300) if sized else (n for n in range(300))
    assert interrupted(items, tmp_path / "ds", 150)
    noted = done(tmp_path / "ds")
    assert 100 < len(noted) <= 150
    events = []
    items = range(300) if sized else (n for n in range(300))
    ds = pack(items, tmp_path / "ds", read=read, progress=events.append)
    assert sorted(set(range(300)) - noted) == READ
    assert [int(r.data[0]) for r in ds] == list(range(300))
    assert events[-1].done == 300
    check_nothing_else(tmp_path / "ds")


def test_who_opens_an_unfinished_build_is_told_how_it_is_gone_on_with(tmp_path, small_runs):
    interrupted(range(300), tmp_path / "ds", 150)
    before = sorted((tmp_path / "ds").rglob("*"))
    for use in (haversack.open, open_packed, compact):
        with pytest.raises(FormatError, match="not a packed dataset yet: .*same call of pack"):
            use(tmp_path / "ds")
    assert sorted((tmp_path / "ds").rglob("*")) == before
    pack(range(300), tmp_path / "ds", read=read)
    assert len(haversack.open(tmp_path / "ds")) == 300


def test_only_runs_of_the_same_items_are_taken_over(tmp_path, small_runs, same_code):
    interrupted(range(300), tmp_path / "ds", 200)
    noted = done(tmp_path / "ds")
    items = list(range(300))
    items[20] = 777
    ds = pack(items, tmp_path / "ds", read=read)
    assert [int(r.data[0]) for r in ds] == items
    again = set(READ) & noted
    assert 777 in READ
    assert 0 < len(again) < 100
    check_nothing_else(tmp_path / "ds")


def test_an_unfinished_build_of_other_parameters_is_started_over(tmp_path, small_runs, caplog):
    interrupted(range(300), tmp_path / "ds", 200)
    READ.clear()
    ds = pack(range(300), tmp_path / "ds", read=read)
    assert list(range(300)) == READ
    assert "unfinished build of other" in caplog.text
    assert "only the same call goes on with one" in caplog.text
    assert len(ds) == 300
    check_nothing_else(tmp_path / "ds")


def test_resume_false_starts_over(tmp_path, small_runs, same_code):
    interrupted(range(300), tmp_path / "ds", 200)
    pack(range(300), tmp_path / "ds", read=read, resume=False)
    assert list(range(300)) == READ
    check_nothing_else(tmp_path / "ds")


@pytest.mark.parametrize("codec", ["none", "zstd", "auto"])
def test_arrays_that_come_again_are_compared_with_what_was_packed(
    tmp_path, small_runs, same_code, codec, monkeypatch
):
    monkeypatch.setattr(runs, "UNKNOWN", 6000)
    arrays = [(np.full(80, n % 7, ">i4"), {"n": n}) for n in range(300)]

    def give(stop, changed=None):
        for number, (array, metadata) in enumerate(arrays):
            if number == stop:
                raise KeyboardInterrupt
            yield (array + 1 if number == changed else array), metadata

    options = {"key": "n", "codec": codec}
    with pytest.raises(KeyboardInterrupt):
        pack(give(200), tmp_path / "ds", **options)
    before = {p.name: p.stat().st_ino for p in (tmp_path / "ds/chunks").iterdir()}
    ds = pack(give(None, changed=30), tmp_path / "ds", **options)
    assert ds.keys() == list(range(300))
    assert all((r.data == arrays[n][0] + (n == 30)).all() for n, r in enumerate(ds))
    after = {p.name: p.stat().st_ino for p in (tmp_path / "ds/chunks").iterdir()}
    assert len(set(before.items()) - set(after.items())) == 1
    check_nothing_else(tmp_path / "ds")


def test_a_damaged_chunk_of_a_killed_build_is_made_anew(tmp_path, small_runs, same_code):
    interrupted(range(300), tmp_path / "ds", 200)
    chunks = sorted((tmp_path / "ds/chunks").iterdir())
    chunks[1].write_bytes(chunks[1].read_bytes()[:-3])
    chunks[3].unlink()
    next((tmp_path / "ds/index").iterdir()).write_bytes(b"")
    ds = pack(range(300), tmp_path / "ds", read=read)
    assert [int(r.data[0]) for r in ds] == list(range(300))
    check_nothing_else(tmp_path / "ds")


def test_items_that_cannot_be_compared_are_read_again(tmp_path, small_runs, same_code, caplog):
    caplog.set_level(logging.INFO, logger="haversack")

    class Strange:
        def __init__(self, number):
            self.number = number

    def give():
        return (Strange(n) for n in range(300))

    def read(item):
        READ.append(item.number)
        if READ.count(200) == 1 and item.number == 200:
            raise KeyboardInterrupt
        return [item.number]

    with pytest.raises(KeyboardInterrupt):
        pack(give(), tmp_path / "ds", read=read)
    ds = pack(give(), tmp_path / "ds", read=read)
    assert [int(r.data[0]) for r in ds] == list(range(300))
    assert [*range(201), *range(300)] == READ
    assert caplog.text.count("cannot be compared") == 2


def test_keys_of_runs_that_were_taken_over_count(tmp_path, small_runs, same_code):
    interrupted(range(300), tmp_path / "ds", 200, key="n")

    def again(item):
        return np.full(8, item, "i4"), {"n": 3 if item == 290 else item}

    with pytest.raises(KeyExistsError, match="item 290"):
        pack(range(300), tmp_path / "ds", read=again, key="n", errors="raise")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_item_after_a_resume_leaves_nothing(tmp_path, small_runs, same_code):
    interrupted(range(300), tmp_path / "a/b/ds", 200)

    def bad(item):
        return 1 / 0

    with pytest.raises(UsageError, match="item"):
        pack(range(300), tmp_path / "a/b/ds", read=bad)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_what_was_done(tmp_path, small_runs, same_code, monkeypatch):
    real, count = runs.Draft.finish, []

    def finish(draft, key_type):
        count.append(1)
        if len(count) == 5:
            draft.abandon()
            raise StorageError("the disk is full")
        return real(draft, key_type)

    monkeypatch.setattr(runs.Draft, "finish", finish)
    with pytest.raises(StorageError, match="full") as caught:
        pack(range(300), tmp_path / "ds", read=read)
    assert "goes on from there" in caught.value.__notes__[0]
    READ.clear()
    pack(range(300), tmp_path / "ds", read=read)
    assert 0 < len(READ) < 300
    check_nothing_else(tmp_path / "ds")


# Two at once.


def test_a_living_build_is_left_alone_and_one_of_two_wins(tmp_path, small_runs, same_code):
    def slow(item):
        if item == 250:
            pack(range(300), tmp_path / "ds", read=read)  # meanwhile
        return np.full(8, -1, "i4"), {"n": item}

    with pytest.raises(ExistsError, match="already"):
        pack(range(300), tmp_path / "ds", read=slow)
    assert [int(r.data[0]) for r in open_packed(tmp_path / "ds")] == list(range(300))
    check_nothing_else(tmp_path / "ds")


def test_a_living_build_of_another_process_is_left_alone(tmp_path, whole):
    path, log = tmp_path / "ds", tmp_path / "log"
    process = start(tmp_path, path, log, pause=0.002)
    wait_for(lambda: len(lines(log)) > 200)
    os.kill(process.pid, signal.SIGSTOP)
    finish(start(tmp_path, path, tmp_path / "other"))
    assert len(set(lines(tmp_path / "other"))) == 400
    os.kill(process.pid, signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert "ExistsError" in err
    assert content(path) == whole[0]
    check_nothing_else(path)


def test_of_many_builds_at_once_one_wins(tmp_path, small_runs):
    outcomes = []

    def build(number):
        try:
            pack(range(100), tmp_path / "ds", read=lambda n: np.full(8, number))
            outcomes.append(number)
        except ExistsError:
            outcomes.append(None)

    threads = [threading.Thread(target=build, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome is not None]
    assert len(winners) == 1
    ds = open_packed(tmp_path / "ds")
    assert {int(r.data[0]) for r in ds} == set(winners)
    check_nothing_else(tmp_path / "ds")


def test_a_build_that_was_taken_for_dead_gives_up(tmp_path, small_runs):
    def read(item):
        if item == 250:
            for notes in (tmp_path / "ds/build").glob("*.json"):
                notes.unlink()
        return [item]

    with pytest.raises(ExistsError, match="gone on from"):
        pack(range(300), tmp_path / "ds", read=read)
    assert list(tmp_path.iterdir()) == []


# Hostile notes.


def as_line(value):
    rest = json.dumps(value, separators=(",", ":")).encode()[1:]
    return b'{"crc32c":"%08x",' % crc32c(rest) + rest + b"\n"


def changed_notes(path, change):
    (file,) = (path / "build").glob("*.json")
    values = [json.loads(line) for line in file.read_bytes().splitlines()]
    for value in values:
        value.pop("crc32c")
    change(values)
    file.write_bytes(b"".join(map(as_line, values)))


def set_in_chunk(name, value):
    def change(values):
        for note in values[1:]:
            for chunk in note["chunks"]:
                chunk["entry"][name] = value

    return change


CHANGES = {
    "no header": lambda values: values.pop(0),
    "a later format": lambda values: values[0].update(format=2),
    "another build's": lambda values: values[0].update(id="0" * 16),
    "no id": lambda values: values[0].update(id="../../etc"),
    "many folders": lambda values: values[0].update(folders=1 << 60),
    "folders above": lambda values: values[0].update(folders=900),
    "a path for a chunk": set_in_chunk("id", "../../../../etc/passwd"),
    "another chunk": set_in_chunk("id", "f" * 32),
    "a huge chunk": set_in_chunk("bytes", (1 << 62) - 1),
    "many rows": set_in_chunk("rows", (1 << 32) - 1),
    "another dtype": set_in_chunk("dtype", "<f4"),
    "another shape": set_in_chunk("shape", [1 << 40]),
    "a huge index": set_in_chunk("index_bytes", (1 << 62) - 1),
    "keys": set_in_chunk("keys", 5),
    "a huge count": lambda values: values[1].update(count=1 << 61),
    "a negative count": lambda values: values[1].update(count=-1),
    "no length": lambda values: values[1].update(length=0),
    "runs that overlap": lambda values: values[2].update(first=3),
    "strange columns": lambda values: values[1]["chunks"][0].update(columns={"n": "'); DROP"}),
    "text": lambda values: values.__setitem__(1, {"first": "0"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_hostile_notes_do_no_harm(tmp_path, small_runs, same_code, change):
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine/ds"
    interrupted(range(300), path, 200)
    changed_notes(path, CHANGES[change])
    ds = pack(range(300), path, read=read)
    assert [int(r.data[0]) for r in ds] == list(range(300))
    assert [r.metadata for r in ds] == [{"n": n} for n in range(300)]
    assert ds.verify() == []
    assert len(ds.filter("n < 10")) == 10


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"{" * 100_000, b'{"crc32c":"', os.urandom(5000), b"[]\n" * 10]
)
def test_garbage_among_the_notes_is_ignored(tmp_path, small_runs, same_code, data):
    interrupted(range(300), tmp_path / "ds", 200)
    (tmp_path / "ds/build/0123456789abcdef.json").write_bytes(data)
    (tmp_path / "ds/build/folder.json").mkdir()
    (tmp_path / "ds/build/link.json").symlink_to("/dev/zero")
    assert len(pack(range(300), tmp_path / "ds", read=read)) == 300
    assert 0 < len(READ) < 200


def test_torn_notes_count_up_to_the_tear(tmp_path, small_runs, same_code):
    interrupted(range(300), tmp_path / "ds", 200)
    (file,) = (tmp_path / "ds/build").glob("*.json")
    file.write_bytes(file.read_bytes()[:-5])
    noted = done(tmp_path / "ds")
    assert len(pack(range(300), tmp_path / "ds", read=read)) == 300
    assert set(READ) == set(range(300)) - noted
    assert not owning._held
