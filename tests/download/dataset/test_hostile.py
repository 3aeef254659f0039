"""Nothing that a catalog says writes outside the output directory, or through a link."""

import os
from typing import Any

import pytest

from haversack.download import download
from haversack.errors import FormatError, StorageError

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


@pytest.mark.parametrize("linked", ["farms", "farms/fields", "farms/fields/item0"])
def test_a_symbolic_link_in_the_way_is_never_written_through(farms, source, out, tmp_path, linked):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / linked).parent.mkdir(parents=True)
    os.symlink(elsewhere, out / linked)
    with pytest.raises(StorageError, match="link"):
        download(farms.archive(source), out, **LOCAL)
    assert list(elsewhere.iterdir()) == []


def test_a_symbolic_link_in_an_assets_place_is_replaced_not_followed(farms, source, out, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    place = out / "farms/fields/item0/red.tif"
    place.parent.mkdir(parents=True)
    os.symlink(mine, place)
    download(farms.archive(source), out, **LOCAL)
    assert place.read_bytes() == b"image 0" * 100
    assert not place.is_symlink()
    assert mine.read_text() == "mine"


def test_hostile_ids_and_keys_stay_inside(empty, source, tmp_path, server):
    image = server.file("/a.tif", b"pixels")
    keys = ["../../../../escaped", "/absolute", "con", "..", "a\\..\\b"]
    item = empty.add_item("plain", {key: f"{image}?{n}" for n, key in enumerate(keys)})
    item["id"] = "../../../up"
    empty.add_collection()["id"] = item["collection"] = "../../../coll"
    empty.files["farms/catalog.json"]["id"] = "../../root"
    inside = tmp_path / "in" / "side"
    report = download(empty.archive(source), inside, **LOCAL)
    assert report.fetched == len(keys)
    assert {path.name for path in tmp_path.iterdir()} == {"source", "in"}
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["side"]
    assert len(list(inside.rglob("*.tif"))) == len(keys)


def test_a_hostile_name_is_written_nowhere(empty, source, out, server):
    empty.add_item("one", {"a": server.file("/a.tif", b"x")})
    empty.files["../escaped.txt"] = b"x"
    with pytest.raises(FormatError, match="leads out"):
        download(empty.archive(source), out, **LOCAL)
    assert not out.exists()


def test_an_archive_reads_no_file_of_this_machine(empty, source, out, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    empty.add_item("one", {"a": str(secret), "b": "../../../secret.txt", "c": f"file://{secret}"})
    report = download(empty.archive(source), out, raise_errors=False)
    assert report.failed == 3
    assert not list((out / "farms/fields/one").glob("[abc].*"))


def test_a_tree_brings_no_file_from_outside_of_it(empty, source, out, tmp_path):
    source.mkdir()
    (source / "secret.txt").write_text("secret")
    os.symlink(source / "secret.txt", source / "link.txt")
    empty.add_item("one", {"a": "../../../secret.txt", "b": "./link.txt"})
    tree = empty.tree(source)
    os.symlink(source / "secret.txt", tree / "fields/one/link.txt")
    assert download(tree, out, raise_errors=False).failed == 2


def test_documents_are_never_overwritten_by_assets(empty, source, out, server):
    keys = ["one", "catalog", "collection"]
    empty.add_item("one", {key: server.file(f"/{key}.json", b"[]") for key in keys})
    empty.add_collection()["assets"] = {
        "collection": {"href": server.file("/c.json", b"{}")},
        "COLLECTION": {"href": server.file("/C.JSON", b"()")},
    }
    archive = empty.archive(source)
    assert download(archive, out, **LOCAL).fetched == 5
    assert download(archive, out, **LOCAL).present == 5
    assert (out / "farms/fields/one/one.json").read_bytes().startswith(b"{")
    names = {path.name.lower() for path in (out / "farms/fields").iterdir() if path.is_file()}
    assert len(names) == 3
