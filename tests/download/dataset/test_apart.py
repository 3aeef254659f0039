"""A source that lies on this machine is never what a download writes over."""

import json
import os
from typing import Any

import pytest

from haversack.catalog import read_catalog
from haversack.download import download
from haversack.errors import ExistsError

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


def _catalog(name, *links):
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": name, "description": name}
    return root | {"links": [{"rel": "item", "href": href} for href in links]}


def _item(assets):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "i",
        "collection": "c",
        "properties": {"datetime": "2020-05-17T10:00:00Z"},
        "geometry": None,
        "links": [],
        "assets": {key: {"href": href} for key, href in assets.items()},
    }


def _write(folder, files):
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.fixture
def swapped(tmp_path):
    """A catalog whose assets lie under the names that a download gives to each other."""
    files = {
        "ds/catalog.json": _catalog("ds", "c/i/i.json"),
        "ds/c/i/i.json": _item({"a": "b.bin", "b": "a.bin"}),
        "ds/c/i/a.bin": b"AAA",
        "ds/c/i/b.bin": b"BBBB",
    }
    _write(tmp_path, files)
    return tmp_path


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("way", ["plain", "document", "relative", "linked", "output is a link"])
def test_a_catalog_is_not_downloaded_into_its_own_place(
    swapped, listing, monkeypatch, tmp_path_factory, way, dry_run
):
    before = listing(swapped)
    apart = tmp_path_factory.mktemp("apart")
    os.symlink(swapped / "ds", apart / "another")
    os.symlink(swapped, apart / "out")
    monkeypatch.chdir(swapped / "ds")
    source, output = {
        "plain": (swapped / "ds", swapped),
        "document": (swapped / "ds/catalog.json", swapped),
        "relative": (".", ".."),
        "linked": (apart / "another", swapped),
        "output is a link": (swapped / "ds", apart / "out"),
    }[way]
    with pytest.raises(ExistsError, match="give another output directory"):
        download(source, output, dry_run=dry_run)
    assert listing(swapped) == before
    assert not list(swapped.rglob("*.db"))
    assert not list(swapped.rglob(".haversack*"))


def test_a_catalog_laid_out_otherwise_keeps_its_documents(tmp_path, listing):
    files = {"farm/catalog.json": _catalog("farm", "sub/i.json"), "farm/d.bin": b"DDD"}
    _write(tmp_path, files | {"farm/sub/i.json": _item({"d": "../d.bin"})})
    before = listing(tmp_path)
    with pytest.raises(ExistsError, match=r"farm/catalog\.json"):
        download(tmp_path / "farm", tmp_path)
    assert listing(tmp_path) == before


def test_assets_are_not_put_among_those_of_the_source(swapped, listing, out):
    before = listing(swapped)
    with pytest.raises(ExistsError):
        download(swapped / "ds", out, asset_output_dir=swapped, name="ds")
    assert listing(swapped) == before


def test_a_file_that_only_a_link_leads_to_is_the_sources_too(tmp_path, listing):
    files = {"catalog.json": _catalog("ds", "x/i.json"), "x/i.json": _item({"a": "a.bin"})}
    _write(tmp_path, files | {"ds/c/i/b.bin": b"BBBB"})
    os.symlink("../ds/c/i/b.bin", tmp_path / "x/a.bin")
    before = listing(tmp_path)
    with pytest.raises(ExistsError, match=r"x/a\.bin"):
        download(tmp_path, tmp_path)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("if_exists", ["resume", "sync", "overwrite"])
def test_what_a_download_left_is_completed_where_it_lies(farms, source, out, listing, if_exists):
    download(farms.archive(source), out, **LOCAL)
    before = listing(out)
    assert download(out / "farms", out, if_exists=if_exists, **LOCAL).failed == 0
    assert listing(out) == before


def test_a_tree_that_was_changed_after_its_download_is_not_downloaded_over_itself(
    farms, source, out, listing
):
    download(farms.archive(source), out, **LOCAL)
    place = out / "farms/fields/item0/item0.json"
    item = json.loads(place.read_text())
    os.rename(out / "farms/fields/item0/red.tif", out / "farms/fields/item0/mine.tif")
    item["assets"]["red"]["href"] = "./mine.tif"
    place.write_text(json.dumps(item))
    before = listing(out)
    with pytest.raises(ExistsError, match=r"mine\.tif"):
        download(out / "farms", out, **LOCAL)
    assert listing(out) == before
    assert download(out / "farms", out, name="again", **LOCAL).failed == 0


def test_a_tree_with_the_places_of_a_download_is_anothers_all_the_same(farms, source, listing):
    tree = farms.tree(source)
    before = listing(source)
    with pytest.raises(ExistsError):
        download(tree, source, **LOCAL)
    assert listing(source) == before


def test_items_of_a_file_are_not_downloaded_over_their_assets(tmp_path, listing):
    _write(tmp_path, {"c.ndjson": _item({"a": "c/c/i/b.bin"}), "c/c/i/b.bin": b"BBBB"})
    before = listing(tmp_path)
    with pytest.raises(ExistsError, match=r"b\.bin"):
        download(tmp_path / "c.ndjson", tmp_path)
    assert listing(tmp_path) == before


def test_a_catalog_comes_into_a_folder_of_its_own_directory(swapped, monkeypatch):
    monkeypatch.chdir(swapped / "ds")
    for source in (".", "./catalog.json", swapped / "ds"):
        report = download(source, ".")
        assert (report.failed, report.path.name) == (0, "ds")
    assert (swapped / "ds/ds/c/i/a.bin").read_bytes() == b"BBBB"
    assert (swapped / "ds/c/i/a.bin").read_bytes() == b"AAA"
    assert read_catalog("ds").verify() == []


def test_an_archive_may_lie_in_and_beside_its_place(farms, tmp_path, out):
    inside = farms.archive(out)
    assert download(inside, out, **LOCAL).failed == 0
    (out / "farms/farms.tar.gz").write_bytes(inside.read_bytes())
    assert download(out / "farms/farms.tar.gz", out, **LOCAL).present == 7
