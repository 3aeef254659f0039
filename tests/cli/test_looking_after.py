"""Look after packed datasets by typing: old versions, compaction, repair, merging."""

import json

import numpy as np
import pytest

import haversack as library


@pytest.fixture
def chips(haversack):
    """A dataset of two versions, the first of which is tagged."""
    with library.PackWriter("chips") as writer:
        for number in range(4):
            writer.append(np.full(100, number, "u1"), key=f"k{number}", n=number)
    library.open("chips").tag("all")
    with library.PackWriter("chips") as writer:
        writer.delete("k1")
    return haversack


def test_an_older_version_is_read_by_its_number_or_its_tag(chips):
    for name in ("1", "all"):
        assert json.loads(chips("info", "chips", "--version", name, "--json").out)["records"] == 4
        assert len(json.loads(chips("read", "chips", "--version", name, "--json").out)) == 4
        assert chips("verify", "chips", "--version", name, "-q").code == 0
    assert json.loads(chips("info", "chips", "--json").out)["tags"] == ["all"]
    for name in ("7", "none"):
        result = chips("read", "chips", "--version", name)
        assert (result.code, len(result.err.splitlines())) == (3, 1)
        assert "it keeps 1 to 2, and the tags 'all'" in result.err


def test_compact_says_first_and_then_does(chips, tmp_path):
    wanted = json.loads(chips("compact", "chips", "--remove", "--dry-run", "-q", "--json").out)
    assert (wanted["version"], wanted["deleted records left out"]) == (2, 1)
    done = chips("compact", "chips", "--remove", "--keep", "1", "-q")
    assert done.code == 0, done.err
    assert "files removed" in done.out
    assert json.loads(chips("info", "chips", "--json").out)["versions kept"] == 1
    assert json.loads(chips("info", "chips", "--version", "all", "--json").out)["records"] == 4
    for code, *arguments in ((2, "chips", "--keep", "1"), (3, "nowhere"), (7, str(tmp_path))):
        result = chips("compact", *arguments, "-q")
        assert (result.code, len(result.err.splitlines())) == (code, 1), result.err
    assert "--remove" in chips("compact", "chips", "--keep", "1").err


def test_merge_makes_one_of_several(chips):
    with library.PackWriter("more") as writer:
        for number in (3, 9):
            writer.append(np.full(100, number, "u1"), key=f"k{number}", n=-number)
    result = chips("merge", "chips", "more", "both", "-q")
    assert (result.code, len(result.err.splitlines())) == (6, 1)
    assert "'k3'" in result.err
    assert "--on-conflict skip" in result.err
    told = chips("merge", "chips", "more", "both", "--on-conflict", "replace", "-q", "--json")
    assert json.loads(told.out)["records"] == 4
    assert library.open("both").record("k3").metadata == {"n": -3}
    assert chips("merge", "more", "both", "-q").code == 6
    assert chips("merge", "more", "both", "--append", "--on-conflict", "skip", "-q").code == 0
    assert chips("merge", "both", "-q").code == 2
    assert chips("merge", "nowhere", "new", "-q").code == 3


def test_repair_lists_what_is_lost_and_ends_with_1(chips, tmp_path):
    assert chips("repair", "chips", "-q").code == 0
    (file,) = (tmp_path / "chips/chunks").iterdir()
    data = bytearray(file.read_bytes())
    data[4096 + 250] ^= 1
    file.write_bytes(data)
    assert chips("verify", "chips", "-q").code == 7
    dry = chips("repair", "chips", "--dry-run", "-q")
    assert (dry.code, library.open("chips").version) == (1, 2)
    assert "record 2 (key 'k2')" in dry.out
    assert "2 records would be kept" in dry.err
    told = chips("repair", "chips", "-q", "--json")
    found = json.loads(told.out)
    assert (told.code, found["version"], found["records"], len(found["lost"])) == (1, 3, 2, 1)
    assert chips("verify", "chips", "-q").code == 0
    assert chips("repair", "chips", "-q").code == 0
    for code, path in ((3, "nowhere"), (7, str(tmp_path))):
        result = chips("repair", path, "-q")
        assert (result.code, len(result.err.splitlines())) == (code, 1), result.err


def test_a_disk_dataset_is_looked_after_by_the_same_verbs(chips):
    library.DiskDataset("disk").add_image("a", "b", np.zeros(3))
    library.DiskDataset("disk").remove_image("a", "b")
    assert chips("compact", "disk", "-q").code == 0
    assert chips("repair", "disk", "-q").code == 0
