"""The ledger is a cache: lost, damaged or foreign, it costs time and nothing else."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.download.ledger import LEDGER_NAME, Entry, Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / LEDGER_NAME


def test_what_is_added_is_there_after_reopening(path):
    file = path.with_name("ä 1.tif")
    file.write_bytes(b"pixels")
    with Ledger(path) as ledger:
        ledger.add([ledger.entry(file, "1220aa", etag='"e"', last_modified="Mon")])
    with Ledger(path) as ledger:
        found = ledger.whole(file)
        assert len(list(ledger)) == 1
    assert found is not None
    assert (found.path, found.size, found.etag, found.last_modified) == ("ä 1.tif", 6, '"e"', "Mon")


@pytest.mark.parametrize("change", ["content", "gone"])
def test_a_file_that_changed_is_not_whole(path, change):
    file = path.with_name("a.tif")
    file.write_bytes(b"pixels")
    with Ledger(path) as ledger:
        ledger.add([ledger.entry(file, "1220aa")])
        if change == "content":
            file.write_bytes(b"other pixels")
        else:
            file.unlink()
        assert ledger.whole(file) is None
        assert ledger.get(file) is not None


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_ledger_is_made_anew(path, content):
    path.write_bytes(content)
    with Ledger(path) as ledger:
        ledger.add([Entry("a", 1, 2, "1220aa")])
        assert list(ledger) == [Entry("a", 1, 2, "1220aa")]


def test_the_old_clients_database_is_replaced(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE assets (collection_id TEXT)")
    database.close()
    with Ledger(path) as ledger:
        ledger.add([Entry("a", 1, 2, "1220aa")])
        assert len(list(ledger)) == 1


def test_a_ledger_deleted_while_open_breaks_nothing(path):
    with Ledger(path) as ledger:
        ledger.add([Entry("a", 1, 2, "1220aa")])
        path.unlink()
        ledger.add([Entry("b", 1, 2, "1220aa")])
        ledger.get(path)
        list(ledger)
    with Ledger(path) as ledger:
        assert "a" not in [entry.path for entry in ledger]


def test_a_ledger_that_cannot_be_made_breaks_nothing(tmp_path):
    with Ledger(tmp_path / "missing" / LEDGER_NAME) as ledger:
        ledger.add([Entry("a", 1, 2, "1220aa")])
        assert list(ledger) == []


@pytest.mark.parametrize("target", ["there", "missing"])
@pytest.mark.parametrize("suffix", ["", "-journal"])
def test_a_ledger_is_not_written_through_a_link(path, tmp_path_factory, suffix, target):
    outside = tmp_path_factory.mktemp("outside") / "file"
    if target == "there":
        outside.write_bytes(b"")
    path.with_name(path.name + suffix).symlink_to(outside)
    with Ledger(path) as ledger:
        ledger.add([Entry("a", 1, 2, "1220aa")])
        assert len(list(ledger)) == 1
    assert [p.name for p in path.parent.iterdir()] == [LEDGER_NAME]
    assert not path.is_symlink()
    assert not outside.exists() or outside.read_bytes() == b""


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(0, 2**62)
    )
)
def test_all_entries_come_back_in_order(tmp_path_factory, sizes):
    path = tmp_path_factory.mktemp("ledger") / LEDGER_NAME
    entries = [Entry(name, size, 0, "1220") for name, size in sizes.items()]
    with Ledger(path) as ledger:
        ledger.add(entries)
        found = list(ledger)
    assert sorted(found, key=lambda e: e.path) == sorted(entries, key=lambda e: e.path)


def test_many_entries_are_read_in_pieces(path):
    with Ledger(path) as ledger:
        ledger.add(Entry(f"{n:05}", n, 0, "1220") for n in range(2500))
        assert [entry.size for entry in ledger] == list(range(2500))


def test_no_journal_is_left(path):
    with Ledger(path) as ledger:
        ledger.add([Entry("a", 1, 2, "1220aa")])
    assert [p.name for p in path.parent.iterdir()] == [LEDGER_NAME]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a/b.tif", "a/b.tif"),
        ("./a//b", "a/b"),
        ("a/../b", "b"),
        (".a/..b", ".a/..b"),
        ("..", ".."),
    ],
)
def test_paths_have_one_name_however_they_are_written(path, monkeypatch, given, name):
    monkeypatch.chdir(path.parent)
    for start in (path.parent, Path(), f"{path.parent}/x/.."):
        written = Path(f"{start}/{given}")
        with Ledger(path) as ledger:
            assert ledger.name(written) == name
        with Ledger(Path(LEDGER_NAME)) as ledger:
            assert ledger.name(written) == name


def test_a_ledger_with_any_damage_gives_whole_entries_or_none(path):
    with Ledger(path) as ledger:
        ledger.add([Entry(f"{n:03}.tif", n, n, "1220" + "ab" * 32) for n in range(60)])
    whole = path.read_bytes()
    for at in range(0, len(whole), 11):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        with Ledger(path) as ledger:
            assert all(type(entry.path) is str and type(entry.size) is int for entry in ledger)
            found = ledger.get(path.with_name("007.tif"))
        assert found is None or found.path == "007.tif"
