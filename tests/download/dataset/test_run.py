"""A download brings what was chosen, once, and says what it could not bring."""

import csv
import errno
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from haversack.catalog import read_catalog
from haversack.download import DownloadReport, download
from haversack.download.ledger import Ledger
from haversack.errors import (
    DownloadError,
    EmptySelectionError,
    ExistsError,
    FormatError,
    StorageError,
    UnsupportedError,
    UsageError,
)

LOCAL: dict[str, Any] = {"allow_hosts": ["127.0.0.1"]}


def _counts(report):
    return report.fetched, report.present, report.unverified, report.failed, report.waiting


def _errors(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_layout_is_the_documents(farms, source, out, listing):
    archive = farms.archive(source)
    report = download(archive, out, **LOCAL)
    assert isinstance(report, DownloadReport)
    assert _counts(report) == (7, 0, 0, 0, 0)
    assert report.bytes == 3 * 700 + len(b"how to farm") + len(b"a,b")
    assert sorted(listing(out)) == sorted(
        [
            "farms.tar.gz",
            "farms/_common/documentation.pdf",
            "farms/catalog.json",
            "farms/err_report.csv",
            "farms/fields/collection.json",
            "farms/fields/table.csv",
            *(f"farms/fields/item{n}/item{n}.json" for n in range(3)),
            *(f"farms/fields/item{n}/red.tif" for n in range(3)),
        ]
    )
    assert (out / "farms.tar.gz").read_bytes() == archive.read_bytes()
    assert (out / "farms/fields/item1/red.tif").read_bytes() == b"image 1" * 100
    assert _errors(out / "farms/err_report.csv") == []
    assert (out / "farms/mlhub_stac_assets.db").is_file()


def test_a_second_run_asks_the_ledger_for_one_file_at_a_time(farms, source, out, monkeypatch):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    asked, read = [], Ledger._read
    monkeypatch.setattr(Ledger, "_read", lambda *given: [asked.append(given[1]), read(*given)][1])
    download(archive, out, **LOCAL)
    # Whatever looks at all rows does so for each file, and takes hours for a million.
    assert set(asked) == {"SELECT * FROM files WHERE path = ?"}


def test_a_second_run_asks_the_network_for_nothing(farms, source, out, server, listing):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    before, asked = listing(out), len(server.asked)
    report = download(archive, out, **LOCAL)
    assert _counts(report) == (0, 7, 0, 0, 0)
    assert len(server.asked) == asked
    assert listing(out) == before


@pytest.mark.parametrize("lost", ["ledger", "catalog"])
def test_losing_the_ledger_or_the_catalog_loses_no_knowledge(farms, source, out, server, lost):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    asked = len(server.asked)
    if lost == "ledger":
        (out / "farms/mlhub_stac_assets.db").unlink()
    else:
        for path in (out / "farms").rglob("*.json"):
            path.unlink()
    assert _counts(download(archive, out, **LOCAL)) == (0, 7, 0, 0, 0)
    assert len(server.asked) == asked
    assert (out / "farms/catalog.json").is_file()


def test_an_archive_comes_by_url_and_only_once(farms, out, server):
    url = server.file("/catalogs/farms.tar.gz", farms.packed())
    assert _counts(download(url, out)) == (7, 0, 0, 0, 0)
    asked = len(server.asked)
    report = download(url, out)
    assert _counts(report) == (0, 7, 0, 0, 0)
    assert report.archive == out / "farms.tar.gz"
    assert len(server.asked) == asked


def test_a_damaged_archive_is_fetched_again(farms, out, server):
    packed = farms.packed()
    url = server.file("/farms.tar.gz", packed)
    download(url, out, catalog_only=True)
    (out / "farms.tar.gz").write_bytes(packed[:-30])
    assert download(url, out).fetched == 7
    assert (out / "farms.tar.gz").read_bytes() == packed


def test_an_archive_that_is_not_there_is_said_at_once(out, server):
    with pytest.raises(DownloadError, match="HTTP 404"):
        download(server.url("/nothing.tar.gz"), out)
    assert not (out / "nothing.tar.gz").exists()


def test_a_static_catalog_is_copied(empty, source, out, server):
    remote = server.file("/far.tif", b"far away")
    empty.add_item("one", {"red": "./pixels.tif", "far": remote})
    empty.files["farms/fields/one/pixels.tif"] = b"pixels"
    tree = empty.tree(source)
    report = download(tree, out, **LOCAL)
    assert _counts(report) == (2, 0, 0, 0, 0)
    assert report.archive is None
    assert (out / "farms/fields/one/red.tif").read_bytes() == b"pixels"
    assert _counts(download(tree, out, **LOCAL)) == (0, 2, 0, 0, 0)


def test_a_downloaded_tree_completes_itself_in_place(farms, source, out, server):
    download(farms.archive(source), out, collection_filter={"fields": ["table"]}, **LOCAL)
    report = download(out / "farms", out, **LOCAL)
    assert _counts(report) == (6, 1, 0, 0, 0)
    (out / "farms/fields/item0/red.tif").unlink()
    assert _counts(download(out / "farms", out, **LOCAL)) == (1, 6, 0, 0, 0)


def test_filters_choose_assets_but_no_item_is_lost(farms, source, out):
    archive = farms.archive(source)
    report = download(archive, out, collection_filter={"fields": ["table"]}, **LOCAL)
    assert report.fetched == 1
    assert not (out / "farms/fields/item0/red.tif").exists()
    item = json.loads((out / "farms/fields/item0/item0.json").read_text())
    assert item["assets"]["red"]["href"].startswith("http://127.0.0.1")
    with pytest.raises(EmptySelectionError):
        download(archive, out, datetime="1999-01-01", **LOCAL)


def test_catalog_only_fetches_no_asset(farms, source, out, server):
    report = download(farms.archive(source), out, catalog_only=True)
    assert _counts(report) == (0, 0, 0, 0, 7)
    assert server.asked == []
    assert (out / "farms/fields/item2/item2.json").is_file()


def test_catalog_only_forgets_no_asset_that_is_here(farms, source, out, server):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    asked = len(server.asked)
    report = download(archive, out, catalog_only=True, if_exists="overwrite", **LOCAL)
    assert _counts(report) == (0, 7, 0, 0, 0)
    assert len(server.asked) == asked
    catalog = read_catalog(out / "farms")
    assert all(catalog.local_file(row) for row in range(7))
    assert catalog.verify() == []


def test_a_dry_run_tells_and_writes_nothing(farms, source, out, server):
    farms.files["farms/fields/item0/item0.json"]["assets"]["red"]["file:size"] = 700
    report = download(farms.archive(source), out, dry_run=True)
    assert _counts(report) == (0, 0, 0, 0, 7)
    assert (report.waiting_bytes, report.waiting_unknown) == (700, 4)
    assert f"to fetch: 700 bytes and 4 files of unknown size; {report.free_bytes:,}" in str(report)
    assert not out.exists()
    assert server.asked == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_report_says_where_everything_is_or_only_would_be(
    farms, source, out, tmp_path, elsewhere
):
    assets = tmp_path / "elsewhere" if elsewhere else out
    options = {"asset_output_dir": assets, "collection_filter": {"fields": ["table"]}}
    archive, where = farms.archive(source), str(out / "farms")
    if elsewhere:
        where += f", assets in {assets / 'farms'}"
    for there in (False, True):
        assert assets.exists() is there
        dry = download(archive, out, dry_run=True, **options)
        told = f"a dry run: nothing was written or made; it would all be in {where}"
        assert (dry.dry_run, str(dry).splitlines()[-1]) == (True, told)
        report = download(archive, out, allow_hosts=["127.0.0.1"], **options)
        assert (report.dry_run, str(report).splitlines()[-1]) == (False, f"in {where}")


@pytest.mark.parametrize("kind", ["archive", "items", "list", "damaged"])
def test_a_dry_run_of_what_lies_elsewhere_leaves_nothing_behind(
    farms, out, server, tmp_path, monkeypatch, kind
):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    url = server.file("/farms.tar.gz", farms.packed()[: -30 if kind == "damaged" else None])
    item = farms.files["farms/fields/item0/item0.json"]
    items = json.dumps({"type": "FeatureCollection", "features": [item]}).encode()
    sources = {"items": server.file("/items.json", items), "list": [server.url("/0/red.tif")]}
    if kind == "damaged":
        with pytest.raises(FormatError):
            download(url, out, dry_run=True)
    else:
        report = download(sources.get(kind, url), out, dry_run=True, allow_hosts=["127.0.0.1"])
        assert report.waiting == {"archive": 7, "items": 2, "list": 1}[kind]
    assert not out.exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_dry_run_reads_the_archive_that_is_here(farms, out, server, listing):
    url = server.file("/farms.tar.gz", farms.packed())
    download(url, out, collection_filter={"fields": ["table"]})
    before, asked = listing(out), len(server.asked)
    report = download(url, out, dry_run=True)
    assert _counts(report) == (0, 1, 0, 0, 6)
    assert (listing(out), len(server.asked)) == (before, asked)
    assert report.archive == out / "farms.tar.gz"


def test_failures_are_named_counted_and_raised_at_the_end(farms, source, out, server, make_answer):
    server.answer("/1/red.tif", make_answer(404))
    archive = farms.archive(source)
    with pytest.raises(DownloadError, match=r"1 of 7 .*err_report\.csv"):
        download(archive, out, **LOCAL)
    [row] = _errors(out / "farms/err_report.csv")
    assert list(row) == [
        "error", "dataset_id", "collection_id", "item_id", "asset_key", "asset_url", "tries"
    ]  # fmt: skip
    assert (row["collection_id"], row["item_id"], row["asset_key"]) == ("fields", "item1", "red")
    assert "404" in row["error"]
    assert (out / "farms/fields/item2/red.tif").exists()
    report = download(archive, out, raise_errors=False, **LOCAL)
    assert _counts(report) == (0, 6, 0, 1, 0)
    assert report.failures[0].item_id == "item1"
    assert "1 failed" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["failed"] == 1


def test_one_missing_file_is_told_of_every_item_that_shares_it(
    farms, source, out, server, make_answer
):
    server.answer("/about/manual.pdf", make_answer(404))
    report = download(farms.archive(source), out, raise_errors=False, **LOCAL)
    assert report.failed == 3
    assert server.paths().count("/about/manual.pdf") == 1
    assert str(report).count("HTTP 404") == 1


def test_an_address_that_cannot_be_fetched_is_a_failure(empty, source, out):
    empty.add_item("one", {"a": "ftp://host/a.tif", "b": "./nowhere.tif", "c": "file:///etc/hosts"})
    report = download(empty.archive(source), out, raise_errors=False)
    assert report.failed == 3
    assert sorted(failure.asset_key for failure in report.failures) == ["a", "b", "c"]


def test_signatures_are_kept_out_of_the_report(empty, source, out, server):
    empty.add_item("one", {"a": server.url("/a.tif?sig=secret-signature")})
    report = download(empty.archive(source), out, raise_errors=False, **LOCAL)
    assert "secret-signature" not in (out / "farms/err_report.csv").read_text()
    assert "secret-signature" not in str(report) + str(report.to_dict())


def test_wrong_sizes_and_checksums_never_get_the_name(empty, source, out, server):
    wrong = {"href": server.file("/a.tif", b"other"), "file:checksum": "1220" + "00" * 32}
    short = {"href": server.file("/b.tif", b"other"), "file:size": 6}
    empty.add_item("one", {"wrong": wrong, "short": short})
    report = download(empty.archive(source), out, raise_errors=False, **LOCAL)
    assert report.failed == 2
    assert [p.name for p in (out / "farms/fields/one").iterdir()] == ["one.json"]


def test_skip_keeps_whatever_is_here(farms, source, out, server):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    file = out / "farms/fields/item0/red.tif"
    file.write_bytes(b"mine")
    asked = len(server.asked)
    report = download(archive, out, if_exists="skip", **LOCAL)
    assert (report.present, report.unverified) == (6, 1)
    assert file.read_bytes() == b"mine"
    assert len(server.asked) == asked


def test_overwrite_fetches_everything_again(farms, source, out, server):
    archive = farms.archive(source)
    download(archive, out, **LOCAL)
    file = out / "farms/fields/item0/red.tif"
    file.write_bytes(b"image X" * 100)
    assert _counts(download(archive, out, if_exists="overwrite", **LOCAL)) == (7, 0, 0, 0, 0)
    assert file.read_bytes() == b"image 0" * 100


def test_a_file_of_the_wrong_size_is_replaced(empty, source, out, server):
    known = {"href": server.file("/a.tif", b"pixels"), "file:size": 6}
    empty.add_item("one", {"a": known})
    place = out / "farms/fields/one/a.tif"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"pix")
    assert _counts(download(empty.archive(source), out, **LOCAL)) == (1, 0, 0, 0, 0)
    assert place.read_bytes() == b"pixels"


def test_assets_may_lie_elsewhere(farms, source, out, tmp_path, listing):
    archive, assets = farms.archive(source), tmp_path / "assets"
    for _ in range(2):
        download(archive, out, asset_output_dir=assets, **LOCAL)
        assert "farms/fields/item0/red.tif" in listing(assets)
        assert "farms/err_report.csv" in listing(assets)
        assert set(listing(out)) == {
            "farms.tar.gz",
            "farms/catalog.json",
            "farms/fields/collection.json",
            *(f"farms/fields/item{n}/item{n}.json" for n in range(3)),
        }
    item = json.loads((out / "farms/fields/item0/item0.json").read_text())
    place = out / "farms/fields/item0" / item["assets"]["red"]["href"]
    assert place.resolve() == (assets / "farms/fields/item0/red.tif").resolve()
    assert read_catalog(out / "farms").verify() == []


def test_a_name_makes_the_directory(farms, source, out):
    report = download(farms.archive(source), out, name="mine/yours", catalog_only=True)
    assert report.dataset_id == "mine/yours"
    assert (out / "mine%2Fyours/catalog.json").is_file()
    assert (out / "mine%2Fyours.tar.gz").is_file()


def test_too_little_space_is_said_before_anything_moves(empty, source, out, server):
    huge = {"href": server.file("/a.tif", b"x"), "file:size": 1 << 60}
    empty.add_item("one", {"a": huge})
    with pytest.raises(StorageError, match="free"):
        download(empty.archive(source), out, **LOCAL)
    assert server.asked == []


@pytest.mark.parametrize(
    "options",
    [
        {"if_exists": "maybe"},
        {"bbox": [0, 0, 1, 1], "intersects": {"type": "Point", "coordinates": [0, 0]}},
        {"datetime": "soon"},
        {"bbox": [500000, 4600000, 510000, 4700000]},
        {"concurrency": 0},
        {"retries": -1},
        {"timeout": float("nan")},
        {"fsync": "all"},
        {"max_bytes_per_second": "fast"},
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_fetched(out, server, options):
    with pytest.raises(UsageError):
        download(server.url("/farms.tar.gz"), out, **options)
    assert server.asked == []


def test_an_option_that_is_not_there_is_refused_by_its_name(farms, source, out):
    with pytest.raises(UnsupportedError, match=r"download\(\) has no option 'workers'"):
        download(farms.archive(source), out, workers=4)  # type: ignore[call-arg]
    assert not out.exists()


@pytest.mark.parametrize("below", ["", "x", "x/y"])
@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize("where", ["output_dir", "asset_output_dir"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_place_where_no_directory_can_be_is_refused_before_anything_is_asked(
    farms, source, out, server, tmp_path, below, kind, where, dry_run
):
    place = tmp_path / kind
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    url = server.file("/farms.tar.gz", farms.packed())
    told = {"file": "is a file, not a directory: give", "link": "is a link to nothing: give"}[kind]
    options: Any = {"output_dir": out, where: place / below}
    with pytest.raises(ExistsError, match=f"^{place} {told} another place") as caught:
        download(url, dry_run=dry_run, **options)
    assert caught.value.exit_code == 6
    assert (server.asked, out.exists()) == ([], False)
    assert kind == "link" or place.read_text() == "mine"


def test_a_directory_that_may_not_be_made_is_an_error_of_the_disk(farms, source, out, monkeypatch):
    out.mkdir()
    mkdir = Path.mkdir

    def refuse(path, *given, **options):
        if path.is_relative_to(out):
            raise PermissionError(errno.EACCES, "Permission denied")
        mkdir(path, *given, **options)

    archive = farms.archive(source)
    monkeypatch.setattr(Path, "mkdir", refuse)
    told = f"cannot create the directory {out}/.*: permission denied"
    for place in (out, out / "missing/parent"):
        with pytest.raises(StorageError, match=told) as caught:
            download(archive, place)
        assert caught.value.exit_code == 8
    assert not list(out.iterdir())


def test_a_path_that_no_file_can_have_is_refused(farms, source):
    with pytest.raises(UsageError, match="NUL"):
        download(farms.archive(source), "a\0b")


def test_directories_above_the_output_are_made(farms, source, out):
    assert download(farms.archive(source), out / "a/b", **LOCAL).failed == 0


def test_a_source_that_is_no_catalog_is_refused(tmp_path, out):
    with pytest.raises(UnsupportedError, match="path or a URL"):
        download(None, out)  # type: ignore[arg-type]
    (tmp_path / "x.tar.gz").write_text("mine")
    with pytest.raises(FormatError):
        download(tmp_path / "x.tar.gz", out)
    assert not out.exists()


def test_each_step_is_logged_and_the_root_logger_left_alone(farms, source, out, caplog):
    handlers = list(logging.getLogger().handlers)
    with caplog.at_level(logging.DEBUG, "haversack.download"):
        download(farms.archive(source), out, **LOCAL)
    steps = [r.getMessage() for r in caplog.records if r.levelno == logging.INFO]
    assert steps == [
        "create stac asset list...",
        "5 unique assets in stac catalog.",
        "unarchive farms.tar.gz...",
        f"assets saved to {out / 'farms'}",
    ]
    details = [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]
    assert sum("red.tif -> " in line for line in details) == 3
    assert logging.getLogger().handlers == handlers


def test_progress_tells_of_each_part(farms, source, out):
    seen = []
    download(farms.archive(source), out, progress=seen.append, **LOCAL)
    ends = {event.task: event.done for event in seen if event.state == "end"}
    assert ends == {"unarchive farms.tar.gz": 0, "download assets": 5}


def test_the_output_directory_may_be_here(farms, server, out, monkeypatch):
    out.mkdir()
    monkeypatch.chdir(out)
    url = server.file("/farms.tar.gz", farms.packed())
    for count in (7, 0):
        report = download(url, allow_hosts=["127.0.0.1"])
        assert (report.fetched, str(report.catalog)) == (count, "farms/catalog.json")
    assert read_catalog("farms").verify() == []


def test_a_download_loads_nothing_heavy_that_it_does_not_use(farms, source, out):
    program = (
        "import sys\n"
        "from haversack.download import download\n"
        "download(*sys.argv[1:], allow_hosts=['127.0.0.1'])\n"
        "assert not {'shapely', 'pyarrow', 'duckdb', 'urllib.request', 'pystac'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", program, farms.archive(source), out], check=True)
    assert (out / "farms/fields/item1/red.tif").is_file()
