"""Old versions open while they are kept, tagged ones for ever, and no name of a tag is a path."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import haversack
from haversack.errors import (
    ExistsError,
    HaversackError,
    IntegrityError,
    NotFoundError,
    UsageError,
    VersionGoneError,
)
from haversack.packed import PackWriter, open_packed
from haversack.packed.manifests.kept import kept_chunks
from haversack.packed.manifests.places import tag_path
from haversack.packed.manifests.publishing import KEPT


def add(path, *numbers, delete=()):
    with PackWriter(path) as writer:
        for key in delete:
            writer.delete(key)
        for number in numbers:
            writer.append(np.full(3, number), key=number, n=number)
    return open_packed(path)


@pytest.fixture
def path(tmp_path):
    add(tmp_path / "ds", 0, 1)
    add(tmp_path / "ds", 2, delete=[0])
    return tmp_path / "ds"


def test_each_version_opens_as_it_was(path):
    assert open_packed(path, version=1).keys() == [0, 1]
    assert haversack.open(path, version=2).keys() == [1, 2]
    assert [(v.number, v.records, v.tags) for v in open_packed(path).versions()] == [
        (1, 2, ()),
        (2, 2, ()),
    ]
    old = open_packed(path, version=1)
    assert pickle.loads(pickle.dumps(old)).keys() == [0, 1]
    assert old.refresh().keys() == [1, 2]


def test_a_tagged_version_outlives_all_others(path):
    open_packed(path, version=1).tag("first")
    pickled = pickle.dumps(open_packed(path, version=1)[[0]])
    untagged = open_packed(path, version=2)
    for number in range(3, KEPT + 6):
        add(path, number)
    assert not (path / "manifest/00000001.json").exists()
    for version in ("first", 1):
        ds = open_packed(path, version=version)
        assert (ds.version, ds.keys(), ds.record(0).metadata) == (1, [0, 1], {"n": 0})
        assert ds.verify() == []
    assert pickle.loads(pickled).keys() == [0]
    assert {entry.id for entry in ds.manifest.chunks} <= kept_chunks(path)
    listed = ds.versions()
    assert [v.number for v in listed] == [1, *range(6, KEPT + 6)]
    assert listed[0].tags == ("first",)
    with pytest.raises(VersionGoneError, match=r"keeps 6 to 69, and the tags 'first'"):
        open_packed(path, version=2)
    with pytest.raises(VersionGoneError, match="tag a newer one"):
        untagged.tag("second")
    ds.untag("first")
    with pytest.raises(VersionGoneError, match="there are no tags"):
        open_packed(path, version=1)


def test_damage_behind_what_is_tagged_does_not_keep_it_from_being_tagged(tmp_path):
    path = tmp_path / "ds"
    with PackWriter(path) as writer:
        writer.append(np.full(3, 0), key=0)
        writer.flush()
        open_packed(path).tag("one")
        for number in range(1, 5):
            writer.append(np.full(3, number), key=number)
            writer.flush()
        (journal,) = (path / "journal").iterdir()
        ends = journal.stat().st_size
        data = bytearray(journal.read_bytes())
        data[ends - 40] ^= 1
        journal.write_bytes(data)
    old = open_packed(path, version="one")
    old.tag("two")
    assert open_packed(path, version="two").keys() == [0]


def test_a_tag_moves_only_when_told_to(path):
    old, new = open_packed(path, version=1), open_packed(path)
    old.tag("best")
    with pytest.raises(ExistsError, match="'best' already"):
        new.tag("best")
    assert open_packed(path, version="best").version == 1
    new.tag("best", move=True)
    new.tag("other")
    assert open_packed(path, version="best").version == 2
    assert new.versions()[-1].tags == ("best", "other")
    new.untag("best")
    for call in (lambda: new.untag("best"), lambda: open_packed(path, version="best")):
        with pytest.raises(NotFoundError, match="no tag 'best'; it keeps 1 to 2, and the tags 'o"):
            call()


def test_what_is_no_version_is_said(path, tmp_path):
    for version, error in ((0, NotFoundError), (3, NotFoundError), (-1, NotFoundError)):
        with pytest.raises(error, match="has no version"):
            open_packed(path, version=version)
    for wrong in (1.5, True, b"x"):
        with pytest.raises(UsageError, match="number or the text of a tag"):
            open_packed(path, version=wrong)  # type: ignore[arg-type]
    for name in ("", "\ud800"):
        with pytest.raises(UsageError, match="text"):
            open_packed(path).tag(name)
    with pytest.raises(HaversackError, match="does not exist"):
        open_packed(tmp_path / "nowhere", version=1)
    (tmp_path / "cat").mkdir()
    with pytest.raises(UsageError, match="only those have versions"):
        haversack.open(tmp_path / "cat", version=1)


def test_a_tag_holds_as_much_of_the_journal_as_was_there(path):
    writer = PackWriter(path)
    writer.append([5], key=5, n=5)
    writer.flush()
    open_packed(path).tag("some")
    writer.append([6], key=6, n=6)
    writer.delete(5)
    writer.delete(1)
    writer.close(seal=False)
    assert open_packed(path).keys() == [2, 6]
    assert open_packed(path).info()["journal"] == 1
    for _ in range(2):
        ds = open_packed(path, version="some")
        assert (ds.keys(), ds.verify()) == ([1, 2, 5], [])
        assert pickle.loads(pickle.dumps(ds)).keys() == [1, 2, 5]
        assert [v.records for v in ds.versions() if v.tags] == [3]
        for number in range(10, KEPT // 2 + 12):
            add(path, number)
            add(path, delete=[number])
    assert open_packed(path, version="some").record(5).metadata == {"n": 5}


@settings(max_examples=20)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True))
def test_any_text_is_a_tag_and_none_is_a_path(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("tags") / "ds"
    ds = add(path, 1)
    for name in [
        *names,
        "../../etc/x",
        "a",
        "A",
        "a/b",
        "con",
        "x" * 5000,
        "ß",
        "SS",
        ".",
        ".hidden",
    ]:
        if name not in {tag for version in ds.versions() for tag in version.tags}:
            ds.tag(name)
        assert tag_path(path, name).parent == path / "manifest/tags"
        assert open_packed(path, version=name).version == 1
    (version,) = ds.versions()
    assert set(names) <= set(version.tags)
    files = [file.name for file in (path / "manifest/tags").iterdir()]
    assert len({name.casefold() for name in files}) == len(version.tags)
    assert len(list(path.parent.iterdir())) == 1


def test_every_flipped_byte_of_a_tag_is_found(path):
    open_packed(path).tag("best")
    (file,) = Path(path, "manifest/tags").iterdir()
    good = file.read_bytes()
    for place in range(len(good)):
        file.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(IntegrityError, match="best.json"):
            open_packed(path, version="best")
    with pytest.raises(IntegrityError, match="best.json"):
        open_packed(path).versions()
    assert len(open_packed(path)) == 2


def test_a_lost_file_of_an_old_version_is_no_version_that_is_gone(path):
    add(path, 5, delete=[1])
    old = open_packed(path, version=2)
    (list_of_two,) = (path / "index").glob("*.1.del")
    list_of_two.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        open_packed(path, version=2).keys()
    assert len(open_packed(path)) == 2
    for entry in old.manifest.chunks:
        (path / "chunks" / f"{entry.id}.chunk").unlink()
    with pytest.raises(IntegrityError, match="missing"):
        old.record(2)


def test_info_tells_of_versions_tags_and_what_is_deleted(path):
    open_packed(path, version=1).tag("first")
    info = open_packed(path).info()
    assert (info["version"], info["versions kept"], info["tags"]) == (2, 2, ["first"])
    assert (info["records"], info["deleted"]) == (2, 1)
    entry = open_packed(path).manifest.chunks[0]
    assert info["deleted bytes"] == (entry.bytes + entry.index_bytes) // 2
