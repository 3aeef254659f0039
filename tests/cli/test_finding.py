"""What the name of a source means: an address, a path, or a dataset of a hub."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from haversack.hub.profiles import write_profile

CROPS = "demo_crop_seasons"
KEY = "the-key-of-the-test-hub"


@pytest.fixture
def report(at_hub):
    """Run a download, and give its report."""

    def run(*arguments, code=0):
        result = at_hub("download", "-q", "--json", *arguments)
        assert result.code == code, result.err
        return json.loads(result.out)

    return run


@pytest.fixture
def other_catalog(small_hub, tmp_path):
    """A catalog of somebody's own in a directory of the working directory."""

    def make(name):
        shutil.copytree(small_hub / "demo_flood_events", tmp_path / name)
        return tmp_path / name

    return make


@pytest.mark.parametrize("more", [(), ("--sync",)])
def test_the_same_command_goes_on_where_it_was_interrupted(haversack, hub, tmp_path, more):
    write_profile(api_key=KEY, root_url=hub.api_root)
    command = [sys.executable, "-m", "haversack", "download", CROPS, "-q", *more]
    slowly = [*command, "--max-requests", "10"]
    with subprocess.Popen(slowly, stderr=subprocess.PIPE, text=True) as child:
        while not list((tmp_path / CROPS).rglob("*.tif")):
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
    assert (child.returncode, "the same command goes on from there" in told) == (130, True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / CROPS).rglob("*.tif")}
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["failed"], report["fetched"] > 0) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert haversack("verify", CROPS, "-q").code == 0
    again = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, timeout=60, check=True
    )
    report = json.loads(again.stdout)
    assert (report["fetched"], report["failed"], report["waiting"]) == (0, 0, 0)


def test_a_dataset_that_was_downloaded_here_is_asked_of_the_hub_again(report, tmp_path):
    first = report(CROPS, "--collection", f"{CROPS}_labels")
    more = report(CROPS)
    assert more["present"] >= first["fetched"] > 0
    assert more["fetched"] > 0
    shutil.rmtree(tmp_path / CROPS / f"{CROPS}_source")
    assert report(CROPS, "--sync")["fetched"] > 0
    everything = report(CROPS)
    assert (everything["fetched"], everything["failed"]) == (0, 0)


@pytest.mark.parametrize("kind", ["empty", "notes", "file", "catalog"])
def test_a_directory_that_merely_has_the_name_stands_in_no_ones_way(
    report, tmp_path, kind, other_catalog
):
    if kind == "catalog":
        other_catalog(CROPS)
    elif kind == "file":
        (tmp_path / CROPS).write_text("notes")
    else:
        (tmp_path / CROPS).mkdir()
        (tmp_path / CROPS / "notes.txt").write_text("notes" * (kind == "notes"))
    found = report(CROPS, "-o", "out", "--collection", f"{CROPS}_labels")
    assert (found["dataset_id"], found["failed"]) == (CROPS, 0)
    assert (tmp_path / "out" / CROPS / f"{CROPS}_labels").is_dir()


def test_what_is_written_like_a_path_is_one(report, at_hub, tmp_path, other_catalog):
    place = other_catalog(CROPS)
    nested = tmp_path / "below" / CROPS
    shutil.copytree(place, nested)
    for written in (f"./{CROPS}", place, f"below/{CROPS}", f"below/../{CROPS}"):
        assert report(written, "-o", "out")["dataset_id"] == "demo_flood_events"
        shutil.rmtree(tmp_path / "out")
    missing = at_hub("download", f"./{CROPS}_2", "-q")
    assert (missing.code, "does not exist" in missing.err) == (3, True)
    missing = at_hub("download", f"nowhere/{CROPS}", "-q")
    assert (missing.code, "does not exist" in missing.err) == (3, True)
    assert report("10.5555/haversack.crops", "-o", "out")["dataset_id"] == CROPS


def test_a_catalog_that_the_hub_does_not_have_is_the_one_here(at_hub, other_catalog, caplog):
    other_catalog("mine")
    told = at_hub("download", "mine", "-q", "-o", "out", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["dataset_id"] == "demo_flood_events"
    [warning] = caplog.messages
    assert warning.startswith('Dataset "mine" does not exist on the hub at http://127.0.0.1')
    assert warning.endswith("the catalog here is read")


@pytest.mark.parametrize("kind", ["notes", "downloaded"])
def test_what_the_hub_does_not_have_and_is_no_source_is_not_found(
    at_hub, tmp_path, other_catalog, kind
):
    if kind == "notes":
        (tmp_path / "gone").mkdir()
    else:
        other_catalog("gone")  # as a dataset that the hub had once
    told = at_hub("download", "gone", "-q")
    assert (told.code, told.out) == (3, "")
    assert 'Dataset "gone" does not exist on the hub' in told.err
    assert "give ./gone for what stands there" in told.err


def test_without_a_hub_a_name_is_a_path(haversack, tmp_path, other_catalog):
    other_catalog("mine")
    found = haversack("download", "mine", "-q", "-o", "out", "--json")
    assert json.loads(found.out)["dataset_id"] == "demo_flood_events"
    told = haversack("download", "nothing", "-q")
    assert (told.code, "there is no path nothing; " in told.err) == (5, True)
    assert "no hub is set" in told.err


def test_a_key_that_is_given_with_an_address_goes_to_its_host(haversack, hub, tmp_path):
    url = f"{hub.api_root}catalog/{CROPS}"
    assert haversack("download", url, "-q").code == 4
    chosen = ("--collection", f"{CROPS}_labels")
    found = haversack("download", url, "--api-key", KEY, "-q", "--json", *chosen)
    assert found.code == 0, found.err
    assert json.loads(found.out)["failed"] == 0
    crawled = haversack("download", hub.api_root, "--api-key", KEY, "-q", "--dry-run", "--json")
    assert crawled.code == 0, crawled.err
    assert json.loads(crawled.out)["waiting"] > 0
    wrong = haversack("download", url, "--api-key", "another", "-q", "-o", "new")
    assert (wrong.code, "another" in wrong.err) == (4, False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["./mine", "--api-key", "K"], "--api-key is for datasets of a hub, and ./mine is a path"),
        (
            ["mine", "--profile", "default"],
            "--profile is for datasets of a hub, and mine is a path",
        ),
        (["./mine", "--hub", "http://127.0.0.1:1/"], "--hub is for datasets of a hub"),
        (["http://127.0.0.1:1/x", "--hub", "http://127.0.0.1:1/"], "--hub is for datasets"),
        (["http://127.0.0.1:1/x", "--profile", "p", "--search"], "--profile is for datasets"),
        (["s3://bucket/folder/", "--api-key", "K"], "cannot fetch s3://bucket/folder/"),
        (["./mine", "--requester-pays"], "--requester-pays goes with --s3-sign"),
        (["./mine", "--match", "bbox"], "--match goes with --intersects"),
        (["./mine", "--retry-failed", "--catalog-only"], "retry_failed fetches assets"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    haversack, tmp_path, other_catalog, arguments, told
):
    other_catalog("mine")
    write_profile(api_key="K")
    result = haversack("download", *arguments, "-q", "-o", "out")
    assert (result.code, told in result.err) == (2, True), result.err
    assert not (tmp_path / "out").exists()


def test_info_refuses_them_too_and_takes_a_name_with_a_hub_for_the_hubs(at_hub, hub, other_catalog):
    other_catalog(CROPS)
    here = json.loads(at_hub("info", CROPS, "--json").out)
    there = json.loads(at_hub("info", CROPS, "--hub", hub.api_root, "--json").out)
    assert (here["id"], there["id"]) == ("demo_flood_events", CROPS)
    for arguments in ([f"./{CROPS}", "--api-key", "K"], ["demo_flood_events", "--version", "1"]):
        told = at_hub("info", *arguments)
        assert (told.code, arguments[1] in told.err) == (2, True), told.err
