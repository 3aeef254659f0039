"""Pack by typing: bad images are left out when asked, and an interrupted command goes on."""

import json
import shutil

import pytest

from haversack.convert import catalog
from haversack.packed import open_packed
from haversack.packed.build import reading, runs

TREE = "demo_crop_seasons"


@pytest.fixture
def tree(small_hub, tmp_path):
    return shutil.copytree(small_hub / TREE, tmp_path / TREE)


def test_images_that_cannot_be_read_are_left_out_when_asked(haversack, tree):
    bad = sorted(tree.rglob("image.tif"))[2]
    bad.write_bytes(bad.read_bytes()[:50])
    refused = haversack("pack", tree, "chips", "-q")
    assert refused.code != 0
    assert str(bad) in refused.err
    done = haversack("pack", tree, "chips", "-q", "--skip-errors")
    assert done.code == 1
    assert done.err.count("left out:") == 2
    assert str(bad) in done.err
    done = haversack("pack", tree, "others", "-q", "--skip-errors", "--json")
    assert done.code == 1
    (skipped,) = json.loads(done.out)["skipped"]
    assert str(bad) in skipped["error"]
    assert len(open_packed("chips")) == json.loads(done.out)["records"]


def test_several_workers_pack_what_one_does(haversack, tree, monkeypatch):
    monkeypatch.setattr(runs, "SMALLEST", 100_000)
    assert haversack("pack", tree, "one", "-q", "--workers", "1").code == 0
    assert haversack("pack", tree, "two", "-q", "--workers", "2").code == 0
    one, two = open_packed("one"), open_packed("two")
    assert len(one._snapshot.manifest.chunks) > 4
    assert one.keys() == two.keys()
    assert all((a.data == b.data).all() for a, b in zip(one, two, strict=True))
    assert haversack("pack", tree, "three", "-q", "--workers", "0").code == 2


def test_the_same_command_goes_on_where_it_was_interrupted(haversack, tree, monkeypatch):
    monkeypatch.setattr(runs, "SMALLEST", 100_000)
    monkeypatch.setattr(reading, "SAMPLE", 8)
    real, calls = catalog.read_with_place, []

    def read(path):
        calls.append(path)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(catalog, "read_with_place", read)
    stopped = haversack("pack", tree, "chips", "-q")
    assert stopped.code == 130
    assert "the same call goes on from there" in stopped.err
    assert haversack("pack", tree, "chips", "-q").code == 0
    total = len(open_packed("chips"))
    assert total > 30
    assert len(calls) < total + 30
    assert haversack("verify", "chips", "-q").code == 0
