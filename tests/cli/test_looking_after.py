"""Look after datasets by typing: old versions, compaction, repair, merging."""

import json
from pathlib import Path

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


def test_metadata_of_an_array_that_are_lost_are_written_anew(haversack, tmp_path):
    data = np.arange(42, dtype="u2").reshape(7, 6)
    library.save_to_split_dataset(data, "series", (3, None))
    whole = haversack("repair", "series", "-q")
    assert (whole.code, "nothing to do" in whole.err) == (0, True)
    metadata = tmp_path / "series/stack_metadata.json"
    flipped = metadata.read_bytes().replace(b"haversack", b"haversabk")
    metadata.write_bytes(flipped)
    told = haversack("read", "series", "0")
    assert (told.code, "`haversack repair series`" in told.err) == (7, True)
    dry = haversack("repair", "series", "--dry-run")
    assert (dry.code, "would be written anew, the damaged one would be kept" in dry.err) == (
        0,
        True,
    )
    assert metadata.read_bytes() == flipped
    assert haversack("repair", "series").code == 0
    metadata.unlink()
    asked = haversack("repair", "series")
    assert (asked.code, len(asked.err.splitlines())) == (2, 1)
    assert "without its shape; what is there: 3 blocks of uint16" in asked.err
    done = haversack("repair", "series", "--shape", "7,6", "--json")
    found = json.loads(done.out)
    assert (done.code, found["shape"], found["block"]) == (1, [7, 6], [3, 6])
    assert (found["rebuilt"], found["kept as"]) == (["series/stack_metadata.json"], None)
    assert [row["where"] for row in found["lost"]] == [
        "resolution, axes, units, frequency, metadata"
    ]
    np.testing.assert_array_equal(library.SplitDataset("series"), data)


def test_options_of_repair_are_for_what_they_say(chips):
    library.save_to_split_dataset(np.zeros((4, 4)), "series")
    library.FrameWriter("live", block_size=(9, None)).append(np.arange(3.0))
    Path("live/stack_metadata.json").unlink()
    for code, *arguments in (
        (2, "series", "--undelete"),
        (2, "chips", "--shape", "4"),
        (2, "series", "--shape", "x"),
        (2, "live"),
        (2, "live", "--shape", "-,3", "--block", "9,-", "--padding", "1", "--dtype", "f8"),
    ):
        result = chips("repair", *arguments)
        assert (result.code, len(result.err.splitlines())) == (code, 1), result.err
    told = chips("info", "live")
    assert (told.code, "frames in journals" in told.err) == (7, True)
    assert chips("repair", "live", "--shape", "-,3", "--block", "9,-", "--dtype", "f8").code == 1
    assert library.SplitDataset("live")[...].tolist() == [[0, 1, 2]]
