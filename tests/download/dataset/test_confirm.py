"""Files that an older client left are kept when they are whole, and told where nobody knows."""

from typing import Any

import pytest

from haversack.catalog import read_catalog
from haversack.download import download

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


@pytest.fixture
def left(out):
    """What an older client left of one image."""
    place = out / "farms/fields/item0/red.tif"
    place.parent.mkdir(parents=True)

    def write(content):
        place.write_bytes(content)
        return place

    return write


def test_a_file_of_the_servers_length_is_whole(farms, source, out, server, left):
    left(b"image 0" * 100)
    archive = farms.archive(source)
    report = download(archive, out, **LOCAL)
    assert (report.fetched, report.present, report.unverified) == (6, 1, 0)
    assert [asked.method for asked in server.asked if asked.path == "/0/red.tif"] == ["HEAD"]
    assert read_catalog(out / "farms").verify() == []
    asked = len(server.asked)
    assert download(archive, out, **LOCAL).present == 7
    assert len(server.asked) == asked


def test_a_file_cut_short_is_fetched_again(farms, source, out, left):
    place = left(b"image 0")
    assert download(farms.archive(source), out, **LOCAL).fetched == 7
    assert place.read_bytes() == b"image 0" * 100


def test_what_nobody_knows_is_kept_and_told(farms, source, out, server, left, make_answer):
    server.answer("/0/red.tif", make_answer(404))
    place = left(b"of the old client")
    archive = farms.archive(source)
    for _ in range(2):
        report = download(archive, out, **LOCAL)
        assert report.unverified == 1
        assert "1 here, not verified" in str(report)
        assert place.read_bytes() == b"of the old client"


@pytest.mark.parametrize("lost", ["nothing", "ledger", "catalog"])
def test_a_file_that_is_not_as_long_as_it_was_is_fetched_again_though_no_server_tells(
    farms, source, out, server, make_answer, lost
):
    body = b"image 0" * 100
    server.answer(
        "/0/red.tif",
        lambda asked: make_answer(405 if asked.method == "HEAD" else 200, body),
    )
    archive, place = farms.archive(source), out / "farms/fields/item0/red.tif"
    download(archive, out, **LOCAL)
    place.write_bytes(b"cut")
    if lost == "ledger":
        (out / "farms/mlhub_stac_assets.db").unlink()
    if lost == "catalog":
        (out / "farms/fields/item0/item0.json").unlink()
    report = download(archive, out, **LOCAL)
    assert (report.fetched, report.present, report.unverified) == (1, 6, 0)
    assert place.read_bytes() == body
    assert read_catalog(out / "farms").verify() == []


def test_a_dead_server_is_asked_once(empty, source, out):
    for n in range(20):
        empty.add_item(f"item{n}", {"red": f"http://127.0.0.1:9/{n}.tif"})
        place = out / f"farms/fields/item{n}/red.tif"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"old")
    report = download(empty.archive(source), out, **LOCAL)
    assert (report.unverified, report.failed) == (20, 0)


def test_a_private_address_is_not_asked(farms, source, out, server, left):
    left(b"image 0")
    report = download(farms.archive(source), out, raise_errors=False)
    assert (report.unverified, report.failed) == (1, 6)
    assert server.asked == []
