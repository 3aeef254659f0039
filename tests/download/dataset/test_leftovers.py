"""Half files of earlier runs are gone on with, kept for later or cleared away, and told as such."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from haversack.download import download, parts
from haversack.download.lease import LEASE_NAME
from haversack.download.leftovers import half_files, left_in
from haversack.download.planning import Plan
from haversack.errors import StorageError

FETCH = """
import sys
from haversack.download import download
report = download(sys.argv[1], sys.argv[2], if_exists=sys.argv[3], allow_hosts=["127.0.0.1"])
print(report.fetched, flush=True)
"""
BIG = os.urandom(2_000_000)
CUT = 1_200_000
DAY = 24 * 3600


@pytest.fixture
def stalling(farms, server, serve_ranges):
    """A dataset with a big file, in the middle of which its server stalls while this says so."""
    stalls = {"on": False, "etag": '"1"'}

    def route(asked):
        answer = serve_ranges(asked, BIG, stalls["etag"])
        if stalls["on"]:
            answer.cut, answer.end = CUT, "stall"
        return answer

    server.answer("/big.tif", route)
    farms.add_item("big", {"red": server.url("/big.tif")})
    return stalls


def _halves(folder):
    return sorted(path for path in folder.rglob(".part-*") if path.is_file())


def _sizes(folder):
    for path in _halves(folder):
        with suppress(FileNotFoundError):  # it has its name by now
            yield path.stat().st_size


def _started(archive, out, if_exists="resume"):
    """Start a download in a process of its own, and wait until it has half of the big file."""
    command = [sys.executable, "-c", FETCH, str(archive), str(out), if_exists]
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    # All small files have their names by then.
    while [size > 1_000_000 for size in _sizes(out)] != [True]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def _kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture
def half(stalling, out):
    """The half of the big file that a killed run has left."""
    (out / "farms/fields/big").mkdir(parents=True)
    final = str(out / "farms/fields/big/red.tif")
    part = parts.Parts("0123abcd", synced=True).new(final, parts.validator({"etag": '"1"'}, 0))
    left = Path(part.path)
    left.write_bytes(BIG[:CUT])
    return left


def test_the_half_files_of_a_killed_overwrite_go_with_the_next_run(
    farms, stalling, source, out, server
):
    archive = farms.archive(source)
    download(archive, out, allow_hosts=["127.0.0.1"])
    stalling["on"] = True
    _kill(_started(archive, out, "overwrite"))
    assert len(_halves(out)) == 1
    asked = [one for one in server.asked if one.method == "GET"]
    dry = download(archive, out, dry_run=True, allow_hosts=["127.0.0.1"])
    assert (dry.half_bytes, len(_halves(out))) == (0, 1)
    report = download(archive, out, allow_hosts=["127.0.0.1"])
    assert (report.fetched, report.waiting) == (0, 0)
    assert [one for one in server.asked if one.method == "GET"] == asked
    assert (out / "farms/fields/big/red.tif").read_bytes() == BIG
    assert [path.name for path in out.rglob(".*")] == []


@pytest.mark.parametrize("if_exists", ["overwrite", "sync"])
def test_an_overwrite_started_again_says_what_came_and_what_was_here(
    farms, stalling, source, out, if_exists
):
    archive = farms.archive(source)
    whole = download(archive, out, allow_hosts=["127.0.0.1"])
    assert (whole.resumed_bytes, "were here" in str(whole)) == (0, False)
    stalling |= {"on": True, "etag": '"2"'}
    _kill(_started(archive, out, if_exists))
    stalling["on"] = False
    (left,) = _halves(out)
    here = left.stat().st_size
    ask = {"if_exists": if_exists, "allow_hosts": ["127.0.0.1"]}
    dry = download(archive, out, dry_run=True, **ask)
    # Who syncs is told of what has changed by the servers alone.
    assert dry.half_bytes == (here if if_exists == "overwrite" else 0)
    assert ("bytes are here in half files" in str(dry)) == (dry.half_bytes > 0)
    report = download(archive, out, **ask)
    assert report.fetched == {"overwrite": whole.fetched, "sync": 1}[if_exists]
    assert report.resumed_bytes == here
    total = {"overwrite": whole.bytes, "sync": len(BIG)}[if_exists]
    assert report.bytes == total - here
    assert f"({report.bytes:,} bytes in {report.seconds:.1f} s, {here:,} more were" in str(report)
    assert (out / "farms/fields/big/red.tif").read_bytes() == BIG
    assert _halves(out) == []


def test_a_half_that_a_server_does_not_go_on_with_counts_as_fetched(
    half, farms, source, out, server
):
    server.file("/big.tif", BIG, etag='"new"')
    report = download(farms.archive(source), out, allow_hosts=["127.0.0.1"])
    assert report.resumed_bytes == 0
    assert report.bytes >= len(BIG)


def test_a_half_that_is_not_asked_for_waits_for_a_week(half, farms, source, out):
    def fetch(**options):
        return download(farms.archive(source), out, allow_hosts=["127.0.0.1"], **options)

    os.utime(half, (time.time() - 6 * DAY,) * 2)
    report = fetch(collection_filter={"fields": ["documentation"]})
    assert (report.half_bytes, _halves(out)) == (0, [half])
    os.utime(half, (time.time() - 8 * DAY,) * 2)
    dry = fetch(dry_run=True)
    assert (dry.half_bytes, _halves(out)) == (half.stat().st_size, [half])
    fetch(collection_filter={"fields": ["documentation"]})
    assert _halves(out) == []


def test_a_half_that_is_asked_for_is_gone_on_with_however_old_it_is(half, farms, source, out):
    here = half.stat().st_size
    os.utime(half, (time.time() - 400 * DAY,) * 2)
    report = download(farms.archive(source), out, allow_hosts=["127.0.0.1"])
    assert (report.resumed_bytes, _halves(out)) == (here, [])


@pytest.mark.parametrize("change", ["validator", "boot", "size", "earlier version"])
def test_a_half_that_nobody_can_go_on_with_goes_at_once(half, farms, source, out, change):
    fields = half.name.split("-")
    if change == "size":
        os.truncate(half, 100)
    elif change == "validator":
        fields[2] = parts.NO_VALIDATOR
    elif change == "boot":
        fields[3] = "cafecafe"
    else:
        del fields[3]
    half.rename(half.with_name("-".join(fields)))
    download(
        farms.archive(source),
        out,
        collection_filter={"fields": ["documentation"]},
        allow_hosts=["127.0.0.1"],
    )
    assert _halves(out) == []


def test_what_is_not_ours_by_name_and_place_stays(half, farms, source, out, tmp_path):
    folder, beyond = half.parent, tmp_path / "beyond"
    useless = "-".join([*half.name.split("-")[:2], "0", *half.name.split("-")[3:]])
    foreign = [
        folder / name
        for name in (".part-mine", f"{useless}.txt", useless[1:], ".0123456789abcdef.partial.x")
    ]
    beyond.mkdir()
    foreign.append(beyond / useless)
    deep = folder / "a/b"
    deep.mkdir(parents=True)
    foreign.append(deep / useless)
    other = out / "farms/other"
    other.mkdir()
    foreign += [other / useless, other / LEASE_NAME]
    for path in foreign:
        path.write_bytes(b"x")
    (folder / useless).symlink_to(beyond / useless)
    (out / "farms/linked").symlink_to(beyond)
    (folder / ".fedcba9876543210.partial").mkdir()
    ours = [
        out / "farms/fields/.0123456789abcdef.partial",
        out / f"farms/{LEASE_NAME}-0123456789abcdef",
        out / ".0123456789abcdef.partial",
    ]
    for path in ours:
        path.write_bytes(b"x")
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    download(farms.archive(source), out, allow_hosts=["127.0.0.1"])
    assert [path for path in foreign if not path.exists()] == []
    assert (folder / useless).is_symlink()
    assert [path for path in ours if path.exists()] == []


def test_the_halves_of_a_living_process_stay(farms, stalling, source, out, server, empty):
    stalling["on"] = True
    farms.name, archive = "farms", farms.archive(source)
    process = _started(archive, out)
    try:
        empty.name = "others"
        empty.add_item("one", {"red": server.file("/one.tif", b"pixels")})
        before = _halves(out)
        report = download(empty.archive(source), out, allow_hosts=["127.0.0.1"])
        assert report.fetched == 1
        assert _halves(out) == before
    finally:
        _kill(process)


def test_the_half_of_an_archive_goes_when_the_archive_is_here(
    farms, source, out, server, make_answer
):
    packed = farms.packed()
    url = server.file("/farms.tar.gz", packed)
    download(url, out)
    name = parts.Parts("0123abcd", synced=True)
    ours, others = (
        Path(name.new(str(out / one), "0123456789ab").path)
        for one in ("farms.tar.gz", "other.tar.gz")
    )
    for path in (ours, others):
        path.write_bytes(bytes(100_000))
    download(url, out, dry_run=True)
    assert ours.exists()
    download(url, out)
    assert (ours.exists(), others.exists()) == (False, True)


def test_a_disk_that_has_room_for_the_rest_is_enough(
    half, farms, source, out, monkeypatch, stalling
):
    farms.files["farms/fields/big/big.json"]["assets"]["red"]["file:size"] = len(BIG)
    archive = farms.archive(source)
    missing = len(BIG) - half.stat().st_size
    monkeypatch.setattr(Plan, "free_bytes", lambda _: missing - 1)
    with pytest.raises(StorageError, match=f"{missing:,} bytes are to come"):
        download(archive, out, allow_hosts=["127.0.0.1"])
    monkeypatch.setattr(Plan, "free_bytes", lambda _: missing)
    assert download(archive, out, allow_hosts=["127.0.0.1"]).resumed_bytes > 0


def test_halves_are_counted_and_a_directory_that_is_not_there_has_none(half, out, tmp_path):
    assert half_files(out / "farms") == ([half.stat().st_size], [])
    assert [left.folder for left in left_in(out / "farms")] == ["fields/big"]
    assert half_files(tmp_path / "nowhere") == ([], [])
