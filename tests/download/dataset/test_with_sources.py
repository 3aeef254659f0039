"""Labels bring the images that they were drawn on, where that is asked for."""

from typing import Any

import pytest

from haversack.download import download

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


@pytest.fixture
def labelled(empty, server):
    """Three images; labels of the first by a path, of the second by an API's address."""
    for n in range(3):
        empty.add_item(f"image{n}", {"red": server.file(f"/{n}.tif", b"%d" % n)}, "images")
    hrefs = [
        "../../images/image0/image0.json",
        "https://old.example/mlhub/v1/collections/images/items/image1",
        "../../images/gone/gone.json",
    ]
    for n, href in enumerate(hrefs):
        links = [{"rel": "source", "href": href}, {"rel": "via", "href": "x"}]
        assets = {"labels": server.file(f"/labels{n}.csv", b"labels %d" % n)}
        empty.add_item(f"labels{n}", assets, "labels", links=links)
    return empty


def _here(out):
    return sorted(path.parent.name for path in out.rglob("red.tif"))


def test_labels_bring_their_images_when_asked(labelled, source, out):
    archive = labelled.archive(source)
    wanted: dict[str, Any] = {"collection_filter": {"labels": []}}
    assert download(archive, out, **wanted, **LOCAL).fetched == 3
    assert _here(out) == []
    report = download(archive, out, with_sources=True, **wanted, **LOCAL)
    assert (report.fetched, report.present) == (2, 3)
    assert _here(out) == ["image0", "image1"]


def test_sources_that_are_chosen_already_come_once(labelled, source, out):
    report = download(labelled.archive(source), out, with_sources=True, **LOCAL)
    assert (report.fetched, report.failed) == (6, 0)
