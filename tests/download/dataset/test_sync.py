"""Syncing fetches what has changed, a retry what failed, and neither anything else."""

import json
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from haversack.catalog import read_catalog
from haversack.download import download
from haversack.download.report import read_csv
from haversack.errors import DownloadError, FormatError, PathNotFoundError

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}
RED = "farms/fields/item1/red.tif"


def _conditional(server, path, body, make_answer, etag='"1"', **headers):
    """Serve a file as a server does that knows If-None-Match."""

    def answer(asked):
        if asked.headers.get("if-none-match") == etag:
            return make_answer(304, b"", {"ETag": etag})
        return make_answer(200, body, {"ETag": etag, **headers})

    return server.answer(path, answer)


def _fetched(server, since):
    return [asked.path for asked in server.asked[since:]]


def test_sync_fetches_what_has_changed_and_only_that(farms, out, server, make_answer):
    url = _conditional(server, "/farms.tar.gz", farms.packed(), make_answer)
    for n in range(3):
        _conditional(server, f"/{n}/red.tif", f"image {n}".encode() * 100, make_answer)
    download(url, out)
    changed = b"a newer image of another length"
    _conditional(server, "/1/red.tif", changed, make_answer, etag='"2"')
    report = download(url, out, if_exists="sync")
    assert (report.fetched, report.present, report.bytes) == (1, 6, len(changed))
    assert (out / RED).read_bytes() == changed
    assert read_catalog(out / "farms").verify() == []
    since = len(server.asked)
    assert download(url, out).present == 7
    assert _fetched(server, since) == []


def test_sync_takes_up_items_that_the_catalog_has_gained(farms, out, server, make_answer):
    url = server.file("/farms.tar.gz", farms.packed(), etag='"1"')
    download(url, out)
    farms.add_item("late", {"red": server.file("/late.tif", b"late")})
    server.file("/farms.tar.gz", farms.packed(), etag='"2"')
    assert download(url, out).fetched == 0
    assert download(url, out, if_exists="sync").fetched == 1
    assert (out / "farms/fields/late/red.tif").read_bytes() == b"late"


def test_a_server_without_conditions_is_told_by_its_headers(farms, source, out, server):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    report = download(archive, out, if_exists="sync", **LOCAL)
    assert (report.fetched, report.present, report.bytes) == (0, 7, 0)


def test_without_a_ledger_sync_fetches_again_and_loses_nothing(farms, source, out):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    (out / "farms/mlhub_stac_assets.db").unlink()
    report = download(archive, out, if_exists="sync", **LOCAL)
    assert (report.fetched, report.failed) == (7, 0)
    assert read_catalog(out / "farms").verify() == []


def test_what_the_server_no_longer_has_is_kept_and_told(farms, source, out, server, make_answer):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    server.answer("/1/red.tif", make_answer(404))
    report = download(archive, out, if_exists="sync", raise_errors=False, **LOCAL)
    assert (report.failed, report.present) == (1, 6)
    assert (out / RED).read_bytes() == b"image 1" * 100
    item = json.loads((out / "farms/fields/item1/item1.json").read_text())
    assert item["assets"]["red"]["href"] == "./red.tif"


def test_a_static_catalog_is_copied_anew_where_a_file_has_changed(empty, source, out):
    empty.add_item("one", {"red": "./a.tif", "nir": "./b.tif"})
    empty.files |= {"farms/fields/one/a.tif": b"old", "farms/fields/one/b.tif": b"same"}
    tree = empty.tree(source)
    download(tree, out)
    (tree / "fields/one/a.tif").write_bytes(b"new")
    assert download(tree, out).fetched == 0
    assert download(tree, out, if_exists="sync").fetched == 1
    assert (out / "farms/fields/one/red.tif").read_bytes() == b"new"
    assert download(out / "farms", out, if_exists="sync").fetched == 0


def test_a_file_of_an_archive_that_has_changed_is_extracted_anew(empty, source, out):
    empty.add_item("one", {"red": "./a.tif"})
    for content in (b"old", b"new"):
        empty.files["farms/fields/one/a.tif"] = content
        download(empty.archive(source), out, if_exists="sync")
        assert (out / "farms/fields/one/red.tif").read_bytes() == content


def test_a_catalogs_own_checksum_spares_the_question(empty, source, out, server):
    import hashlib

    known = "1220" + hashlib.sha256(b"pixels").hexdigest()
    empty.add_item("one", {"a": {"href": server.file("/a.tif", b"pixels"), "file:checksum": known}})
    archive = empty.archive(source)
    download(archive, out, **LOCAL)
    since = len(server.asked)
    assert download(archive, out, if_exists="sync", **LOCAL).present == 1
    assert _fetched(server, since) == []


# Again what failed


def test_a_retry_fetches_only_what_failed(farms, source, out, server, make_answer):
    server.answer("/1/red.tif", make_answer(404))
    archive = farms.archive(source)
    with pytest.raises(DownloadError):
        download(archive, out, **LOCAL)
    (out / "farms/fields/item0/red.tif").unlink()  # missing too, but no failure
    server.file("/1/red.tif", b"here at last")
    since = len(server.asked)
    report = download(archive, out, retry_failed=True, **LOCAL)
    assert (report.fetched, report.present, report.failed) == (1, 0, 0)
    assert _fetched(server, since) == ["/1/red.tif"]
    assert read_csv(report.report) == []
    report = download(archive, out, retry_failed=True, **LOCAL)
    assert (report.fetched, report.failed, report.waiting) == (0, 0, 0)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_retry_of_no_earlier_download_says_so_and_leaves_nothing(
    farms, source, out, tmp_path, server, dry_run, elsewhere
):
    assets = tmp_path / "elsewhere" if elsewhere else out
    options = {"retry_failed": True, "dry_run": dry_run, "asset_output_dir": assets, **LOCAL}
    with pytest.raises(PathNotFoundError, match="no earlier download ended here; run the same"):
        download(farms.archive(source), out, **options)
    assert not out.exists()
    assert not assets.exists()
    assert server.asked == []


def test_a_retry_of_a_download_that_did_not_end_changes_nothing(farms, source, out, listing):
    archive = farms.archive(source)
    report = download(archive, out, catalog_only=True, **LOCAL)
    report.report.unlink()
    before = listing(out)
    with pytest.raises(PathNotFoundError, match=r"err_report\.csv is not there"):
        download(archive, out, retry_failed=True, **LOCAL)
    assert listing(out) == before


def test_a_retry_keeps_a_report_of_the_old_client(farms, source, out):
    archive = farms.archive(source)
    path = download(archive, out, catalog_only=True, **LOCAL).report
    old = b"404,farms,fields,item1,red,http://127.0.0.1/1/red.tif\n"
    path.write_bytes(old)
    with pytest.raises(FormatError, match="lacks the header"):
        download(archive, out, retry_failed=True, **LOCAL)
    assert path.read_bytes() == old
    path.write_bytes(b"")  # what it leaves where nothing failed
    report = download(archive, out, retry_failed=True, **LOCAL)
    assert (report.fetched, report.waiting, str(report)) == (
        0,
        0,
        f"farms: nothing to fetch\nin {out / 'farms'}",
    )


@pytest.mark.parametrize("if_exists", ["resume", "sync"])
def test_what_a_sync_could_not_ask_for_is_asked_for_by_a_retry_and_nothing_else(
    farms, out, server, make_answer, if_exists
):
    url = server.answer("/farms.tar.gz", make_answer(200, farms.packed()))
    for n in range(3):
        _conditional(server, f"/{n}/red.tif", f"image {n}".encode() * 100, make_answer)
    download(url, out)
    for n in (1, 2):
        server.answer(f"/{n}/red.tif", make_answer(403))
    report = download(url, out, if_exists="sync", raise_errors=False)
    assert [one.item_id for one in report.failures] == ["item1", "item2"]
    _conditional(server, "/1/red.tif", b"changed", make_answer, etag='"2"')
    _conditional(server, "/2/red.tif", b"image 2" * 100, make_answer)
    since = len(server.asked)
    report = download(url, out, retry_failed=True, if_exists=if_exists)
    assert (report.fetched, report.present, report.failed) == (1, 1, 0)
    asked = _fetched(server, since)
    assert sorted(set(asked) - {"/farms.tar.gz"}) == ["/1/red.tif", "/2/red.tif"]
    assert ("/farms.tar.gz" in asked) is (if_exists == "sync")
    assert (out / RED).read_bytes() == b"changed"
    assert read_csv(report.report) == []


def test_failures_that_a_filter_leaves_out_stay_in_the_report(
    farms, source, out, server, make_answer
):
    for n in (0, 1):
        server.answer(f"/{n}/red.tif", make_answer(404))
    server.answer("/table.csv", make_answer(410))
    archive = farms.archive(source)
    failed = download(archive, out, raise_errors=False, **LOCAL).failures
    assert {one.tries for one in failed} == {1}
    server.file("/table.csv", b"a,b")
    wanted = {"fields": ["table"]}
    download(archive, out, retry_failed=True, collection_filter=wanted, **LOCAL)
    left = read_csv(out / "farms/err_report.csv")
    assert [one.item_id for one in left] == ["item0", "item1"]
    assert [one.tries for one in left] == [1, 1]


def test_the_report_tells_how_often_was_tried(farms, source, out, server, make_answer):
    server.answer("/1/red.tif", make_answer(503))
    report = download(farms.archive(source), out, raise_errors=False, retries=2, **LOCAL)
    assert [one.tries for one in report.failures] == [3]
    assert read_csv(report.report) == list(report.failures)


# The ledger is a cache


def test_the_ledger_may_go_at_any_moment(farms, source, out, server):
    for n in range(60):
        farms.add_item(f"more{n}", {"red": server.file(f"/more/{n}.tif", b"%d" % n * 50)})
    archive, ledger = farms.archive(source), out / "farms/mlhub_stac_assets.db"
    ended = threading.Event()

    def remove():
        while not ended.is_set():
            for path in (ledger, ledger.with_name(f"{ledger.name}-journal")):
                with suppress(OSError):
                    path.unlink()
            time.sleep(0.001)

    removing = threading.Thread(target=remove)
    removing.start()
    try:
        for how in ("resume", "sync", "overwrite", "resume"):
            report = download(archive, out, if_exists=how, **LOCAL)
            assert report.fetched + report.present == 67
            assert read_catalog(out / "farms").verify() == []
    finally:
        ended.set()
        removing.join()


@pytest.mark.parametrize("damage", ["zeroes", "text", "cut", "wrong rows"])
def test_a_damaged_ledger_costs_time_and_no_data(farms, source, out, damage):
    archive, ledger = farms.archive(source), out / "farms/mlhub_stac_assets.db"
    download(archive, out, **LOCAL)
    content = ledger.read_bytes()
    if damage == "wrong rows":
        with sqlite3.connect(ledger) as database:
            database.execute("UPDATE files SET checksum = 'none', size = 1, etag = NULL")
        database.close()
    else:
        spoilt = {"zeroes": bytes(len(content)), "text": b"no ledger", "cut": content[:4097]}
        ledger.write_bytes(spoilt[damage])
    for how in ("resume", "sync"):
        report = download(archive, out, if_exists=how, **LOCAL)
        assert report.fetched + report.present == 7
        assert read_catalog(out / "farms").verify() == []
